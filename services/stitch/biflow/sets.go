package biflow

import (
	"slices"

	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/slab"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// maxReporters bounds the reporters kept per conversation.
const maxReporters = 16

// sets gives numbers to sets of observation points: most conversations were
// reported by the same few. A set never changes; a conversation that a further
// point reports goes over to another. Sets without holders are forgotten.
type sets struct {
	all    slab.Slab[set]
	index  slab.Index
	points points
	// sole is the set of one point that was asked for last.
	sole, solePoint uint32
	scratch         []uint32
}

type set struct {
	// members are numbers of points, in the points' order.
	members []uint32
	holders uint32
	// reporters are the members as they go into messages, wire the same as field
	// 30 of a biflow.
	reporters []*flowv1.Reporter
	wire      []byte
}

// start holds the set of one point.
func (ss *sets) start(p uint32) uint32 {
	if ss.solePoint == p && ss.sole < ss.all.Len() {
		if s := ss.all.At(ss.sole); len(s.members) == 1 && s.members[0] == p {
			s.holders++
			return ss.sole
		}
	}
	ss.scratch = append(ss.scratch[:0], p)
	ss.sole, ss.solePoint = ss.take(ss.scratch), p
	return ss.sole
}

// add is the set n with one more point. The caller holds the answer instead of n.
func (ss *sets) add(n, p uint32) uint32 {
	s := ss.all.At(n)
	if slices.Contains(s.members, p) || len(s.members) >= maxReporters {
		return n
	}
	v := ss.points.at(p)
	at, _ := slices.BinarySearchFunc(s.members, v, func(m uint32, v *point) int { return ss.points.at(m).compare(v) })
	ss.scratch = append(ss.scratch[:0], s.members[:at]...)
	ss.scratch = append(append(ss.scratch, p), s.members[at:]...)
	grown := ss.take(ss.scratch)
	ss.drop(n)
	return grown
}

// take finds or makes the set of members and holds it.
func (ss *sets) take(members []uint32) uint32 {
	h := hashOf(members)
	for probe := ss.index.Probe(h); probe.Next(); {
		if s := ss.all.At(probe.Number()); slices.Equal(s.members, members) {
			s.holders++
			return probe.Number()
		}
	}
	n, s := ss.all.Take()
	*s = set{members: slices.Clone(members), holders: 1}
	for _, m := range members {
		ss.points.hold(m)
		p := ss.points.at(m)
		r := &flowv1.Reporter{
			SamplerAddress: slices.Clone(p.sampler.Wire()), ObservationDomainId: p.domain, Direction: p.direction(),
		}
		s.reporters = append(s.reporters, r)
		s.wire = flow.AppendBiflowReporter(s.wire, r)
	}
	ss.index.Insert(h, n)
	return n
}

// hold adds a holder to a number that somebody holds.
func (ss *sets) hold(n uint32) { ss.all.At(n).holders++ }

// drop takes a holder off.
func (ss *sets) drop(n uint32) {
	s := ss.all.At(n)
	if s.holders--; s.holders > 0 {
		return
	}
	ss.index.Delete(hashOf(s.members), n)
	for _, m := range s.members {
		ss.points.drop(m)
	}
	*s = set{} // what was lent out of it lives on
	ss.all.Give(n)
}

func (ss *sets) at(n uint32) *set { return ss.all.At(n) }

func hashOf(members []uint32) (h uint64) {
	for _, m := range members {
		h = fold(h^uint64(m), 0x8bb84b93962eacc9)
	}
	return h
}
