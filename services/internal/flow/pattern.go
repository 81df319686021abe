package flow

import (
	"unsafe"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Pattern writes flows that come about in one way and have much in common, such as
// the records of one template in one datagram, without a Flow for each:
//
//	Common ─▶ written once ────────────────────────────────╮
//	record ─▶ addresses and numbers that are only copied ──┼─▶ the message, as Fresh would write it
//	Own    ─▶ what needs a thought ────────────────────────╯
type Pattern struct {
	origin                                                                    *Origin
	head, sampler, etype, domain, received, realm, quality, timeouts, unknown piece
}

// Common is what all flows of a pattern have. SamplerAddress has up to 16 bytes.
type Common struct {
	Type                flowv1.FlowType
	SamplingRate        uint64
	SequenceNum         uint32
	SamplerAddress      []byte
	Etype               uint32
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
	TimeFlowStartNs, TimeFlowEndNs uint64
	RecordId                       uint64
	Direction                      flowv1.Direction
	ReverseObservable, TimeSuspect bool
}

// piece is some fields that flows have in common. It is copied whole, whatever its
// length is: that takes no call.
type piece struct {
	bytes [pieceBytes]byte
	n     int
}

const pieceBytes = 32

func (p *piece) put(to unsafe.Pointer) unsafe.Pointer {
	*(*[pieceBytes]byte)(to) = p.bytes
	return unsafe.Add(to, p.n)
}

// begin empties the piece.
func (p *piece) begin() *piece {
	p.n = 0
	return p
}

// short and large add a number under a tag of one byte and of two, unless it is zero.
func (p *piece) short(number byte, v uint64) {
	if v != 0 {
		p.n = putShort(p.bytes[:], p.n, number, v)
	}
}

func (p *piece) large(number uint16, v uint64) {
	if v != 0 {
		p.n = putLarge(p.bytes[:], p.n, number, v)
	}
}

// Begin writes what the flows that follow have in common. They are made of records of
// this origin.
func (p *Pattern) Begin(o *Origin, c *Common) {
	p.origin = o
	q := p.head.begin()
	q.short(1, uint64(c.Type))
	q.short(3, c.SamplingRate)
	q.short(4, uint64(c.SequenceNum))
	q = p.sampler.begin()
	if len(c.SamplerAddress) > 0 {
		q.n = putAddress(q.bytes[:], 0, 11, c.SamplerAddress)
	}
	q = p.etype.begin()
	q.large(30, uint64(c.Etype))
	if len(o.copies[inside]) > 0 { // else nothing lies between, and the two are one
		q = p.domain.begin()
	}
	q.large(70, uint64(c.ObservationDomainId))
	if o.bgpNextHop.Len() > 0 {
		q = p.received.begin()
	}
	q.large(110, c.TimeReceivedNs)
	q = p.realm.begin()
	q.large(201, uint64(c.Realm))
	if len(o.copies[ending]) > 0 {
		q = p.quality.begin()
	}
	q.large(230, uint64(c.TimeQuality))
	q.large(231, uint64(c.SamplingKind))
	q = p.timeouts.begin()
	q.large(233, uint64(c.ActiveTimeoutMs))
	q.large(234, uint64(c.InactiveTimeoutMs))
	q = p.unknown.begin()
	if c.PacketsUnknown {
		q.large(242, 1)
	}
}

// patternBytes is room for a flow of a pattern: for its pieces, whole, its copies,
// times and other numbers, of 12 bytes each at most, and its addresses.
const patternBytes = 9*pieceBytes + 40*12 + 4*20

// Append writes the flow of a record behind b. The record reaches as far as its origin
// says, if need be into what follows it.
func (p *Pattern) Append(b, record []byte, own *Own) []byte {
	o := p.origin
	if len(record) < o.reach {
		panic("BUG: a record that ends too early")
	}
	if cap(b)-len(b) < patternBytes {
		b = grow(b, patternBytes)
	}
	from, start := unsafe.Pointer(unsafe.SliceData(record)), unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), len(b))
	to := p.head.put(start)
	to = rawAddress(raw1(to, 6<<3|text), o.srcAddr, from)
	to = rawAddress(raw1(to, 7<<3|text), o.dstAddr, from)
	to = rawCopies(to, o.copies[volume], from)
	to = p.sampler.put(to)
	if some(o.nextHop.Of(record)) {
		to = rawAddress(raw1(to, 12<<3|text), o.nextHop, from)
	}
	to = rawCopies(to, o.copies[routing], from)
	to = p.etype.put(to)
	if len(o.copies[inside]) > 0 {
		to = p.domain.put(rawCopies(to, o.copies[inside], from))
	}
	if o.bgpNextHop.Len() > 0 {
		if some(o.bgpNextHop.Of(record)) {
			to = rawAddress(raw2(to, tag(100, text)), o.bgpNextHop, from)
		}
		to = p.received.put(to)
	}
	to = rawTime(to, 111, own.TimeFlowStartNs)
	to = rawTime(to, 112, own.TimeFlowEndNs)
	if own.Direction != 0 {
		to = rawSmall(to, 200, byte(own.Direction))
	}
	to = p.realm.put(to)
	if len(o.copies[ending]) > 0 {
		to = p.quality.put(rawCopies(to, o.copies[ending], from))
	}
	if own.RecordId != 0 {
		to = raw8(raw2(to, tag(232, fixed8)), own.RecordId)
	}
	to = p.timeouts.put(to)
	if own.ReverseObservable {
		to = rawSmall(to, 235, 1)
	}
	if len(o.copies[vrfs]) > 0 {
		to = rawCopies(to, o.copies[vrfs], from)
	}
	if p.unknown.n > 0 {
		to = p.unknown.put(to)
	}
	if own.TimeSuspect {
		to = rawSmall(to, 243, 1)
	}
	return b[:len(b)+int(uintptr(to)-uintptr(start))]
}

// some tells whether any byte is not zero.
func some(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return true
		}
	}
	return false
}
