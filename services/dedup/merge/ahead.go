package merge

import (
	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/slab"
)

// lookahead is how many reports are looked up at once.
const lookahead = 64

// ahead is what is known of the next reports before they are applied.
type ahead struct {
	reports [lookahead]arrival
	hashes  [lookahead]uint64
	// likely are the numbers of the entries that reports likely belong to.
	likely [lookahead]uint32
	// briefs are those of reports that came as structs.
	briefs [lookahead]flow.Brief
	// made are the hashes of the entries made since.
	made slab.Recent
	// seen keeps the compiler from dropping the loads.
	seen uint32
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
	w.index.Find(a.hashes[:len(reports)], a.likely[:])
	seen := uint32(0)
	for _, n := range a.likely[:len(reports)] {
		if n != slab.None {
			seen |= w.entries.At(n).last
		}
	}
	a.seen |= seen
	a.made = slab.Recent{}
	for i := range reports {
		w.add(&reports[i], a.hashes[i], a.likely[i])
		w.out.passed()
		if w.stats.Waiting > w.cfg.MaxWaiting {
			w.hurry()
		}
	}
}
