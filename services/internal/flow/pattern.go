package flow

import (
	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Pattern writes flows that come about in one way and have much in common, such as
// the records of one template in one datagram, without a Flow for each:
//
//	Common ─▶ written once ──────────────────╮
//	record ─▶ numbers that are only copied ──┼─▶ the message, as Fresh would write it
//	Own    ─▶ what needs a thought ──────────╯
type Pattern struct {
	head, sampler, domain, received, realm, quality, timeouts, unknown piece
}

// Common is what all flows of a pattern have. SamplerAddress has up to 16 bytes.
type Common struct {
	Type                flowv1.FlowType
	SamplingRate        uint64
	SequenceNum         uint32
	SamplerAddress      []byte
	ObservationDomainId uint32
	TimeReceivedNs      uint64
	Realm               uint32
	TimeQuality         flowv1.TimeQuality
	SamplingKind        flowv1.SamplingKind
	ActiveTimeoutMs     uint32
	InactiveTimeoutMs   uint32
	PacketsUnknown      bool
}

// Own is what a flow has of its own beside what is copied.
type Own struct {
	// Addresses are of 4 or 16 bytes; there may be no next hops.
	SrcAddr, DstAddr, NextHop, BgpNextHop []byte
	TimeFlowStartNs, TimeFlowEndNs        uint64
	Direction                             flowv1.Direction
	RecordId                              uint64
	ReverseObservable, TimeSuspect        bool
}

// piece is some fields that flows have in common. It is copied whole, whatever its
// length is: that takes no call.
type piece struct {
	bytes [pieceBytes]byte
	n     int
}

const pieceBytes = 32

func (p *piece) put(b []byte, i int) int {
	*(*[pieceBytes]byte)(b[i : i+pieceBytes : i+pieceBytes]) = p.bytes
	return i + p.n
}

// Begin writes what the flows that follow have in common.
func (p *Pattern) Begin(c *Common) {
	begin := func(p *piece, write func(b []byte) int) { p.n = write(p.bytes[:]) }
	short := func(b []byte, i int, number byte, v uint64) int {
		if v == 0 {
			return i
		}
		return putShort(b, i, number, v)
	}
	large := func(b []byte, i int, number uint16, v uint64) int {
		if v == 0 {
			return i
		}
		return putLarge(b, i, number, v)
	}
	begin(&p.head, func(b []byte) int {
		i := short(b, 0, 1, uint64(c.Type))
		return short(b, short(b, i, 3, c.SamplingRate), 4, uint64(c.SequenceNum))
	})
	begin(&p.sampler, func(b []byte) int {
		if len(c.SamplerAddress) == 0 {
			return 0
		}
		return putAddress(b, 0, 11, c.SamplerAddress)
	})
	begin(&p.domain, func(b []byte) int { return large(b, 0, 70, uint64(c.ObservationDomainId)) })
	begin(&p.received, func(b []byte) int { return large(b, 0, 110, c.TimeReceivedNs) })
	begin(&p.realm, func(b []byte) int { return large(b, 0, 201, uint64(c.Realm)) })
	begin(&p.quality, func(b []byte) int {
		return large(b, large(b, 0, 230, uint64(c.TimeQuality)), 231, uint64(c.SamplingKind))
	})
	begin(&p.timeouts, func(b []byte) int {
		return large(b, large(b, 0, 233, uint64(c.ActiveTimeoutMs)), 234, uint64(c.InactiveTimeoutMs))
	})
	begin(&p.unknown, func(b []byte) int {
		if c.PacketsUnknown {
			return putLarge(b, 0, 242, 1)
		}
		return 0
	})
}

// patternBytes is room for a flow of a pattern: for its pieces, copies and times, each
// with room to spare, and its addresses.
const patternBytes = 12*40 + 8*pieceBytes + 4*20

// Append writes a flow behind b.
func (p *Pattern) Append(b []byte, copies *Copies, record []byte, own *Own) []byte {
	if cap(b)-len(b) < patternBytes {
		b = grow(b, patternBytes)
	}
	i := len(b)
	b = b[:cap(b)]
	i = p.head.put(b, i)
	i = putAddress(b, i, 6, own.SrcAddr)
	i = putAddress(b, i, 7, own.DstAddr)
	i = putCopies(b, i, copies[volume], record)
	i = p.sampler.put(b, i)
	if own.NextHop != nil {
		i = putAddress(b, i, 12, own.NextHop)
	}
	i = putCopies(b, i, copies[packet], record)
	i = p.domain.put(b, i)
	if own.BgpNextHop != nil {
		i = putText(b, i, 100, own.BgpNextHop)
	}
	i = p.received.put(b, i)
	if own.TimeFlowStartNs != 0 {
		i = putTime(b, i, 111, own.TimeFlowStartNs)
	}
	if own.TimeFlowEndNs != 0 {
		i = putTime(b, i, 112, own.TimeFlowEndNs)
	}
	if own.Direction != 0 {
		i = putLarge(b, i, 200, uint64(own.Direction))
	}
	i = p.realm.put(b, i)
	i = putCopies(b, i, copies[ending], record)
	i = p.quality.put(b, i)
	if own.RecordId != 0 {
		i = putFixed(b, i, 232, own.RecordId)
	}
	i = p.timeouts.put(b, i)
	if own.ReverseObservable {
		i = putLarge(b, i, 235, 1)
	}
	i = putCopies(b, i, copies[vrfs], record)
	i = p.unknown.put(b, i)
	if own.TimeSuspect {
		i = putLarge(b, i, 243, 1)
	}
	return b[:i]
}
