// Package merge makes one flow of the reports of many exporters.
//
// Every router on the path reports the same packets. Of each conversation
// direction one observation point is the authority: only its counts count. The
// others are merged in as reporters, so nothing they said is lost.
//
//	report ─▶ first of its flow ────────▶ hold (10 s) ─▶ policy chooses the authority ─▶ flows with reporters
//	       ├▶ of the authority ─────────▶ at once, counted
//	       ├▶ of another, time covered ─▶ at once, zero volume: a late reporter
//	       ├▶ of another, after a gap ──▶ hold, then it takes over: no time is shared
//	       ╰▶ of another, beyond it ────▶ waits as long as the authority may be silent, then takes over
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

// noPoint is the authority of a flow that has none yet.
const noPoint = ^uint32(0)

// entry is what is remembered of one conversation direction.
type entry struct {
	key flow.Key
	// authority is the id of the observation point whose counts count.
	authority uint32
	// why it is the authority.
	reason flowv1.Authority
	// coverEnd is the end of the time counted so far; floor the end of the time
	// that former authorities counted, of which nothing is counted again.
	coverEnd, floor uint64
	// reach is the end of the time that merged reporters told of. What lies
	// between coverEnd and it the authority has yet to report.
	reach uint64
	// timeouts is the authority's active plus inactive timeout, in milliseconds;
	// 0 is unknown.
	timeouts uint32
	// last is the tick of the last report of any point.
	last eventtime.Tick
	// held is the list of reports that wait, oldest first; due is when they are decided.
	held []held
	due  eventtime.Tick
	live bool
}

// held is one waiting report: the flow as encoded, and what the decision needs.
type held struct {
	cell           []byte
	point          uint32
	start, end     uint64
	bytes, packets uint64
	rate           uint64
	inIf           uint32
	timeouts       uint32
}

// Stats counts what happened, for metrics.
type Stats struct {
	Reports, Counted, Merged, Late, Failovers, Evicted uint64
	// Flows is the number remembered now, Waiting the reports held now.
	Flows, Waiting int
}

// Window holds the flows of one partition.
type Window struct {
	cfg     Config
	points  points
	index   map[flow.Key]uint32
	entries slab.Slab[entry]
	holds   eventtime.Queue[uint32]
	// forget is when to look whether a flow is old enough to be forgotten.
	forget eventtime.Queue[uint32]
	cells  cells
	out    outputs
	stats  Stats
}

// New makes an empty window. The configuration must be valid.
func New(cfg Config) *Window {
	return &Window{cfg: cfg, index: make(map[flow.Key]uint32)}
}

// Stats are the counters so far.
func (w *Window) Stats() Stats {
	s := w.stats
	s.Flows = len(w.index)
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
	w.begin()
	for _, f := range reports {
		w.add(now, f, emit)
	}
	for {
		id, ok := w.holds.Pop(now)
		if !ok {
			break
		}
		if e := w.entries.At(id); e.live && len(e.held) > 0 && e.due <= now {
			w.decide(e, emit)
		}
	}
	w.forgetOld(now)
}

// End decides everything that waits: the timeline is over.
func (w *Window) End(_ eventtime.Tick, emit func(*flowv1.Flow)) {
	w.begin()
	for id := range w.entries.Len() {
		if e := w.entries.At(id); e.live && len(e.held) > 0 {
			w.decide(e, emit)
		}
	}
}

// begin takes back what the last call emitted.
func (w *Window) begin() {
	w.out.reset()
	w.cells.release()
}

func (w *Window) add(now eventtime.Tick, f *flowv1.Flow, emit func(*flowv1.Flow)) {
	w.stats.Reports++
	e, id := w.entry(flow.KeyOf(f))
	e.last = now
	p := w.points.id(pointOf(f))
	switch {
	case e.authority == noPoint:
		w.hold(e, id, p, f, now.After(w.cfg.Hold))
	case p == e.authority && len(e.held) > 0:
		// The authority is alive: those who waited for it are its reporters.
		w.hold(e, id, p, f, now)
		w.decide(e, emit)
	case p == e.authority:
		w.count(e, f, e.reason, emit)
	case f.TimeFlowEndNs <= e.coverEnd+uint64(w.cfg.Slack):
		e.reach = max(e.reach, f.TimeFlowEndNs)
		w.late(e, e.authority, f, emit)
	case f.TimeFlowStartNs > e.coverEnd+uint64(w.cfg.Slack) && e.reach <= e.coverEnd:
		w.hold(e, id, p, f, now.After(w.cfg.Hold))
	default:
		w.hold(e, id, p, f, now.After(w.patience(e)))
	}
}

// patience is how long reports that share time with the authority's wait for
// it: an exporter that cuts a running flow after its active timeout, and waits
// for its inactive timeout, may be silent for both (DOMAIN: and 60 s).
func (w *Window) patience(e *entry) time.Duration {
	if e.timeouts == 0 {
		return w.cfg.FailoverAfter
	}
	return max(w.cfg.FailoverAfter, time.Duration(e.timeouts)*time.Millisecond+timeoutMargin)
}

// entry finds or makes the state of a flow.
func (w *Window) entry(k flow.Key) (*entry, uint32) {
	if id, ok := w.index[k]; ok {
		return w.entries.At(id), id
	}
	id, e := w.entries.Take()
	w.index[k] = id
	*e = entry{key: k, authority: noPoint, live: true, held: e.held[:0]}
	return e, id
}

// hold keeps a report until the decision of its flow: due if it is the first to
// wait, else that of the first. What came first may need more patience.
func (w *Window) hold(e *entry, id, p uint32, f *flowv1.Flow, due eventtime.Tick) {
	e.held = append(e.held, held{
		cell:  w.cells.put(f),
		point: p,
		start: f.TimeFlowStartNs, end: f.TimeFlowEndNs,
		bytes: f.Bytes, packets: f.Packets,
		rate: f.SamplingRate, inIf: f.InIf,
		timeouts: f.ActiveTimeoutMs + f.InactiveTimeoutMs,
	})
	w.stats.Waiting++
	if len(e.held) == 1 {
		e.due = due
		w.holds.Set(due, id)
	}
}

// forgetOld drops flows that nobody has reported for the late horizon.
func (w *Window) forgetOld(now eventtime.Tick) {
	for {
		id, ok := w.forget.Pop(now)
		if !ok {
			break
		}
		e := w.entries.At(id)
		if due := e.last.After(w.cfg.LateHorizon); due > now || len(e.held) > 0 {
			w.forget.Set(max(due, now+1), id)
			continue
		}
		w.remove(id)
	}
	w.evict()
}

// evict keeps the window within its bound by forgetting what waits for nothing,
// soonest to be forgotten first.
func (w *Window) evict() {
	for len(w.index) > w.cfg.MaxFlows && w.forget.Len() > 0 {
		id, ok := w.forget.Pop(eventtime.Never - 1)
		if !ok {
			return
		}
		e := w.entries.At(id)
		if len(e.held) > 0 {
			w.forget.Set(e.due+1, id)
			return
		}
		w.remove(id)
		w.stats.Evicted++
	}
}

func (w *Window) remove(id uint32) {
	e := w.entries.At(id)
	delete(w.index, e.key)
	*e = entry{held: e.held[:0]}
	w.entries.Give(id)
}
