package normalize

import (
	"testing"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TestExportersWithoutClock leave the time of day in the header zero: their flows were
// when they came, by what they say of the time between, and absolute times are theirs.
func TestExportersWithoutClock(t *testing.T) {
	clockless := func(at int, d Datagram) Datagram {
		clear(d.Payload[at : at+4])
		return d
	}
	uptimes := append(append([]spec(nil), tuple...), spec{ieStartUptime, 4}, spec{ieEndUptime, 4})
	absolute := append(append([]spec(nil), tuple...), spec{ieStartMillis, 8}, spec{ieEndMillis, 8})
	deltas := append(append([]spec(nil), tuple...), spec{ieStartDeltaMicros, 4}, spec{ieEndDeltaMicros, 4})
	for name, c := range map[string]struct {
		header  int
		message func(at time.Duration) *writer
		quality flowv1.TimeQuality
	}{
		"v9": {8, func(at time.Duration) *writer {
			w := v9()
			w.uptime += uint32(at.Milliseconds())
			return w.template(300, uptimes...).set(300, append(tupleValues(1, 1), values(4, uint64(w.uptime-5000), 4, uint64(w.uptime-2000))...)...)
		}, flowv1.TimeQuality_TIME_QUALITY_INFERRED},
		"IPFIX": {4, func(at time.Duration) *writer {
			ms := (nowNs + uint64(at)) / nsPerMs
			return ipfix().template(300, absolute...).set(300, append(tupleValues(1, 1), values(8, ms-5000, 8, ms-2000)...)...)
		}, flowv1.TimeQuality_TIME_QUALITY_ABSOLUTE},
		"IPFIX, relative to the export": {4, func(time.Duration) *writer {
			return ipfix().template(300, deltas...).set(300, append(tupleValues(1, 1), values(4, 5_000_000, 4, 2_000_000)...)...)
		}, flowv1.TimeQuality_TIME_QUALITY_INFERRED},
	} {
		var in []Datagram
		for at := time.Duration(0); at <= 3*time.Minute; at += 10 * time.Second {
			w := c.message(at)
			w.sequence = uint32(at / time.Second)
			in = append(in, after(clockless(c.header, w.datagram()), at))
		}
		bothWays(t, Default(), in)
		n, out := New(Default()), &Result{}
		for _, d := range in {
			n.Datagram(d, out)
		}
		for _, f := range out.Flows {
			start, end := f.TimeReceivedNs-f.TimeFlowStartNs, f.TimeReceivedNs-f.TimeFlowEndNs
			if start != 5*nsPerS || end != 2*nsPerS || f.TimeQuality != c.quality || f.TimeSuspect {
				t.Errorf("%s: began %s and ended %s before it came: %v", name, time.Duration(start), time.Duration(end), f)
			}
		}
		if s := n.Stats(); len(out.Flows) != 19 || s[0].SkewMs != 0 {
			t.Errorf("%s: %d flows, skew %d ms", name, len(out.Flows), s[0].SkewMs)
		}
	}
}
