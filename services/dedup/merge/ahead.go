package merge

import (
	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// lookahead is how many reports are looked up at once.
const lookahead = 64

// ahead is what is known of the next reports before they are applied.
type ahead struct {
	keys   [lookahead]flow.Key
	hashes [lookahead]uint64
	// seen keeps the compiler from dropping the loads.
	seen uint8
}

// lookAhead reads the keys of the next reports and touches where their state
// lies: loads of many reports overlap, where one after the other each would
// wait for memory. It returns how many reports it has looked at.
func (w *Window) lookAhead(reports []*flowv1.Flow) int {
	a := &w.ahead
	reports = reports[:min(len(reports), lookahead)]
	for i, f := range reports {
		a.keys[i] = flow.KeyOf(f)
		a.hashes[i] = a.keys[i].Hash()
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
	return len(reports)
}
