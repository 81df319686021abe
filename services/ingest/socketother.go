//go:build !linux

package main

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Elsewhere than on Linux the kernel tells neither what it granted nor what it
// dropped, and a stop leaves what the socket holds.

func tuneSocket(conn *net.UDPConn, want int) (granted int, err error) {
	return want, conn.SetReadBuffer(want)
}

// canShare tells that several sockets can share an address.
const canShare = false

func shareAddress(_, _ string, _ syscall.RawConn) error {
	return errors.New("several sockets on one address need Linux")
}

var ancillaryBytes = 0

// receiveBatch is how many messages are taken from the kernel at a time.
const receiveBatch = 1

// receiver reads a socket one datagram at a time.
type receiver struct {
	conn    *net.UDPConn
	payload []byte
	n       int
	from    netip.AddrPort
}

func newReceiver(conn *net.UDPConn) (*receiver, error) {
	return &receiver{conn: conn, payload: make([]byte, maxDatagram)}, nil
}

func (r *receiver) close() { _ = r.conn.Close() }

// stop lets receive wait no more.
func (r *receiver) stop() { _ = r.conn.SetReadDeadline(time.Unix(1, 0)) }

func (r *receiver) receive() (n int, err error) {
	r.n, r.from, err = r.conn.ReadFromUDPAddrPort(r.payload)
	if err != nil {
		return 0, err
	}
	return 1, nil
}

func (r *receiver) message(int) (netip.AddrPort, []byte, int) { return r.from, r.payload[:r.n], r.n }

func (r *receiver) ancillary(int) []byte { return nil }

func kernelDrops([]byte) (drops uint32, ok bool) { return 0, false }
