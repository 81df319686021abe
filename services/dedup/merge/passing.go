package merge

import (
	"github.com/flowledger/flowledger/services/internal/eventtime"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Begin is the first part of Tick, Add and Finish are the others, for one who has the reports of a tick one
// after the other, in order, and does not want to keep them: once Add is back
// nothing refers to them any more. In return, what a window that is fed like this
// emits, End included, is valid during the call of emit only, so that one message
// does for all.
func (w *Window) Begin(now eventtime.Tick, emit func(*flowv1.Flow)) {
	w.begin(emitter{flows: emit})
	w.out.passing = true
	w.now = now
}

// Add applies the next reports of the tick.
func (w *Window) Add(reports []*flowv1.Flow) {
	for len(reports) > 0 {
		n := min(len(reports), lookahead)
		w.apply(w.ahead.structs(reports[:n]))
		reports = reports[n:]
	}
}

// Finish decides what is due at the tick.
func (w *Window) Finish() { w.fire(w.now) }
