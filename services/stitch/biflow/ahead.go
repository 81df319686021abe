package biflow

import (
	"github.com/flowledger/flowledger/services/internal/flow"
)

// lookahead is how many flows are looked up at once.
const lookahead = 64

// ahead is what is known of the next flows before they are applied: loads of many
// overlap, where one after the other each would wait for memory.
type ahead struct {
	segments [lookahead]*segment
	// seen keeps the compiler from dropping the loads.
	seen uint64
}

// applyAhead applies the next flows of an input.
func (t *Table) applyAhead(in *Input, flows []flow.Place) {
	a := &t.ahead
	segments := a.segments[:len(flows)]
	for i, p := range flows {
		s := in.segments.at(p.At)
		segments[i] = s
		hint, _ := t.index.Hint(s.hash)
		a.seen += uint64(hint) + s.end
	}
	// The index is at hand now, and tells whose state will be asked for.
	var ids [lookahead]uint32
	found := 0
	for _, s := range segments {
		if probe := t.index.Probe(s.hash); probe.Next() {
			ids[found] = probe.Number()
			found++
		}
	}
	a.load(t, ids[:found])
	for _, s := range segments {
		t.apply(s)
	}
}

// touch loads conversations and where the index has them.
func (a *ahead) touch(t *Table, ids []uint32) {
	a.load(t, ids)
	for _, id := range ids {
		if c := t.convs.At(id); c.has(live) {
			hint, _ := t.index.Hint(t.hash(c))
			a.seen += uint64(hint)
		}
	}
}

// load asks for both lines of conversations.
func (a *ahead) load(t *Table, ids []uint32) {
	for _, id := range ids {
		c := t.convs.At(id)
		a.seen += c.id + uint64(c.proto)
	}
}
