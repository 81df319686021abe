package biflow

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// worth is for how many packets each one stands that an exporter saw: those of a
// sample of flows, and of who does not tell, for themselves.
func worth(rate uint64, kind uint8) uint64 {
	n, _ := flowv1.Estimate(1, rate, flowv1.SamplingKind(kind))
	return n
}

func (m *measured) worth() uint64 { return worth(m.rate, m.kind) }

// inUnits is what a flow counts in the units of the conversation that takes it in.
// Counts are as they were metered, all at one sampling rate; where flows of several meet,
// as when each way is seen by another exporter, their sum would say nothing: then all
// of them are multiplied out, those before too, and the rate that is told is 1.
func (t *Table) inUnits(c *conv, s *segment) (bytes, packets uint64) {
	if c.origin == none {
		return s.bytes, s.packets
	}
	o, by := t.origins.at(c.origin), worth(s.rate, s.kind)
	switch {
	case o.mixed:
	case o.worth() == by:
		return s.bytes, s.packets
	default:
		t.multiply(c, o.worth())
	}
	return times(s.bytes, by), times(s.packets, by)
}

// multiply multiplies what a conversation has counted, and what of it was told.
func (t *Table) multiply(c *conv, by uint64) {
	if by == 1 {
		return
	}
	for i := range c.half {
		v := t.volume(c, i)
		t.count(c, i, times(v.bytes, by)-v.bytes, times(v.packets, by)-v.packets)
	}
	if t.moreOf(c).hasTold {
		m := t.makeMore(c)
		for i := range m.told {
			m.told[i] = volume{times(m.told[i].bytes, by), times(m.told[i].packets, by)}
		}
	}
}

// times is how much a count stands for where each stands for so many.
func times(count, by uint64) uint64 {
	n, _ := flowv1.Estimate(count, by, flowv1.SamplingKind_SAMPLING_KIND_PACKET)
	return n
}
