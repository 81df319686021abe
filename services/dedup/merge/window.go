// Package merge makes one flow of the reports of many exporters.
//
// Every router on the path reports the same packets. Of each conversation
// direction one observation point is the authority: only its counts count. The
// others are merged in as reporters, so nothing they said is lost.
//
//	report ─▶ first of its flow ────────▶ hold (10 s) ─▶ policy chooses the authority ─▶ flows with reporters
//	       ├▶ of the authority ─────────▶ at once, counted
//	       ├▶ of one that sees all, where the authority samples ▶ hold, then it takes over
//	       ├▶ of another, time covered ─▶ at once, zero volume: a late reporter
//	       ├▶ of another, after a gap ──▶ hold, then it takes over: no time is shared
//	       ╰▶ of another, beyond it ────▶ waits as long as the authority may be silent, then takes over,
//	                                      or, where the authority has left out its time, fills the gap,
//	                                      or waits on, if it is ahead of what the authority reports
//
// Time covered once is not counted again: after a failover a report that
// straddles the border counts by its uncovered share (RFC 7015 §5.1.1, uniform
// distribution).
//
// The package is pure: see DESIGN.md §3. All state is per flow key, so results do
// not depend on the number of partitions.
package merge

import (
	"time"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/slab"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// timeoutMargin is added to an exporter's timeouts: the way to us.
const timeoutMargin = 60 * time.Second

// rst is TCP's flag (RFC 9293 §3.1).
const rst = 0x04

// noPoint is the authority of a flow that has none yet.
const noPoint = ^uint32(0)

// Stats counts what happened, for metrics.
type Stats struct {
	Reports, Counted, Merged, Late, Failovers, Evicted, Hurried, ToldTwice uint64
	// Flows is the number remembered now, Waiting the reports held now.
	Flows, Waiting int
}

// Window holds the flows of one partition.
type Window struct {
	cfg Config
	// now is the tick of the last call.
	now    eventtime.Tick
	points points
	// tidyAt is how many points and standings there are when it is time to tidy.
	tidyAt    int
	topology  *topology // nil where exporters are as they come
	standings standings
	index     slab.Index
	entries   slab.Slab[entry]
	wide      slab.Slab[pair]
	pasts     slab.Slab[past]
	held      slab.Slab[held]
	packed    slab.Slab[packed]
	cells     cells
	// dropped reports may still be aliased by what was emitted.
	dropped []uint32
	holds   eventtime.Queue[uint32]
	// forget is when to look whether a flow is old enough to be forgotten.
	forget  eventtime.Queue[uint32]
	victims []victim
	ahead   ahead
	out     outputs
	stats   Stats
	// likes is how alike points were.
	likes map[[2]uint32]likeness
}

// New makes an empty window. The configuration must be valid.
func New(cfg Config) *Window {
	return &Window{cfg: cfg, topology: newTopology(cfg), standings: newStandings()}
}

// Stats are the counters so far.
func (w *Window) Stats() Stats {
	s := w.stats
	s.Flows = w.index.Len()
	return s
}

// NextTimer is the earliest tick at which something falls due.
func (w *Window) NextTimer() eventtime.Tick {
	return min(w.holds.Next(), w.forget.Next())
}

// Tick applies the reports of one tick, in order, and decides what is due at
// it. What it emits stays valid until the next call; reports that are passed on
// are emitted themselves, so they must stay valid as long.
func (w *Window) Tick(now eventtime.Tick, reports []*flowv1.Flow, emit func(*flowv1.Flow)) {
	w.begin(emitter{flows: emit})
	w.now = now
	for len(reports) > 0 {
		n := min(len(reports), lookahead)
		w.apply(w.ahead.structs(reports[:n]))
		reports = reports[n:]
	}
	w.fire(now)
	w.tidy()
}

// TickWire is Tick with reports as they lie on the wire. What it emits is valid
// during the call of emit only, but the bytes it is made of until the next call. A
// window is fed the one way or the other.
func (w *Window) TickWire(now eventtime.Tick, reports []*flow.Brief, emit func(*flow.Spliced)) {
	w.begin(emitter{wires: emit})
	w.now = now
	for len(reports) > 0 {
		n := min(len(reports), lookahead)
		w.apply(w.ahead.wires(reports[:n]))
		reports = reports[n:]
	}
	w.fire(now)
	w.tidy()
}

// End decides everything that waits: the timeline is over.
func (w *Window) End(_ eventtime.Tick, emit func(*flowv1.Flow)) {
	w.begin(emitter{flows: emit})
	w.decideAll()
}

// EndWire is End of a window that is fed by TickWire.
func (w *Window) EndWire(_ eventtime.Tick, emit func(*flow.Spliced)) {
	w.begin(emitter{wires: emit})
	w.decideAll()
}

func (w *Window) decideAll() {
	for id := range w.entries.Len() {
		for e := w.entries.At(id); e.has(waiting); {
			w.decide(e, id)
			w.out.passed()
		}
	}
}

// begin takes back what the last call emitted.
func (w *Window) begin(to emitter) {
	w.out.reset(to)
	w.release()
}

// fire does what is due at a tick.
func (w *Window) fire(now eventtime.Tick) {
	w.decideDue(now)
	w.forgetOld(now)
}

// decideDue decides the flows that are due at a tick, and tells how many those are.
func (w *Window) decideDue(tick eventtime.Tick) (n int) {
	for {
		id, ok := w.holds.Pop(tick)
		if !ok {
			return n
		}
		if e := w.entries.At(id); e.has(waiting) && w.due(e) <= tick {
			w.decide(e, id)
			w.out.passed()
			n++
		}
	}
}

// hurry keeps the reports that wait within their bound: the flows that are due soonest
// are decided now, all those of a tick, so that which they are depends on nothing else.
func (w *Window) hurry() {
	for w.stats.Waiting > w.cfg.MaxWaiting {
		w.stats.Hurried += uint64(w.decideDue(w.holds.Next()))
	}
}

func (w *Window) add(r *arrival, hash uint64, likely uint32) {
	w.stats.Reports++
	e, id := w.entry(&r.Key, hash, likely)
	e.last = uint32(w.now)
	p := w.pointOf(r)
	is := *w.standing(e)
	switch {
	case is.authority == noPoint:
		w.hold(e, id, p, r, w.firstDue(e, r))
	case p == is.authority && e.has(waiting):
		// The authority is alive: those who waited for it are its reporters, unless it
		// has left out their time. Then what it may yet say of that is waited for.
		w.hold(e, id, p, r, w.now)
		if w.leftOut(e, &is) {
			w.hasten(e, id, w.now.After(w.cfg.Hold))
		} else {
			w.decide(e, id)
		}
	case p == is.authority:
		if sampled := r.SamplingRate > 1; sampled != is.sampled {
			is.sampled = sampled
			e.setStanding(w.standings.id(is))
		}
		w.count(e, w.out.arrived(r), is.reason)
	case w.yields(&is, r.SamplingRate):
		w.hold(e, id, p, r, w.now.After(w.cfg.Hold))
	case r.TimeFlowEndNs <= e.coverEnd+uint64(w.cfg.Slack):
		w.reach(e, r.TimeFlowEndNs)
		w.late(e, is.authority, w.full(r))
	default:
		w.hold(e, id, p, r, w.dueOf(e, r.TimeFlowStartNs, r.SamplingRate))
	}
}

// dueOf is how long a report that goes beyond what is counted waits for the authority:
// only for what comes at the same time, if it begins there and the authority owes nothing.
// One that sees every packet leaves its place to a sampler only once it must have failed.
func (w *Window) dueOf(e *entry, start, rate uint64) eventtime.Tick {
	is := w.standing(e)
	if start > e.coverEnd+uint64(w.cfg.Slack) && w.past(e).reach <= e.coverEnd && (is.sampled || rate <= 1) {
		return w.now.After(w.cfg.Hold)
	}
	return w.now.After(w.patience(is.timeouts))
}

// firstDue is when a flow is decided that has no authority yet: after the hold, or,
// if it may be the refusal of one that waits already, with that one. Attempts at a
// closed port are often made again within a second. If all of them were told before
// the first refusal, they would look like one attempt that was answered once.
func (w *Window) firstDue(e *entry, r *arrival) eventtime.Tick {
	due := w.now.After(w.cfg.Hold)
	if e.has(waiting) || r.TCPFlags&rst == 0 {
		return due
	}
	asks := flow.Key{Src: r.Key.Dst, Dst: r.Key.Src, Realm: r.Key.Realm, Proto: r.Key.Proto}
	a, _ := w.lookup(&asks, asks.Hash())
	if a == nil || !a.has(waiting) || w.standing(a).authority != noPoint {
		return due
	}
	// Others must have time to report the refusal too.
	return max(w.due(a), w.now.After(w.cfg.Hold/2))
}

// full is a report with all it says.
func (w *Window) full(r *arrival) *flowv1.Flow {
	if r.flow != nil {
		return r.flow
	}
	return w.decode(r.Wire)
}

// patience is how long reports that share time with the authority's wait for
// it: an exporter that cuts a running flow after its active timeout, and waits
// for its inactive timeout, may be silent for both (DOMAIN: and 60 s).
func (w *Window) patience(timeouts uint32) time.Duration {
	if timeouts == 0 {
		return w.cfg.FailoverAfter
	}
	return max(w.cfg.FailoverAfter, time.Duration(timeouts)*time.Millisecond+timeoutMargin)
}
