package merge

import (
	"slices"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// leftOut tells whether something waits that fillGap would count, as things stand.
func (w *Window) leftOut(e *entry, is *standing) bool {
	queue := w.queue(e)
	until := w.resumes(is, queue)
	return slices.ContainsFunc(queue, func(h *held) bool { return w.inGap(e, h, until) })
}

// fillGap counts, from another point, the time between what is counted and the next
// reports of the authority, where that was silent: its traffic took another way for a
// while, or its reports were lost. It returns the reports that are left, which are views
// of what the authority counts.
func (w *Window) fillGap(e *entry, is *standing, queue []*held) []*held {
	until := w.resumes(is, queue)
	fills, rest := w.out.fills[:0], queue[:0]
	for _, h := range queue {
		if w.inGap(e, h, until) {
			fills = append(fills, h)
		} else {
			rest = append(rest, h)
		}
	}
	w.out.fills = fills
	if len(fills) == 0 {
		return rest
	}
	// All of them see every packet, so the policy finds one among them.
	point, _ := w.byPolicy(e, w.claims(e, fills))
	w.emitHeld(e, standing{authority: point, reason: flowv1.Authority_AUTHORITY_FAILOVER}, fills)
	w.failOver(e)
	return rest
}

// resumes is where the waiting reports of the authority begin; 0 if it samples, so that
// its silence tells nothing.
func (w *Window) resumes(is *standing, queue []*held) uint64 {
	if is.sampled {
		return 0
	}
	until := ^uint64(0)
	for _, h := range queue {
		if h.point == is.authority {
			until = min(until, h.start)
		}
	}
	return until
}

// wander is how far the times of one exporter may shift from one report to the next: in
// headers of NetFlow v5 and v9 the time of day is of whole seconds.
const wander = 2 * time.Second

// inGap tells whether a report is of packets that the authority did not report: it lies
// between what is counted and until, and in part farther from both than clocks may
// differ. A view of the authority's own packets, its clock being that much off, would
// reach into what the authority reports, or lie that near to it; one of packets at either
// end of the gap would fill it but for the wander. The authority's reports end later.
func (w *Window) inGap(e *entry, h *held, until uint64) bool {
	slack := uint64(w.cfg.Slack)
	return h.rate <= 1 && h.start > e.coverEnd && h.end < until &&
		e.coverEnd+slack < h.end && h.start+slack < until && e.coverEnd+2*slack < until &&
		h.end-h.start+uint64(wander) < until-e.coverEnd
}
