package normalize

import (
	"math"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// stamp works out when a flow was, from what its record says and the message it
// came in, and how far that can be trusted.
func (n *Normalizer) stamp(m *message, p *plan, f *flowv1.Flow, s *scratch) {
	quality := flowv1.TimeQuality_TIME_QUALITY_ABSOLUTE
	worse := func(q flowv1.TimeQuality) {
		if q > quality {
			quality = q
		}
	}
	start, end := f.TimeFlowStartNs, f.TimeFlowEndNs
	hasStart, hasEnd := p.start.told(start), p.end.told(end)
	if p.start == timeUptime || p.end == timeUptime {
		base, q := m.uptimeBase(s)
		worse(q)
		if p.start == timeUptime {
			start = m.uptimeNs(base, s.startUptime)
		}
		if p.end == timeUptime {
			end = m.uptimeNs(base, s.endUptime)
		}
	}
	if p.start == timeDelta {
		start = before(m.exportedNs(), min(s.startDelta, math.MaxUint32)*1000)
		worse(m.relativeQuality())
	}
	if p.end == timeDelta {
		end = before(m.exportedNs(), min(s.endDelta, math.MaxUint32)*1000)
		worse(m.relativeQuality())
	}
	switch {
	case hasStart && hasEnd:
	case hasStart && p.durationInside:
		end = start + s.durationNs
	case hasEnd && p.durationInside:
		start = before(end, s.durationNs)
	case hasStart:
		end = max(start, s.observedNs)
	case hasEnd:
		start = end
	case s.observedNs != 0:
		end = s.observedNs
		start = before(end, s.durationNs)
	case m.exportNs != 0:
		worse(flowv1.TimeQuality_TIME_QUALITY_EXPORT_ONLY)
		end = m.exportNs
		start = before(end, s.durationNs)
	default:
		worse(flowv1.TimeQuality_TIME_QUALITY_RECEIVED_ONLY)
		end = m.receivedNs
		start = before(end, s.durationNs)
	}
	if quality != flowv1.TimeQuality_TIME_QUALITY_RECEIVED_ONLY {
		start, end = m.corrected(start), m.corrected(end)
	}
	f.TimeFlowStartNs, f.TimeFlowEndNs, f.TimeQuality = start, end, quality
	n.suspect(m, f)
}

// told tells whether a record says a time. An absolute one of zero is none: ulogd2 does
// not know the start of connections that are older than itself.
func (t timeSource) told(ns uint64) bool { return t != timeNone && (t != timeAbsolute || ns != 0) }

// suspect flags times that cannot be right: an end before the start (which are
// then exchanged), a start in the future of the reception, an end so long ago
// that the exporter would have reported it earlier. Such flows are kept.
func (n *Normalizer) suspect(m *message, f *flowv1.Flow) {
	if f.TimeFlowEndNs < f.TimeFlowStartNs {
		f.TimeFlowStartNs, f.TimeFlowEndNs = f.TimeFlowEndNs, f.TimeFlowStartNs
		f.TimeSuspect = true
	}
	if m.doubtful(f.TimeFlowStartNs, f.TimeFlowEndNs, n.futureNs, n.patience(m)) {
		f.TimeSuspect = true
	}
}

// patience is how long after its end a flow of a message may be reported.
func (n *Normalizer) patience(m *message) uint64 {
	active, inactive := m.timeouts()
	if active == 0 {
		active = n.activeMs
	}
	if inactive == 0 {
		inactive = n.inactiveMs
	}
	return n.oldNs + (uint64(active)+uint64(inactive))*nsPerMs
}

// doubtful tells whether a flow begins too far ahead of its reception, or ended too
// long before it.
func (m *message) doubtful(startNs, endNs, futureNs, patienceNs uint64) bool {
	return startNs > m.receivedNs+futureNs || endNs+patienceNs < m.receivedNs
}

// uptimeBase is the time, in milliseconds since the epoch, to which the uptimes
// of a record count: that of the header's uptime where it has one, else of boot.
func (m *message) uptimeBase(s *scratch) (base int64, q flowv1.TimeQuality) {
	if m.hasUptime {
		return m.bootMs + int64(m.uptime), max(m.relativeQuality(), flowv1.TimeQuality_TIME_QUALITY_UPTIME)
	}
	init := s.systemInit
	if init == 0 {
		init = m.dom.systemInit
	}
	if init != 0 {
		return int64(min(init, maxMs)), flowv1.TimeQuality_TIME_QUALITY_UPTIME
	}
	if !m.dom.inferred.set {
		m.dom.inferred.observe(m.exportMs(), s.endUptime)
	}
	return m.dom.inferred.ms, flowv1.TimeQuality_TIME_QUALITY_INFERRED
}

// relativeQuality is what a time relative to the export is worth: where its header does
// not tell when that was, it is inferred from the reception.
func (m *message) relativeQuality() flowv1.TimeQuality {
	if m.exportNs == 0 {
		return flowv1.TimeQuality_TIME_QUALITY_INFERRED
	}
	return flowv1.TimeQuality_TIME_QUALITY_ABSOLUTE
}

// uptimeNs turns an uptime of a record into nanoseconds since the epoch.
func (m *message) uptimeNs(base int64, at uint32) uint64 {
	if m.hasUptime {
		return msToNs(base - sinceEvent(m.uptime, at))
	}
	ms := base + int64(at)
	// Uptimes of 32 bits wrap every 49.7 days: the last round before the export.
	if rounds := (m.exportMs() + 60_000 - ms) >> 32; rounds > 0 {
		ms += rounds << 32
	}
	return msToNs(ms)
}

// before is ns less d, but not before the epoch.
func before(ns, d uint64) uint64 { return ns - min(ns, d) }
