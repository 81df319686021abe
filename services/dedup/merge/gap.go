package merge

import (
	"slices"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// leftOut tells whether something waits that fillGap would count, as things stand.
func (w *Window) leftOut(e *entry, was *standing) bool {
	queue := w.queue(e)
	until := resumes(was, was.authority, queue)
	return slices.ContainsFunc(queue, func(h *held) bool { return w.inGap(e, h, until) })
}

// fillGap counts, from others, the time between what is counted and the next reports of
// the authority, where that was silent: its traffic took another way for a while, or its
// reports were lost. It returns the reports that are left, which are views of what the
// authority counts, or will.
func (w *Window) fillGap(e *entry, was *standing, authority uint32, queue []*held) []*held {
	until := resumes(was, authority, queue)
	for {
		var fills []*held
		fills, queue = w.earliest(e, queue, until)
		if len(fills) == 0 {
			return queue
		}
		// All of them see every packet, so the policy finds one among them.
		point, _ := w.byPolicy(e, w.claims(e, fills))
		w.close(e)
		w.emitHeld(e, standing{authority: point, reason: flowv1.Authority_AUTHORITY_FAILOVER}, fills)
		w.failOver(e)
	}
}

// earliest takes out of the queue the first report that lies in the gap, and those in the
// gap that share its time.
func (w *Window) earliest(e *entry, queue []*held, until uint64) (fills, rest []*held) {
	var first *held
	for _, h := range queue {
		if w.inGap(e, h, until) && (first == nil || h.start < first.start) {
			first = h
		}
	}
	if first == nil {
		return nil, queue
	}
	fills, rest = w.out.fills[:0], queue[:0]
	for _, h := range queue {
		if w.inGap(e, h, until) && h.start <= first.end {
			fills = append(fills, h)
		} else {
			rest = append(rest, h)
		}
	}
	w.out.fills = fills
	return fills, rest
}

// resumes is where the waiting reports of the authority begin; 0 if it samples, or did, so
// that its silence tells nothing, and at the start, when there is nothing to go on from.
func resumes(was *standing, authority uint32, queue []*held) uint64 {
	if was.sampled || was.authority == noPoint {
		return 0
	}
	until := ^uint64(0)
	for _, h := range queue {
		switch {
		case h.point != authority:
		case h.rate > 1:
			return 0
		default:
			until = min(until, h.start)
		}
	}
	return until
}

// wander is how far the times of one exporter may shift from one report to the next: in
// headers of NetFlow v5 and v9 the time of day is of whole seconds.
const wander = 2 * time.Second

// inGap tells whether a report is of packets that the authority did not report, between
// what is counted and until. Its first and its last packet passed when it says, but for
// the clock. Either of them does, if that is farther from what the authority reports than
// clocks may differ. Else it must be more than the packets at both ends of a pause, which
// the authority has too: it lies in between, or its exporter would have seen the pause.
func (w *Window) inGap(e *entry, h *held, until uint64) bool {
	slack := uint64(w.cfg.Slack)
	from, to := e.coverEnd+slack, until-min(until, slack)
	switch {
	case h.rate > 1 || h.end <= from || h.start >= to || from >= to:
		return false
	case from < h.start || h.end < to:
		return true
	case e.coverEnd < h.start && h.end < until:
		return !h.bridges(until - e.coverEnd)
	}
	return h.dense() && h.pausesNot(min(h.end, until)-max(h.start, e.coverEnd)-slack)
}

// bridges tells whether a report may be of two moments only that are a time apart: it is
// that long, but for the wander, and its packets are too few to lie less than that apart.
func (h *held) bridges(apart uint64) bool {
	return h.end-h.start+uint64(wander) >= apart && !h.dense()
}

// dense tells whether a report's packets, evenly spread, leave no pause in it.
func (h *held) dense() bool { return h.packets > (h.end-h.start)/uint64(wander) }

// pausesNot tells that the exporter would have ended its report in a pause that long:
// one of twice its inactive timeout, as not all look at the clock in time.
func (h *held) pausesNot(pause uint64) bool {
	return h.inactive > 0 && pause > 2*uint64(h.inactive)*uint64(time.Second)
}
