package biflow

import (
	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// lookahead is how many flows are looked up at once.
const lookahead = 64

// ahead is what is known of the next flows before they are applied: loads of many
// overlap, where one after the other each would wait for memory.
type ahead struct {
	own      [lookahead]segment
	segments [lookahead]*segment
	places   [lookahead]place
	views    []view
	// seen keeps the compiler from dropping the loads.
	seen uint64
}

// fromMessages reads the next flows and returns how many it has read.
func (a *ahead) fromMessages(flows []*flowv1.Flow) int {
	flows = flows[:min(len(flows), lookahead)]
	a.views = a.views[:0]
	for i, f := range flows {
		a.views = a.own[i].from(f, a.views)
		a.segments[i] = &a.own[i]
	}
	return len(flows)
}

// fromInput takes the next flows of an input and returns how many it has taken.
func (a *ahead) fromInput(in *Input, sorted []flow.Place) int {
	sorted = sorted[:min(len(sorted), lookahead)]
	for i, p := range sorted {
		a.segments[i] = &in.segments[p.At]
	}
	return len(sorted)
}

// applyAhead applies the next n flows.
func (t *Table) applyAhead(n int) {
	a := &t.ahead
	for i, s := range a.segments[:n] {
		a.places[i].of(s)
	}
	for i := range a.places[:n] {
		hint, _ := t.index.Hint(a.places[i].hash)
		a.seen += uint64(hint)
	}
	// The index is at hand now, and tells whose state will be asked for.
	var ids [lookahead]uint32
	found := 0
	for i := range a.places[:n] {
		if probe := t.index.Probe(a.places[i].hash); probe.Next() {
			ids[found] = probe.Number()
			found++
		}
	}
	a.load(t, ids[:found])
	for i, s := range a.segments[:n] {
		t.apply(s, &a.places[i])
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

// load asks for all lines of conversations.
func (a *ahead) load(t *Table, ids []uint32) {
	for _, id := range ids {
		c := t.convs.At(id)
		a.seen += c.id + c.half[1].bytes + uint64(c.proto)
	}
}
