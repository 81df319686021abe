package biflow

import (
	"encoding/binary"
	"slices"

	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/slab"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// maxReporters bounds the reporters kept per conversation.
const maxReporters = 16

// origin is what conversations have in common with many others: who reported them,
// and how it was measured.
type origin struct {
	// members are numbers of points, in the points' order.
	members []uint32
	// first are who reported the earliest flow of each half, for comparing starts;
	// none where no flow came.
	first [2]uint32
	measured
	holders uint32
	// several: its members are points of more than one exporter.
	several bool
	// idle: in the list of those that nobody held.
	idle bool
	// reporters are the members as they go into messages, wire the same as field
	// 30 of a biflow.
	reporters []*flowv1.Reporter
	wire      []byte
}

// measured is how flows were sampled, timed and cut. Of all that came the largest counts.
type measured struct {
	rate uint64
	timeouts
	kind, quality uint8
	// mixed: flows stood for different numbers of packets each (worth).
	mixed bool
}

// origins gives numbers to origins. One never changes: a conversation of which more
// comes goes over to another. Where nobody holds one it is kept for a while, since
// the next conversation mostly begins as the last one did.
type origins struct {
	all    slab.Slab[origin]
	index  slab.Index
	points points
	// steps are the latest by a hash: mostly the next flow leads from one origin to
	// another as an earlier one has. They hold as long as no origin is forgotten.
	steps     [1 << 6]step
	forgotten uint32
	// idle are the latest that nobody held, by number, one higher; next is the place
	// of the oldest of them.
	idle [1 << 7]uint32
	next uint8
	// scratch is the origin that is begun, taken the points that it asked for.
	scratch origin
	taken   []uint32
}

// step is how a flow leads from one origin to the next: one of a side, that begins
// earlier than all before it or not, reported and measured in a way.
type step struct {
	point
	measured
	from      uint32
	to        uint32 // one higher; 0 is no step
	forgotten uint32
	side      uint8
	earliest  bool
}

// slotOf is where a step is looked for.
func (os *origins) slotOf(from uint32, s *segment, earliest bool) *step {
	v := uint64(binary.LittleEndian.Uint32(s.point.sampler[12:]))<<32 | uint64(from)
	v ^= uint64(s.point.domain)<<16 ^ uint64(s.side)<<31
	if earliest {
		v ^= 1 << 30
	}
	return &os.steps[fold(v, 0x4b33a62ed433d4a3)>>58]
}

// after is the origin of a conversation that had one, or none, after a flow. The
// caller holds it instead of the one before.
func (os *origins) after(from uint32, s *segment, earliest bool) uint32 {
	if s.extra != nil && len(s.extra.reporters) > 0 {
		os.begin(from)
		os.takeIn(s, earliest)
		os.insertAll(s.extra.reporters)
		return os.finish(from)
	}
	at := os.slotOf(from, s, earliest)
	if at.from == from && at.side == s.side && at.earliest == earliest && at.point == *s.point &&
		at.rate == s.rate && at.timeouts == s.timeouts && at.kind == s.kind && at.quality == s.quality && at.forgotten == os.forgotten && at.to != 0 {
		to := at.to - 1
		if to != from {
			os.hold(to)
			os.release(from)
		}
		return to
	}
	os.begin(from)
	os.takeIn(s, earliest)
	to := os.finish(from)
	*at = step{*s.point, measured{s.rate, s.timeouts, s.kind, s.quality, false}, from, to + 1, os.forgotten, s.side, earliest}
	return to
}

// with is the origin n with more reporters. The caller holds it instead of n.
func (os *origins) with(n uint32, reporters []view) uint32 {
	os.begin(n)
	os.insertAll(reporters)
	return os.finish(n)
}

// begin begins another origin than from, with all that it has.
func (os *origins) begin(from uint32) {
	o := &os.scratch
	o.members, o.first, o.measured = o.members[:0], [2]uint32{none, none}, measured{}
	if from != none {
		was := os.all.At(from)
		o.members, o.first, o.measured = append(o.members, was.members...), was.first, was.measured
	}
}

// takeIn takes a flow into the origin that was begun.
func (os *origins) takeIn(s *segment, earliest bool) {
	o := &os.scratch
	p := os.insert(s.point)
	o.mixed = o.mixed || o.first != [2]uint32{none, none} && o.worth() != worth(s.rate, s.kind)
	if earliest {
		o.first[s.side] = p
	}
	o.rate, o.active, o.inactive = max(o.rate, s.rate), max(o.active, s.active), max(o.inactive, s.inactive)
	o.kind, o.quality = max(o.kind, s.kind), max(o.quality, s.quality)
}

func (os *origins) insertAll(reporters []view) {
	for i := range reporters {
		os.insert(&reporters[i].point)
	}
}

// insert makes a point a member of the origin that was begun, if there is room, and
// numbers it.
func (os *origins) insert(v *point) uint32 {
	o := &os.scratch
	p := os.points.take(v)
	os.taken = append(os.taken, p)
	if !slices.Contains(o.members, p) && len(o.members) < maxReporters {
		at, _ := slices.BinarySearchFunc(o.members, v, func(m uint32, v *point) int { return os.points.at(m).compare(v) })
		o.members = slices.Insert(o.members, at, p)
	}
	return p
}

// finish holds the origin that was begun instead of from.
func (os *origins) finish(from uint32) uint32 {
	n := os.take(&os.scratch)
	for _, p := range os.taken {
		os.points.drop(p)
	}
	os.taken = os.taken[:0]
	os.release(from)
	return n
}

// release drops an origin, if it is one.
func (os *origins) release(n uint32) {
	if n != none {
		os.drop(n)
	}
}

// take finds or makes an origin and holds it.
func (os *origins) take(o *origin) uint32 {
	h := o.hash()
	for probe := os.index.Probe(h); probe.Next(); {
		if x := os.all.At(probe.Number()); x.first == o.first && x.measured == o.measured && slices.Equal(x.members, o.members) {
			x.holders++
			return probe.Number()
		}
	}
	n, x := os.all.Take()
	*x = origin{members: slices.Clone(o.members), first: o.first, measured: o.measured, holders: 1}
	for _, m := range x.members {
		os.points.hold(m)
		p := os.points.at(m)
		r := &flowv1.Reporter{
			SamplerAddress: slices.Clone(p.sampler.Wire()), ObservationDomainId: p.domain, Direction: p.direction(),
		}
		x.reporters = append(x.reporters, r)
		x.wire = flow.AppendBiflowReporter(x.wire, r)
		x.several = x.several || p.sampler != os.points.at(x.members[0]).sampler
	}
	for _, p := range x.first {
		if p != none {
			os.points.hold(p)
		}
	}
	os.index.Insert(h, n)
	return n
}

func (o *origin) hash() uint64 {
	h := fold(o.rate^uint64(o.kind)<<40^uint64(o.quality)<<48, 0x8bb84b93962eacc9)
	h = fold(h^uint64(o.active)<<16^uint64(o.inactive)^oneIf(o.mixed)<<32, 0x4b33a62ed433d4a3)
	h = fold(h^uint64(o.first[0])<<32^uint64(o.first[1]), 0x4b33a62ed433d4a3)
	for _, m := range o.members {
		h = fold(h^uint64(m), 0x8bb84b93962eacc9)
	}
	return h
}

// hold adds a holder.
func (os *origins) hold(n uint32) { os.all.At(n).holders++ }

// drop takes a holder off.
func (os *origins) drop(n uint32) {
	o := os.all.At(n)
	if o.holders--; o.holders > 0 || o.idle {
		return
	}
	o.idle = true
	os.retire(n + 1)
}

// retire puts an idle origin, one higher, in the place of the one that has been idle
// longest, which is forgotten unless somebody has taken it up again.
func (os *origins) retire(n uint32) {
	oldest := os.idle[os.next]
	os.idle[os.next] = n
	os.next = (os.next + 1) % uint8(len(os.idle))
	if oldest == 0 {
		return
	}
	o := os.all.At(oldest - 1)
	if o.idle = false; o.holders == 0 {
		os.forget(oldest-1, o)
	}
}

// settle forgets all that nobody holds.
func (os *origins) settle() {
	for range os.idle {
		os.retire(0)
	}
}

func (os *origins) forget(n uint32, o *origin) {
	os.forgotten++
	os.index.Delete(o.hash(), n)
	for _, m := range o.members {
		os.points.drop(m)
	}
	for _, p := range o.first {
		if p != none {
			os.points.drop(p)
		}
	}
	*o = origin{} // what was lent out of it lives on
	os.all.Give(n)
}

func (os *origins) at(n uint32) *origin { return os.all.At(n) }

// sameExporter tells whether one exporter reported the earliest flows of both halves.
func (os *origins) sameExporter(o *origin) bool {
	a, b := o.first[0], o.first[1]
	return a == b || a != none && b != none && os.points.at(a).sampler == os.points.at(b).sampler
}
