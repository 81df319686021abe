//go:build linux

package main

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// receiveBatch is how many datagrams are taken from the kernel at a time.
const receiveBatch = 32

// receiver takes datagrams from a socket, many per system call (recvmmsg), into
// memory that it uses again and again.
type receiver struct {
	raw     syscall.RawConn
	headers [receiveBatch]header
	vectors [receiveBatch]unix.Iovec
	names   [receiveBatch]unix.RawSockaddrInet6 // of either family
	// payloads is address space, mostly: a page of it takes memory once a datagram
	// has reached that far.
	payloads []byte
	control  []byte
	once     func(fd uintptr) bool // call, made once
	n        int
	err      syscall.Errno
}

// header is struct mmsghdr.
type header struct {
	unix.Msghdr
	n uint32
}

func newReceiver(conn *net.UDPConn) (*receiver, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	r := &receiver{raw: raw, payloads: make([]byte, receiveBatch*maxDatagram), control: make([]byte, receiveBatch*ancillaryBytes)}
	for i := range r.headers {
		h := &r.headers[i]
		r.vectors[i].Base = &r.payloads[i*maxDatagram]
		r.vectors[i].SetLen(maxDatagram)
		h.Name, h.Iov, h.Control = (*byte)(unsafe.Pointer(&r.names[i])), &r.vectors[i], &r.control[i*ancillaryBytes]
		h.SetIovlen(1)
	}
	r.once = r.call
	return r, nil
}

// receive waits for datagrams and says how many there are. They are valid until
// the next call.
func (r *receiver) receive() (n int, err error) {
	r.n, r.err = 0, 0
	if err := r.raw.Read(r.once); err != nil {
		return 0, err
	}
	if r.err != 0 {
		return 0, os.NewSyscallError("recvmmsg", r.err)
	}
	return r.n, nil
}

// call asks the kernel once; false says that there is nothing yet.
func (r *receiver) call(fd uintptr) (done bool) {
	for i := range r.headers {
		r.headers[i].Namelen = uint32(unsafe.Sizeof(r.names[i]))
		r.headers[i].SetControllen(ancillaryBytes)
	}
	for {
		n, _, err := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&r.headers)), receiveBatch, unix.MSG_DONTWAIT, 0, 0)
		switch err {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return false
		}
		if r.err = err; err == 0 {
			r.n = int(n)
		}
		return true
	}
}

// datagram is the i-th of the last call.
func (r *receiver) datagram(i int) (from netip.AddrPort, payload []byte) {
	start := i * maxDatagram
	return r.sender(i), r.payloads[start : start+int(r.headers[i].n)]
}

func (r *receiver) sender(i int) netip.AddrPort {
	name := &r.names[i]
	switch name.Family {
	case unix.AF_INET:
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), networkOrder(v4.Port))
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr), networkOrder(name.Port))
	}
	return netip.AddrPort{}
}

// networkOrder reads a port as the kernel keeps it.
func networkOrder(port uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&port))
	return uint16(b[0])<<8 | uint16(b[1])
}

// ancillary is what the kernel says beside the i-th datagram.
func (r *receiver) ancillary(i int) []byte {
	start := i * ancillaryBytes
	return r.control[start : start+int(r.headers[i].Controllen)]
}
