//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// tuneSocket asks for a receive buffer, for the kernel's count of what it dropped, and
// for runs of datagrams of one sender and size in one piece, where the kernel can (UDP_GRO,
// Linux 5.0). It returns the buffer that the kernel granted.
func tuneSocket(conn *net.UDPConn, want int) (granted int, err error) {
	err = control(conn, func(fd int) error {
		// The forced way needs CAP_NET_ADMIN and goes beyond net.core.rmem_max.
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, want) != nil {
			if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, want); err != nil {
				return os.NewSyscallError("setsockopt SO_RCVBUF", err)
			}
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1); err != nil {
			return os.NewSyscallError("setsockopt SO_RXQ_OVFL", err)
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
		granted, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		granted /= 2 // Linux answers twice what it was asked for, for its own bookkeeping
		return os.NewSyscallError("getsockopt SO_RCVBUF", err)
	})
	return granted, err
}

// canShare tells that several sockets can share an address.
const canShare = true

// shareAddress lets the kernel deal what comes to an address out to the sockets
// that share it, by sender: one sender's datagrams stay in order.
func shareAddress(_, _ string, raw syscall.RawConn) error {
	var inner error
	if err := raw.Control(func(fd uintptr) {
		inner = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); err != nil {
		return err
	}
	return os.NewSyscallError("setsockopt SO_REUSEPORT", inner)
}

// ancillaryBytes is room for the count of drops and the size of segments.
var ancillaryBytes = 2 * unix.CmsgSpace(4)

// kernelDrops reads the socket's running count of drops from a message's ancillary
// data. The kernel sends none before the first drop, and counts a run of datagrams as one.
func kernelDrops(ancillary []byte) (drops uint32, ok bool) {
	return told(ancillary, unix.SOL_SOCKET, unix.SO_RXQ_OVFL)
}

// segmentBytes reads the size of each datagram of a run from a message's ancillary
// data. The kernel sends none with a datagram alone.
func segmentBytes(ancillary []byte) (size int, ok bool) {
	n, ok := told(ancillary, unix.IPPROTO_UDP, unix.UDP_GRO)
	return int(n), ok && n > 0
}

// told is a number of 32 bits in ancillary data.
func told(ancillary []byte, level, kind int32) (n uint32, ok bool) {
	for len(ancillary) >= unix.CmsgLen(4) {
		header, data, rest, err := unix.ParseOneSocketControlMessage(ancillary)
		if err != nil {
			return 0, false
		}
		if header.Level == level && header.Type == kind && len(data) >= 4 {
			return binary.NativeEndian.Uint32(data), true
		}
		ancillary = rest
	}
	return 0, false
}

func control(conn *net.UDPConn, f func(fd int) error) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("cannot reach the socket: %w", err)
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return fmt.Errorf("cannot reach the socket: %w", err)
	}
	return inner
}
