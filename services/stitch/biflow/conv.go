package biflow

import (
	"encoding/binary"

	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TCP flag bits (RFC 9293 §3.1).
const (
	fin = 0x01
	syn = 0x02
	rst = 0x04
	ack = 0x10

	// control are all but those of ECN (RFC 3168 §6.1).
	control = 0x3f
)

// half is one direction of a conversation, and the endpoint that sent it: the half
// of index 0 is the low endpoint's.
type half struct {
	// start and end are of all its flows.
	start, end stamp
	// bytes and packets are the lower halves of what it sent; more has the upper.
	bytes, packets uint32
	segments       uint32
	// addr is the endpoint's address if both are IPv4. Else the low half's is the
	// number of a pair in Table.pairs.
	addr [4]byte
	port uint16
	// flags are or-ed; firstFlags are those of the earliest flow. TCP's only.
	flags, firstFlags uint8
}

// stamp is a time in nanoseconds, in bytes, so that it leaves no gaps where it lies.
type stamp [8]byte

func (s *stamp) ns() uint64 { return binary.NativeEndian.Uint64(s[:]) }

func (s *stamp) set(ns uint64) { binary.NativeEndian.PutUint64(s[:], ns) }

// conv is one open conversation. There are millions: it is free of pointers and two
// cache lines long. What few of them need lies elsewhere (more), and what they have
// in common is there once (origin). Ticks are their lower halves.
type conv struct {
	// id is the flow id.
	id uint64
	// longest is the longest segment's duration, which bounds how long the next may be silent.
	longest uint64
	half    [2]half
	realm   uint32
	version uint32
	// last is the tick of the last flow, issued that of the last version, and
	// wakeAt the one its timer is set for.
	last, issued, wakeAt uint32
	// origin is a number in Table.origins.
	origin uint32
	// more is the number of what few have, one higher; 0 is none.
	more uint32
	// icmp is type and code of each half's first flow.
	icmp [2]uint16
	marks
	proto uint8
	// ended is why it is over, while it lingers.
	ended uint8
	// client is who was told to be the client, and how surely; evidence is why.
	client   packed
	evidence uint8
	// hint and role are what flows themselves told of their source: the
	// exporter's word, and TCP flags.
	hint, role packed
}

// marks are a conversation's truth values.
type marks uint16

const (
	live marks = 1 << iota
	// wide conversations have their addresses in Table.pairs.
	wide
	// behind: a newer conversation of the same key is open.
	behind
	// dirty: something changed since the last version; touched: in this tick.
	dirty
	touched
	// endedLow and endedHigh: the half's end was seen.
	endedLow
	endedHigh
	// groupLow and groupHigh: the address is one of multicast or broadcast.
	groupLow
	groupHigh
	// reverse: the exporters report both directions.
	reverse
	denied
	packetsUnknown
	// revised and conflict are about the direction.
	revised
	conflict

	allMarks = conflict<<1 - 1
)

func (m marks) has(x marks) bool { return m&x != 0 }

func (m *marks) set(x marks, when bool) {
	if when {
		*m |= x
	}
}

// verdict is evidence that one side is the client, in percent; 0 is none.
type verdict struct {
	side    uint8
	percent uint8
}

// packed is a verdict in one byte: the side is the upper bit.
type packed uint8

func (v verdict) pack() packed { return packed(v.side<<7 | v.percent) }

func (p packed) verdict() verdict { return verdict{uint8(p >> 7), uint8(p & 0x7f)} }

// strengthen keeps the stronger verdict; the first of two equals.
func (p *packed) strengthen(side int, percent uint8) {
	if percent > p.verdict().percent {
		*p = verdict{uint8(side), percent}.pack()
	}
}

func (c *conv) start() uint64 {
	a, b := &c.half[0], &c.half[1]
	switch {
	case a.segments == 0:
		return b.start.ns()
	case b.segments == 0:
		return a.start.ns()
	}
	return min(a.start.ns(), b.start.ns())
}

func (c *conv) end() uint64 { return max(c.half[0].end.ns(), c.half[1].end.ns()) }

// bothSpoke tells whether flows of both directions came.
func (c *conv) bothSpoke() bool { return c.half[0].segments > 0 && c.half[1].segments > 0 }

// gatherEnd notes what ends the conversation; flags are those of TCP.
func (c *conv) gatherEnd(side int, f *segment, flags uint8) {
	const endDetected = 3 // flowEndReason, IANA element 136
	switch {
	case f.deleted || f.endReason == endDetected && flags&(fin|rst) == 0:
		c.marks |= endedLow << side
		c.endBy(flowv1.CloseReason_CLOSE_REASON_END_DETECTED)
	case flags&rst != 0:
		c.marks |= endedLow << side
		c.endBy(flowv1.CloseReason_CLOSE_REASON_RST)
	case flags&fin != 0:
		c.marks |= endedLow << side
		if c.has(endedLow) && c.has(endedHigh) {
			c.endBy(flowv1.CloseReason_CLOSE_REASON_FIN)
		}
	}
}

// endBy keeps the strongest reason: a reset over a FIN over the exporter's word.
func (c *conv) endBy(r flowv1.CloseReason) {
	if c.ended == 0 || r == flowv1.CloseReason_CLOSE_REASON_RST ||
		r == flowv1.CloseReason_CLOSE_REASON_FIN && c.closeReason() != flowv1.CloseReason_CLOSE_REASON_RST {
		c.ended = uint8(r)
	}
}

func (c *conv) closeReason() flowv1.CloseReason { return flowv1.CloseReason(c.ended) }

// tcpFlags are a flow's flags: exporters put anything there for other protocols.
func (c *conv) tcpFlags(f *segment) uint8 {
	if c.proto != flow.ProtoTCP {
		return 0
	}
	return f.flags
}
