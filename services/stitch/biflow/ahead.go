package biflow

import (
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/slab"
)

// lookahead is how many flows are looked up at once.
const lookahead = 64

// ahead is what is known of the next flows before they are applied: loads of many
// overlap, where one after the other each would wait for memory.
type ahead struct {
	segments [lookahead]*segment
	hashes   [lookahead]uint64
	// newest are the conversations that the index has for them, none where it has
	// none. Another key's may be among them.
	newest [lookahead]uint32
	// opened are the hashes of the conversations opened since.
	opened slab.Recent
	// seen keeps the compiler from dropping the loads.
	seen uint64
}

// applyAhead applies the next flows of an input.
func (t *Table) applyAhead(in *Input, flows []flow.Place) {
	a := &t.ahead
	segments, newest := a.segments[:len(flows)], a.newest[:len(flows)]
	for i, p := range flows {
		s := in.segments.At(p.At)
		segments[i], a.hashes[i] = s, s.hash
		a.seen += s.end
	}
	t.index.Find(a.hashes[:len(flows)], newest)
	for _, id := range newest {
		if id != none {
			a.load(t, id)
		}
	}
	a.opened = slab.Recent{}
	for i, s := range segments {
		t.apply(s, newest[i])
	}
}

// newestFor is the newest conversation of a flow's key. The index need not be asked
// again unless one that it told of is another's, or may have been opened since.
func (t *Table) newestFor(s *segment, hint uint32) (uint32, bool) {
	switch {
	case hint == none:
		if !t.ahead.opened.Has(s.hash) {
			return 0, false
		}
	case !t.convs.At(hint).has(behind) && t.is(t.convs.At(hint), &s.place):
		return hint, true
	}
	return t.lookup(&s.place)
}

// touch loads conversations and where the index has them.
func (a *ahead) touch(t *Table, ids []uint32) {
	for _, id := range ids {
		a.load(t, id)
	}
	n := 0
	for _, id := range ids {
		if c := t.convs.At(id); c.has(live) {
			a.hashes[n] = t.hash(c)
			n++
		}
	}
	t.index.Find(a.hashes[:n], a.newest[:])
}

// load asks for both lines of a conversation.
func (a *ahead) load(t *Table, id uint32) {
	c := t.convs.At(id)
	a.seen += c.id + uint64(c.proto)
}
