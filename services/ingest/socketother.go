//go:build !linux

package main

import (
	"net"
	"net/netip"
)

// Elsewhere than on Linux the kernel tells neither what it granted nor what it
// dropped, and a stop leaves what the socket holds.

func tuneSocket(conn *net.UDPConn, want int) (granted int, err error) {
	return want, conn.SetReadBuffer(want)
}

var ancillaryBytes = 0

func kernelDrops([]byte) (drops uint32, ok bool) { return 0, false }

func drainSocket(*net.UDPConn, []byte, int, func(netip.AddrPort, []byte)) error { return nil }
