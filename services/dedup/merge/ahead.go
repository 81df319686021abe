package merge

import (
	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// lookahead is how many reports are looked up at once.
const lookahead = 64

// ahead is what is known of the next reports before they are applied.
type ahead struct {
	reports [lookahead]arrival
	hashes  [lookahead]uint64
	// briefs are those of reports that came as structs.
	briefs [lookahead]flow.Brief
	// seen keeps the compiler from dropping the loads.
	seen uint8
}

// structs reads the next reports.
func (a *ahead) structs(flows []*flowv1.Flow) []arrival {
	for i, f := range flows {
		b := &a.briefs[i]
		b.Of(f)
		a.reports[i] = arrival{b, f}
	}
	return a.reports[:len(flows)]
}

// wires takes the next reports, which have been read.
func (a *ahead) wires(briefs []*flow.Brief) []arrival {
	for i, b := range briefs {
		a.reports[i] = arrival{b, nil}
	}
	return a.reports[:len(briefs)]
}

// apply adds the next reports. First it touches where their state lies: loads of
// many reports overlap, where one after the other each would wait for memory.
func (w *Window) apply(reports []arrival) {
	a := &w.ahead
	for i := range reports {
		a.hashes[i] = reports[i].Key.Hash()
	}
	var hints [lookahead]uint32
	n := 0
	for i := range reports {
		id, ok := w.index.Hint(a.hashes[i])
		hints[n] = id
		if ok {
			n++
		}
	}
	for _, id := range hints[:n] {
		a.seen |= w.entries.At(id).proto
	}
	for i := range reports {
		w.add(&reports[i], a.hashes[i])
		w.out.passed()
	}
}
