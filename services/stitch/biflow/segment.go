package biflow

import (
	"math"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// segment is what a table takes in of one flow, packed: a tick has tens of
// thousands, and each is fetched from memory twice, to be sorted and to be applied.
// It is two cache lines; the first is for sorting and placing it.
type segment struct {
	start, received, recordID uint64
	place
	end, bytes, packets, rate uint64
	// point is who reported it.
	point *point
	// extra is what few have.
	extra *extra
	// timeouts are its exporter's.
	timeouts
	// marks are what it marks its conversation with.
	marks marks
	// icmp is type and code.
	icmp uint16
	// flags are TCP's, whatever the protocol; role is what they tell of the source.
	flags         uint8
	role          role
	hint          uint8
	endReason     uint8
	kind, quality uint8
	// deleted: the firewall's word for its end.
	late, deleted bool
}

// extra is what a segment of a single exporter mostly has not.
type extra struct {
	// reporters are the other observation points.
	reporters []view
	// full has what few flows tell (flow.Telling), or is nil.
	full *flowv1.Flow
}

// view is what counts of one reporter.
type view struct {
	point
	// length is how long the flow was that it told of, nanoseconds.
	length uint64
	denied bool
}

// pack takes in what a report says. Place, point and extra are the caller's to set.
func (s *segment) pack(r *report) {
	n := &r.Numbers
	s.start, s.end, s.received, s.recordID = n[flow.AtStart], n[flow.AtEnd], n[flow.AtReceived], n[flow.AtRecordID]
	s.bytes, s.packets, s.rate = n[flow.AtBytes], n[flow.AtPackets], n[flow.AtRate]
	s.timeouts, s.marks = r.timeouts(), r.marks()
	s.icmp = uint16(n[flow.AtICMPType])<<8 | uint16(n[flow.AtICMPCode])
	s.flags, s.role = uint8(n[flow.AtFlags]), r.tcpRole()
	s.hint, s.endReason = small(n[flow.AtHint]), small(n[flow.AtEndReason])
	s.kind, s.quality = uint8(n[flow.AtKind]), uint8(n[flow.AtQuality])
	s.late, s.deleted = n[flow.AtLate] != 0, uint32(n[flow.AtFirewall]) == eventDeleted
}

// small is a number of 32 bits, of which those beyond 255 are all alike.
func small(v uint64) uint8 { return uint8(min(uint32(v), math.MaxUint8)) }
