package main

import (
	"encoding/binary"
	"fmt"
	"net"
)

// run is datagrams of one exporter, one after the other and of one length, but for the
// last, which may be shorter. They go out by one system call (UDP_SEGMENT, Linux 4.18)
// and through the network's layers as one: to send is to cost little beside to receive.
type run struct {
	conn  *net.UDPConn
	bytes []byte
	// each is the length of one, n how many there are; full tells that no more fit.
	each, n int
	full    bool
	control [controlBytes]byte
}

const (
	// maxRun and maxRunBytes are what the kernel takes at a time.
	maxRun      = 64
	maxRunBytes = 65_000

	// What struct cmsghdr is of, on 64 bits, and how it says the length of each.
	controlHeader  = 16
	controlBytes   = 24
	protocolUDP    = 17
	controlSegment = 103
)

// add takes a datagram in; false says that the run must be sent before.
func (r *run) add(conn *net.UDPConn, payload []byte) bool {
	if r.n == 0 {
		r.conn, r.each, r.full = conn, len(payload), len(payload) == 0
	} else if r.full || conn != r.conn || len(payload) > r.each || len(payload) == 0 ||
		r.n == maxRun || len(r.bytes)+len(payload) > maxRunBytes {
		return false
	}
	r.bytes = append(r.bytes, payload...)
	r.n++
	r.full = r.full || len(payload) < r.each
	return true
}

// send sends the run and empties it.
func (r *run) send() error {
	if r.n == 0 {
		return nil
	}
	var control []byte
	if r.n > 1 {
		control = r.control[:]
		binary.NativeEndian.PutUint64(control, controlHeader+2)
		binary.NativeEndian.PutUint32(control[8:], protocolUDP)
		binary.NativeEndian.PutUint32(control[12:], controlSegment)
		binary.NativeEndian.PutUint16(control[controlHeader:], uint16(r.each))
	}
	_, _, err := r.conn.WriteMsgUDP(r.bytes, control, nil)
	r.bytes, r.n = r.bytes[:0], 0
	if err != nil {
		return fmt.Errorf("cannot send to %s: %w", r.conn.RemoteAddr(), err)
	}
	return nil
}
