//go:build linux

package main

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// receiveBatch is how many messages are taken from the kernel at a time. A message is
// a datagram, or a run of them that the kernel has put together (UDP_GRO).
const receiveBatch = 64

// receiver takes datagrams from a socket, many per system call (recvmmsg), into
// memory that it uses again and again. The socket is its own, outside the runtime's
// poller: that would wake up for every datagram, whether somebody waits for it or not.
type receiver struct {
	fd      int
	stopped int // an event: readable once nothing is to be waited for any more
	mu      sync.Mutex
	closed  bool
	headers [receiveBatch]header
	vectors [receiveBatch]unix.Iovec
	names   [receiveBatch]unix.RawSockaddrInet6 // of either family
	// payloads is address space, mostly: a page of it takes memory once a datagram
	// has reached that far.
	payloads []byte
	control  []byte
}

// header is struct mmsghdr.
type header struct {
	unix.Msghdr
	n uint32
}

// slotBytes is from where to where two datagrams lie in memory: not a power of two,
// or all their beginnings would compete for the same few lines of the cache.
const slotBytes = maxDatagram + 4096 + 1536

// newReceiver takes the socket over from conn, and closes that.
func newReceiver(conn *net.UDPConn) (*receiver, error) {
	r := &receiver{payloads: make([]byte, receiveBatch*slotBytes), control: make([]byte, receiveBatch*ancillaryBytes)}
	err := control(conn, func(fd int) (err error) {
		r.fd, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		return os.NewSyscallError("fcntl", err)
	})
	if err != nil {
		return nil, err
	}
	if r.stopped, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		_ = unix.Close(r.fd)
		return nil, os.NewSyscallError("eventfd", err)
	}
	_ = conn.Close() // its copy of the socket, and with that the poller's interest
	for i := range r.headers {
		h := &r.headers[i]
		r.vectors[i].Base = &r.payloads[i*slotBytes]
		r.vectors[i].SetLen(maxDatagram)
		h.Name, h.Iov, h.Control = (*byte)(unsafe.Pointer(&r.names[i])), &r.vectors[i], &r.control[i*ancillaryBytes]
		h.SetIovlen(1)
	}
	return r, nil
}

// close gives the socket back, once nobody receives.
func (r *receiver) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	_ = unix.Close(r.fd)
	_ = unix.Close(r.stopped)
}

// stop lets receive wait no more.
func (r *receiver) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		_, _ = unix.Write(r.stopped, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // fails only where it was said too often
	}
}

// receive waits for messages and says how many there are: none once stop was called
// and the socket is empty. They are valid until the next call.
func (r *receiver) receive() (n int, err error) {
	for {
		n, err = r.read()
		if err != unix.EAGAIN {
			return n, os.NewSyscallError("recvmmsg", err)
		}
		if stopped, err := r.wait(); stopped || err != nil {
			return 0, err
		}
	}
}

// read asks the kernel once. That never blocks, so the runtime is not told (RawSyscall):
// it would look for something else to do for this thread's processor, twice per burst.
func (r *receiver) read() (n int, err error) {
	for i := range r.headers {
		r.headers[i].Namelen = uint32(unsafe.Sizeof(r.names[i]))
		r.headers[i].SetControllen(ancillaryBytes)
	}
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(r.fd), uintptr(unsafe.Pointer(&r.headers)), receiveBatch, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// wait waits for a datagram or a stop, or both.
func (r *receiver) wait() (stopped bool, err error) {
	on := [...]unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}, {Fd: int32(r.stopped), Events: unix.POLLIN}}
	for {
		if _, err = unix.Poll(on[:], -1); err != unix.EINTR {
			return on[0].Revents == 0 && on[1].Revents != 0, os.NewSyscallError("poll", err)
		}
	}
}

// message is the i-th of the last call: a datagram, or datagrams of one sender end to
// end, each of size bytes, the last of so many at most.
func (r *receiver) message(i int) (from netip.AddrPort, payload []byte, size int) {
	start := i * slotBytes
	payload = r.payloads[start : start+int(r.headers[i].n)]
	if size, ok := segmentBytes(r.ancillary(i)); ok {
		return r.sender(i), payload, size
	}
	return r.sender(i), payload, len(payload)
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

// ancillary is what the kernel says beside the i-th message.
func (r *receiver) ancillary(i int) []byte {
	start := i * ancillaryBytes
	return r.control[start : start+int(r.headers[i].Controllen)]
}
