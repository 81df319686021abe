package merge

import (
	"slices"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// rest starts the late horizon of a flow that has been decided and waits for
// nothing. Its timer may ring early, since a later report does not move it.
func (w *Window) rest(e *entry, id uint32) {
	if !e.has(timed) {
		e.set(timed)
		w.forget.Set(w.forgetAt(e), id)
	}
}

// forgetAt is when nobody has reported a flow for the late horizon.
func (w *Window) forgetAt(e *entry) eventtime.Tick {
	return w.lastTick(e).After(w.cfg.LateHorizon)
}

// forgetOld drops flows that nobody has reported for the late horizon.
func (w *Window) forgetOld(now eventtime.Tick) {
	var due [lookahead]uint32
	for {
		n := 0
		for ; n < lookahead; n++ {
			id, ok := w.forget.Pop(now)
			if !ok {
				break
			}
			due[n] = id
		}
		if n == 0 {
			break
		}
		w.forgetDue(due[:n], now)
	}
	for w.index.Len() > w.cfg.MaxFlows && w.forget.Next() != eventtime.Never {
		w.evict(w.index.Len()-w.cfg.MaxFlows, w.forget.Next())
	}
}

// forgetDue drops those of the flows whose timers mean it. As with reports, where
// they lie in the index is touched for all of them first.
func (w *Window) forgetDue(due []uint32, now eventtime.Tick) {
	var hashes [lookahead]uint64
	n := 0
	for _, id := range due {
		if w.stillTimed(id, now) {
			k := w.key(w.entries.At(id))
			due[n], hashes[n] = id, k.Hash()
			n++
		}
	}
	var numbers [lookahead]uint32
	w.index.Find(hashes[:n], numbers[:])
	for i, id := range due[:n] {
		w.remove(id, hashes[i])
	}
}

// stillTimed tells whether a timer that rang means it. One that came too early
// is set anew; a flow that waits gets a timer when its wait ends.
func (w *Window) stillTimed(id uint32, now eventtime.Tick) bool {
	e := w.entries.At(id)
	if e.has(waiting) {
		e.clear(timed)
		return false
	}
	if at := w.forgetAt(e); at > now {
		w.forget.Set(at, id)
		return false
	}
	return true
}

// victim is a flow that may be evicted.
type victim struct {
	key flow.Key
	id  uint32
}

// evict keeps the window within its bound by forgetting up to n flows that wait
// for nothing and are to be forgotten at tick, the soonest there is. Of equals
// the lower key goes first, so that a restored window chooses alike.
func (w *Window) evict(n int, tick eventtime.Tick) {
	victims := w.victims[:0]
	for {
		id, ok := w.forget.Pop(tick)
		if !ok {
			break
		}
		if w.stillTimed(id, tick) {
			victims = append(victims, victim{w.key(w.entries.At(id)), id})
		}
	}
	w.victims = victims
	if n < len(victims) {
		slices.SortFunc(victims, func(a, b victim) int { return a.key.Compare(&b.key) })
	}
	for i := range victims {
		if i >= n {
			w.forget.Set(tick, victims[i].id)
			continue
		}
		w.remove(victims[i].id, victims[i].key.Hash())
		w.stats.Evicted++
	}
}
