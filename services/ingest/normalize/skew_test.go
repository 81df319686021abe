package normalize

import (
	"fmt"
	"strings"
	"testing"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// skewed sends a datagram each ten seconds, exported by a clock that is behind by
// skew(at), and writes down by how much flows are off after correction, when it changes.
func skewed(w func() *writer, length time.Duration, skew func(at time.Duration) time.Duration) string {
	specs := append(append([]spec(nil), tuple...), spec{ieStartMillis, 8}, spec{ieEndMillis, 8})
	n, out := New(Default()), &Result{}
	var diary []string
	last := time.Duration(-1)
	for at := time.Duration(0); at < length; at += 10 * time.Second {
		off := skew(at)
		x := w()
		sent := at + 500*time.Millisecond // the header's clock is cut to seconds
		theirs := nowNs + uint64(sent-off)
		x.seconds, x.sequence = uint32(theirs/nsPerS), uint32(at/time.Second)
		body := append(tupleValues(1, 1), values(8, (theirs-5*nsPerS)/nsPerMs, 8, theirs/nsPerMs)...)
		n.Datagram(after(x.template(300, specs...).set(300, body...).datagram(), sent), out)
		f := out.Flows[len(out.Flows)-1]
		correction := off - time.Duration(nowNs+uint64(sent)-f.TimeFlowEndNs)
		if correction != last {
			diary = append(diary, fmt.Sprintf("%v %v", at, correction.Round(time.Second)))
			last = correction
		}
		if f.TimeQuality != flowv1.TimeQuality_TIME_QUALITY_ABSOLUTE || f.TimeFlowEndNs-f.TimeFlowStartNs != 5*nsPerS {
			return fmt.Sprintf("%v", f)
		}
	}
	return strings.Join(diary, ", ")
}

func TestSkew(t *testing.T) {
	f := func(name, want string, length time.Duration, skew func(time.Duration) time.Duration) {
		t.Helper()
		for _, w := range []func() *writer{v9, ipfix} {
			if got := skewed(w, length, skew); got != want {
				t.Errorf("%s: corrected %q, want %q", name, got, want)
			}
		}
	}
	constant := func(d time.Duration) func(time.Duration) time.Duration {
		return func(time.Duration) time.Duration { return d }
	}
	const hour = time.Hour
	f("right", "0s 0s", hour, constant(0))
	f("little", "0s 0s", hour, constant(1900*time.Millisecond))
	f("behind", "0s 0s, 1m0s 10s", hour, constant(10*time.Second))
	f("ahead", "0s 0s, 20s -1h0m0s", hour, constant(-hour))
	f("never set", "0s 0s, 20s 472222h11m40s", 10*time.Minute, constant(nowNs-100*nsPerS))
	f("set right after a while", "0s 0s, 1m0s 10s, 15m0s 0s", hour, func(at time.Duration) time.Duration {
		if at < 10*time.Minute {
			return 10 * time.Second
		}
		return 0
	})
	from := func(begin time.Duration, before, then time.Duration) func(time.Duration) time.Duration {
		return func(at time.Duration) time.Duration {
			if at < begin {
				return before
			}
			return then
		}
	}
	f("set ahead", "0s 0s, 10m0s -2h0m0s", hour, from(10*time.Minute, 0, -2*hour))
	f("set back", "0s 0s, 10m20s 2h0m0s", hour, from(10*time.Minute, 0, 2*hour))
	f("set right", "0s 0s, 20s 2h0m0s, 10m0s 0s", hour, from(10*time.Minute, 2*hour, 0))
	f("set, and a little off", "0s 0s, 10m0s -2h0m2s", hour, from(10*time.Minute, -1500*time.Millisecond, -2*hour-1500*time.Millisecond))
	f("set ahead a little", "0s 0s, 10m0s -30s", hour, from(10*time.Minute, 0, -30*time.Second))
	f("set back a little", "0s 0s, 10m20s 30s", hour, from(10*time.Minute, 0, 30*time.Second))
	f("a small step is followed as a drift is", "0s 0s, 14m50s 15s", hour, from(10*time.Minute, 0, 15*time.Second))
	f("a leap second", "0s 0s", hour, from(10*time.Minute, 0, -time.Second))
	odd := func(off time.Duration) func(time.Duration) time.Duration {
		return func(at time.Duration) time.Duration {
			if at%(5*time.Minute) == 4*time.Minute {
				return off
			}
			return 0
		}
	}
	f("an odd datagram now and then", "0s 0s", hour, odd(2*hour))
	f("an odd datagram ahead is corrected alone", "0s 0s, 4m0s -2h0m0s, 4m10s 0s", 8*time.Minute, odd(-2*hour))
	f("a delay now and then", "0s 0s", hour, func(at time.Duration) time.Duration {
		if at/time.Second%50 == 0 {
			return time.Minute
		}
		return 0
	})
	f("around the threshold", "0s 0s, 1m0s 3s", hour, func(at time.Duration) time.Duration {
		return 2600*time.Millisecond - at/time.Minute%2*1200*time.Millisecond
	})
}

// TestLateTogether: what was held up on its way and comes at once tells of no clock.
func TestLateTogether(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{ieStartMillis, 8}, spec{ieEndMillis, 8})
	n, out := New(Default()), &Result{}
	for at := time.Duration(0); at < 20*time.Minute; at += 10 * time.Second {
		arrival := at
		if at >= 10*time.Minute && at < 15*time.Minute {
			arrival = 15*time.Minute + at/1e6
		}
		x := ipfix()
		theirs := nowNs + uint64(at)
		x.seconds, x.sequence = uint32(theirs/nsPerS), uint32(at/time.Second)
		body := append(tupleValues(1, 1), values(8, theirs/nsPerMs, 8, theirs/nsPerMs)...)
		n.Datagram(after(x.template(300, specs...).set(300, body...).datagram(), arrival), out)
		if f := out.Flows[len(out.Flows)-1]; f.TimeFlowEndNs != theirs {
			t.Fatalf("%v: corrected by %v", at, time.Duration(f.TimeFlowEndNs-theirs))
		}
	}
}

// TestUptimeBeginsAnew: a flow's times are right where 32 bits of uptime wrap in the
// midst of it (every 49.7 days), and after a restart.
func TestUptimeBeginsAnew(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{ieStartUptime, 4}, spec{ieEndUptime, 4})
	f := func(name string, uptime func(ms int64) uint32) {
		t.Helper()
		n, out := New(Default()), &Result{}
		for s := int64(0); s <= 600; s += 10 {
			w := v9()
			w.uptime, w.sequence, w.seconds = uptime(s*1000), uint32(s), uint32(nowNs/nsPerS)+uint32(s)
			body := append(tupleValues(1, 1), values(4, uint64(uptime(s*1000)-60_000), 4, uint64(uptime(s*1000)))...)
			n.Datagram(after(w.template(300, specs...).set(300, body...).datagram(), time.Duration(s)*time.Second), out)
			last := out.Flows[len(out.Flows)-1]
			if off := int64(last.TimeFlowEndNs) - int64(nowNs) - s*nsPerS; abs(off) > nsPerS {
				t.Errorf("%s: after %d s %v off", name, s, time.Duration(off))
			}
			if length := last.TimeFlowEndNs - last.TimeFlowStartNs; length != 60*nsPerS {
				t.Errorf("%s: after %d s a flow lasts %v", name, s, time.Duration(length))
			}
		}
	}
	f("the uptime wraps", func(ms int64) uint32 { return uint32(1<<32 - 300_000 + ms) })
	f("the exporter restarts", func(ms int64) uint32 {
		if ms < 240_000 {
			return uint32(86_400_000 + ms)
		}
		return uint32(ms - 240_000 + 60_000)
	})
}

func TestSkewIsTold(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{ieStartMillis, 8}, spec{ieEndMillis, 8})
	n, out := New(Default()), &Result{}
	send := func(n *Normalizer, at time.Duration) *flowv1.Flow {
		x := ipfix()
		theirs := nowNs + uint64(at) - 3600*nsPerS
		x.seconds, x.sequence = uint32(theirs/nsPerS), uint32(at/time.Second)
		body := append(tupleValues(1, 1), values(8, theirs/nsPerMs, 8, theirs/nsPerMs)...)
		n.Datagram(after(x.template(300, specs...).set(300, body...).datagram(), at), out)
		return out.Flows[len(out.Flows)-1]
	}
	for at := time.Duration(0); at <= 2*time.Minute; at += 10 * time.Second {
		send(n, at)
	}
	if s := n.Stats(); len(s) != 1 || s[0].SkewMs < 3_599_000 || s[0].SkewMs > 3_600_000 {
		t.Errorf("%+v", s)
	}
	facts := out.Facts
	second := New(Default())
	tell(t, second, facts)
	f := send(second, 3*time.Minute)
	if off := nowNs + 180*nsPerS - f.TimeFlowEndNs; off > nsPerS {
		t.Errorf("a restart forgot the skew: %v off", time.Duration(off))
	}
}

// What has only the time of reception, and what cannot be right, is as before.
func TestSkewOfEvents(t *testing.T) {
	n, out := New(Default()), &Result{}
	for at := time.Duration(0); at <= 2*time.Minute; at += 10 * time.Second {
		x := v9()
		x.seconds, x.sequence = uint32((nowNs+uint64(at))/nsPerS-3600), uint32(at/time.Second)
		x.template(300, nsel...).set(300, nselValues(uint64(at), firewallDenied, 0, 0)...)
		n.Datagram(after(x.datagram(), at), out)
	}
	first, last := out.Events[0], out.Events[len(out.Events)-1]
	if got := last.TimeEventNs - first.TimeEventNs; got < 3599*nsPerS || got > 3600*nsPerS {
		t.Errorf("an event was corrected by %v", time.Duration(got))
	}
}

func TestUptimeInSecondsIsFound(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{ieStartUptime, 4}, spec{ieEndUptime, 4})
	f := func(name string, perSecond uint32, want uint64) {
		t.Helper()
		n, out := New(Default()), &Result{}
		for s := uint32(0); s <= 60; s++ {
			w := v9()
			w.uptime, w.sequence, w.seconds = (100_000+s)*perSecond, s, uint32(nowNs/nsPerS)+s
			end := uint64(100_000+s) * 1000
			body := append(tupleValues(1, 1), values(4, end-5000, 4, end)...)
			n.Datagram(after(w.template(300, specs...).set(300, body...).datagram(), time.Duration(s)*time.Second), out)
		}
		last := out.Flows[len(out.Flows)-1]
		if off := int64(last.TimeFlowEndNs) - int64(nowNs+60*nsPerS); abs(off) > nsPerS {
			t.Errorf("%s: %v off", name, time.Duration(off))
		}
		if last.TimeFlowEndNs-last.TimeFlowStartNs != want {
			t.Errorf("%s: lasts %v", name, time.Duration(last.TimeFlowEndNs-last.TimeFlowStartNs))
		}
	}
	f("milliseconds", 1000, 5*nsPerS)
	f("seconds", 1, 5*nsPerS)
}

// Of options, as of records: when an exporter booted.
func TestBootTimeInOptions(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{ieStartUptime, 4}, spec{ieEndUptime, 4})
	w := ipfix().template(300, specs...).
		optionsTemplate(400, 1, spec{ieObservationPoint, 4}, spec{ieSystemInit, 8}).set(400, values(4, 1, 8, nowNs/nsPerMs-100_000)...).
		set(300, append(tupleValues(1, 1), values(4, 50_000, 4, 60_000)...)...)
	f := only(t, run(Default(), w.datagram()))
	if f.TimeFlowStartNs != nowNs-50*nsPerS || f.TimeFlowEndNs != nowNs-40*nsPerS || f.TimeQuality != flowv1.TimeQuality_TIME_QUALITY_UPTIME {
		t.Errorf("%v", f)
	}
}
