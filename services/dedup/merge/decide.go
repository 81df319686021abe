package merge

import (
	"math"
	"math/bits"
	"slices"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// claim is what one observation point brought to a decision.
type claim struct {
	point          uint32
	bytes, packets uint64
	// rate is the highest sampling rate of its reports; above 1 is sampled.
	rate uint64
	inIf uint32
	// shares: a report of it begins within the time that is already counted, or so near to
	// it that clocks may differ as much.
	shares bool
}

// decide ends the hold of a flow: choose the authority, emit its reports with
// the others as reporters.
func (w *Window) decide(e *entry, id uint32) {
	queue := w.queue(e)
	was := *w.standing(e)
	if w.toldTwice(e, queue) {
		w.stats.ToldTwice++
	}
	claims := w.claims(e, queue)
	winner, reason := w.choose(e, was, claims)
	if winner == noPoint {
		w.setAside(e, queue)
		w.empty(e, id, nil)
		return
	}
	if was.authority == noPoint && len(claims) > 1 {
		w.compare(winner, claims, queue)
	}
	is := was
	if winner != was.authority {
		is = standing{authority: winner, reason: reason, realm: was.realm}
		if was.authority != noPoint {
			w.failOver(e)
		}
	}
	for _, h := range queue {
		if h.point == winner {
			is.timeouts, is.sampled = max(is.timeouts, h.timeouts()), h.rate > 1
		}
	}
	e.setStanding(w.standings.id(is))
	queue = w.fillGap(e, &was, winner, queue)
	ahead, queue := w.inAdvance(e, &was, winner, queue)
	w.emitHeld(e, is, queue)
	w.empty(e, id, ahead)
}

// inAdvance takes out of the queue what begins after all that the authority reported, and ends
// beyond it by more than clocks may differ. That waits on, as if it came now. Not so of the
// first reports of a flow: those are merged however far clocks are off.
func (w *Window) inAdvance(e *entry, was *standing, authority uint32, queue []*held) (ahead, rest []*held) {
	if was.authority == noPoint {
		return nil, queue
	}
	end := e.coverEnd
	for _, h := range queue {
		if h.point == authority {
			end = max(end, h.end)
		}
	}
	ahead, rest = w.out.fills[:0], queue[:0]
	for _, h := range queue {
		if h.start > end && h.end > end+uint64(w.cfg.Slack) {
			ahead = append(ahead, h)
		} else {
			rest = append(rest, h)
		}
	}
	w.out.fills = ahead
	return ahead, rest
}

// failOver closes the time that the former authority counted.
func (w *Window) failOver(e *entry) {
	w.close(e)
	w.stats.Failovers++
}

// close has nothing of the time that is counted so far be counted again.
func (w *Window) close(e *entry) {
	p := w.past(e)
	p.floor = max(p.floor, e.coverEnd)
	w.setPast(e, p)
}

// setAside emits what nobody designated to count: no volume, one reporter each.
func (w *Window) setAside(e *entry, queue []*held) {
	for _, h := range queue {
		w.late(e, h.point, w.unpack(e, h))
	}
	w.cover(e, 0)
}

// claims adds up the held reports by observation point, in order of first report.
func (w *Window) claims(e *entry, queue []*held) []claim {
	w.out.claims = w.appendClaims(w.out.claims[:0], e, queue)
	return w.out.claims
}

func (w *Window) appendClaims(claims []claim, e *entry, queue []*held) []claim {
next:
	for _, h := range queue {
		shares := h.start <= e.coverEnd+uint64(w.cfg.Slack)
		for j := range claims {
			if c := &claims[j]; c.point == h.point {
				c.bytes += h.bytes
				c.packets += h.packets
				c.rate = max(c.rate, h.rate)
				c.shares = c.shares || shares
				continue next
			}
		}
		claims = append(claims, claim{})
		c := &claims[len(claims)-1] // filled in where it lies, as segments are
		c.point, c.bytes, c.packets, c.rate, c.inIf, c.shares = h.point, h.bytes, h.packets, h.rate, h.inIf, shares
	}
	return claims
}

// choose picks the authority. It sticks: whoever has it and still reports keeps it,
// but for a sampler that yields.
func (w *Window) choose(e *entry, was standing, claims []claim) (uint32, flowv1.Authority) {
	if w.keeps(&was, claims) {
		return was.authority, was.reason
	}
	point, reason := w.byPolicy(e, claims)
	switch {
	case point == noPoint:
	case was.authority != noPoint:
		reason = flowv1.Authority_AUTHORITY_FAILOVER
	case len(claims) == 1:
		reason = flowv1.Authority_AUTHORITY_SOLE
	}
	return point, reason
}

// keeps tells whether the authority still reports, and nobody came to whom it yields.
func (w *Window) keeps(was *standing, claims []claim) bool {
	return slices.ContainsFunc(claims, func(c claim) bool { return c.point == was.authority }) &&
		!slices.ContainsFunc(claims, func(c claim) bool { return w.yields(was, c.rate) })
}

// yields tells whether an authority leaves its place to a point of this rate: under the
// policy max one that samples does to any that sees every packet, which may only have
// come later because its timeouts are longer.
func (w *Window) yields(is *standing, rate uint64) bool {
	return w.cfg.Policy == Max && is.sampled && rate <= 1
}

func (w *Window) byPolicy(e *entry, claims []claim) (uint32, flowv1.Authority) {
	switch w.cfg.Policy {
	case Manual:
		if p, ok := w.byList(claims); ok {
			return p, flowv1.Authority_AUTHORITY_MANUAL
		}
		return first(claims, 1), flowv1.Authority_AUTHORITY_FIRST
	case Max:
		return w.byVolume(e, claims), flowv1.Authority_AUTHORITY_MAX
	}
	return first(claims, math.MaxUint64), flowv1.Authority_AUTHORITY_FIRST
}

// first is who reported first of those that sample at most one in rate packets,
// before others if it shares no time with what is counted. It is noPoint if there
// is none: under the manual policy sampled points count only if the list says so.
// Two samplers rarely take the same small flow, so that counting whoever reports
// it adds flows up instead of merging them.
func first(claims []claim, rate uint64) uint32 {
	at := noPoint
	for i := range claims {
		c := &claims[i]
		switch {
		case c.rate > rate:
		case !c.shares:
			return c.point
		case at == noPoint:
			at = c.point
		}
	}
	return at
}

// byList is the manual policy: the first entry of the list that anyone matches.
func (w *Window) byList(claims []claim) (uint32, bool) {
	for _, m := range w.cfg.Authorities {
		for _, c := range claims {
			addr := w.points.all[c.point].sampler
			if m.Exporter.Contains(addr.Netip()) && m.matchesInIf(c.inIf) {
				return c.point, true
			}
		}
	}
	return 0, false
}

func (m *Match) matchesInIf(inIf uint32) bool {
	if len(m.InIf) == 0 {
		return true
	}
	for _, i := range m.InIf {
		if i == inIf {
			return true
		}
	}
	return false
}

// emitHeld emits one flow per report of the authority, each other report as a
// reporter of the one it overlaps most.
func (w *Window) emitHeld(e *entry, is standing, queue []*held) {
	segments := w.out.segments[:0]
	for _, h := range queue {
		if h.point == is.authority {
			segments = append(segments, segment{})
			w.segment(&segments[len(segments)-1], e, h)
		}
	}
	w.out.segments = segments
	if len(segments) < len(queue) {
		w.attach(e, is.authority, segments, queue)
	}
	for i := range segments {
		w.count(e, &segments[i], is.reason)
	}
}

// segment lends a held report to be passed on. It fills s, which is empty, in place:
// a copy waits until all of its pieces are in the cache.
func (w *Window) segment(s *segment, e *entry, h *held) {
	s.TimeFlowStartNs, s.TimeReceivedNs, s.RecordID = h.start, h.received, h.recordID
	s.end, s.packets, s.tcpFlags = h.end, h.packets, h.tcpFlags
	if w.out.flows != nil {
		s.Flow = w.unpack(e, h)
	} else {
		s.Wire, s.Tail, s.Late = w.cells.get(h.body), h.tail, h.late
	}
}

// attach gives the reports that do not count to the segments as reporters.
func (w *Window) attach(e *entry, authority uint32, segments []segment, queue []*held) {
	nearest := w.out.nearest[:0]
	for _, h := range queue {
		at := -1
		if h.point != authority {
			at = closest(segments, h.start, h.end)
			w.reach(e, h.end)
			w.stats.Merged++
		}
		nearest = append(nearest, int32(at))
	}
	w.out.nearest = nearest
	for i := range segments {
		s := &segments[i]
		start := len(w.out.wire)
		for j, h := range queue {
			switch {
			case nearest[j] != int32(i):
			case s.Flow != nil:
				s.Flow.Reporters = append(s.Flow.Reporters, w.out.reporter(w.unpack(e, h)))
			default:
				w.out.wire = flow.AppendReporter(w.out.wire, w.cells.get(h.body))
			}
		}
		s.Reporters = w.out.wire[start:len(w.out.wire):len(w.out.wire)]
		w.enrich(e, s, int32(i), queue)
	}
}

// closest is the segment that overlaps [start, end] most, or lies nearest.
func closest(segments []segment, start, end uint64) int {
	best, bestOverlap := 0, int64(-1<<63)
	for i := range segments {
		s := &segments[i]
		overlap := int64(min(s.end, end)) - int64(max(s.TimeFlowStartNs, start))
		if overlap > bestOverlap {
			best, bestOverlap = i, overlap
		}
	}
	return best
}

// count emits a report of the authority with its volume, less what former
// authorities have already counted of its time.
func (w *Window) count(e *entry, s *segment, reason flowv1.Authority) {
	if floor := w.past(e).floor; s.TimeFlowStartNs < floor {
		f := w.changeable(s)
		f.Bytes = uncovered(f.Bytes, f.TimeFlowStartNs, f.TimeFlowEndNs, floor)
		f.Packets = uncovered(f.Packets, f.TimeFlowStartNs, f.TimeFlowEndNs, floor)
	}
	if s.Flow != nil {
		s.Flow.Authority = reason
	}
	s.Authority = reason
	w.cover(e, s.end)
	w.stats.Counted++
	w.out.emit(&s.Spliced)
}

// changeable is a flow of which other fields must change than can be added. It is made
// anew: a report that came as a struct is not ours to change.
func (w *Window) changeable(s *segment) *flowv1.Flow {
	start, size := len(w.out.wire), s.SizeVT()
	w.out.wire = slices.Grow(w.out.wire, size)[:start+size]
	wire := w.out.wire[start:len(w.out.wire):len(w.out.wire)]
	if _, err := s.MarshalToSizedBufferVT(wire); err != nil {
		panic("BUG: cannot marshal into a buffer of its own size: " + err.Error())
	}
	s.Flow = w.decode(wire)
	return s.Flow
}

// uncovered is the share of a count that falls after floor, if the packets lie
// evenly in [start, end] (RFC 7015 §5.1.1).
func uncovered(count, start, end, floor uint64) uint64 {
	if floor >= end {
		return 0
	}
	hi, lo := bits.Mul64(count, end-floor)
	share, _ := bits.Div64(hi, lo, end-start)
	return share
}

// late emits a report that is not counted, under the observation point that is:
// no volume, one reporter, and the names and addresses that it may be alone to know.
func (w *Window) late(e *entry, authority uint32, f *flowv1.Flow) {
	o := w.out.flow()
	at := &w.points.all[authority]
	o.Type, o.Realm, o.Proto = f.Type, f.Realm, f.Proto
	o.SrcAddr, o.DstAddr, o.SrcPort, o.DstPort = f.SrcAddr, f.DstAddr, f.SrcPort, f.DstPort
	o.Etype, o.IcmpType, o.IcmpCode = f.Etype, f.IcmpType, f.IcmpCode
	o.SamplerAddress, o.ObservationDomainId = at.sampler.Wire(), at.domain
	o.Direction = at.direction()
	o.TimeReceivedNs, o.TimeFlowStartNs, o.TimeFlowEndNs = f.TimeReceivedNs, f.TimeFlowStartNs, f.TimeFlowEndNs
	o.TimeQuality, o.RecordId = f.TimeQuality, f.RecordId
	complete(o, f)
	o.Authority, o.Late = w.standing(e).reason, true
	o.Reporters = append(o.Reporters, w.out.reporter(f))
	w.stats.Late++
	w.out.emitFlow(o)
}
