package rule

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// The laws: the same records give the same alerts, byte for byte, however they
// are ordered within a tick, split over partitions, or cut by a restart.

// lawful is a configuration in which much happens soon.
func lawful() Config {
	c := tight()
	c.UpdateEvery = time.Minute
	c.AddressScan.Quiet, c.PortScan.Quiet, c.ProhibitedService.Quiet = 3*time.Minute, 2*time.Minute, 3*time.Minute
	c.ProhibitedService.Aggregate = time.Minute
	return c
}

// script draws a timeline of many clients, several records a tick.
var script = rapid.Custom(func(t *rapid.T) timeline {
	l := timeline{}
	for _, r := range modelRecords.Draw(t, "records") {
		// Let neighbours share a tick.
		tick := r.tick / 16 * 16
		b := r.b
		if rapid.Bool().Draw(t, "other client") && flow.AddrFrom(b.ClientAddr) == flow.AddrFrom(wire("10.0.0.1")) {
			b.ClientAddr = wire(fmt.Sprintf("10.0.0.%d", 2+b.FlowId%3))
		}
		l[tick] = append(l[tick], b)
	}
	return l
})

// transcript plays a timeline and writes down every alert with its tick.
type transcript struct{ lines []string }

func (r *transcript) emit(t eventtime.Tick) func(*Alert) {
	return func(a *Alert) { r.lines = append(r.lines, fmt.Sprintf("%d %s %s", t, a.Host.Netip(), a.JSON)) }
}

func (r *transcript) play(s *Set, l timeline, ticks []eventtime.Tick) {
	for _, tick := range ticks {
		for n := s.NextTimer(); n < tick; n = s.NextTimer() {
			s.Tick(n, r.emit(n))
		}
		in := slices.Clone(l[tick])
		flow.SortBiflows(in)
		tickWith(s, tick, in, r.emit(tick))
	}
}

func (r *transcript) end(s *Set, tick eventtime.Tick) {
	for n := s.NextTimer(); n < tick; n = s.NextTimer() {
		s.Tick(n, r.emit(n))
	}
	s.End(tick, r.emit(tick))
}

func endOf(l timeline) eventtime.Tick {
	ticks := l.ticks()
	return ticks[len(ticks)-1] + 100
}

func run(s *Set, l timeline) []string {
	var r transcript
	r.play(s, l, l.ticks())
	r.end(s, endOf(l))
	return r.lines
}

func TestOrderWithinTickChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := script.Draw(t, "script")
		want := run(mustNew(lawful()), l)
		mixed := timeline{}
		for tick, in := range l {
			mixed[tick] = rapid.Permutation(in).Draw(t, "order")
		}
		if d := cmp.Diff(want, run(mustNew(lawful()), mixed)); d != "" {
			t.Fatalf("alerts (-want, +got):\n%s", d)
		}
	})
}

func TestPartitionsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := script.Draw(t, "script")
		want := run(mustNew(lawful()), l)
		n := rapid.IntRange(2, 5).Draw(t, "partitions")
		var got []string
		for p := range n {
			part := timeline{}
			for tick, in := range l {
				part[tick] = slices.DeleteFunc(slices.Clone(in), func(b *flowv1.Biflow) bool {
					return flow.Partition(flow.HostHash(b.ClientAddr), n) != p
				})
			}
			got = append(got, run(mustNew(lawful()), part)...)
		}
		slices.Sort(want)
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("alerts (-one partition, +%d):\n%s", n, d)
		}
	})
}

func TestRestartChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := script.Draw(t, "script")
		cfg := lawful()
		if rapid.Bool().Draw(t, "tiny") {
			cfg.MaxClients, cfg.MaxWindows = 2, 8
		}
		whole := mustNew(cfg)
		var want, got transcript
		ticks := l.ticks()
		want.play(whole, l, ticks)

		cut := rapid.IntRange(0, len(ticks)).Draw(t, "cut")
		before, after := mustNew(cfg), mustNew(cfg)
		got.play(before, l, ticks[:cut])
		snapshot := before.AppendSnapshot([]byte("x"))[1:]
		if err := after.Restore(snapshot); err != nil {
			t.Fatal(err)
		}
		if again := after.AppendSnapshot(nil); !bytes.Equal(snapshot, again) {
			t.Fatal("the snapshot of a restored set is another")
		}
		got.play(after, l, ticks[cut:])
		if !bytes.Equal(whole.AppendSnapshot(nil), after.AppendSnapshot(nil)) {
			t.Fatal("states differ at the end")
		}
		want.end(whole, endOf(l))
		got.end(after, endOf(l))
		if d := cmp.Diff(want.lines, got.lines); d != "" {
			t.Fatalf("alerts (-whole, +cut at %d):\n%s", cut, d)
		}
	})
}

// TestLifeOfEveryFinding checks the order of messages: create, updates, close.
func TestLifeOfEveryFinding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := script.Draw(t, "script")
		s := mustNew(lawful())
		var out []finding
		for _, tick := range l.ticks() {
			for n := s.NextTimer(); n < tick; n = s.NextTimer() {
				s.Tick(n, collect(nil, n, &out))
			}
			flow.SortBiflows(l[tick])
			tickWith(s, tick, l[tick], collect(nil, tick, &out))
		}
		s.End(endOf(l), collect(nil, endOf(l), &out))
		open := map[string]int{}
		for _, f := range out {
			id, was := f.FindingInfo.UID, open[f.FindingInfo.UID]
			if f.ActivityID == activityCreate && was != 0 || f.ActivityID != activityCreate && was == 0 {
				t.Fatalf("finding %s: activity %d after %d", id, f.ActivityID, was)
			}
			open[id] = f.ActivityID
			if f.ActivityID == activityClose {
				open[id] = 0
			}
		}
		for id, was := range open {
			if was != 0 {
				t.Fatalf("finding %s was not closed", id)
			}
		}
	})
}

func TestStateIsForgotten(t *testing.T) {
	l := timeline{}
	for i := range 50 {
		l.add(time.Second, call(uint64(i+1), time.Duration(i)*time.Second, fmt.Sprintf("10.0.0.%d", i%7+1), fmt.Sprintf("10.1.%d.1", i), 80, unanswered))
	}
	s := newSet(t, Default())
	play(t, s, l)
	if s.byClient.Len() != 7 || s.byWindow.Len() != 7+50+50 {
		t.Fatalf("%d clients and %d windows, want 7 and 107", s.byClient.Len(), s.byWindow.Len())
	}
	playTimers(t, s, eventtime.Never)
	if s.byClient.Len() != 0 || s.byWindow.Len() != 0 || s.recent.newest != nil || s.recent.oldest != nil {
		t.Errorf("after all timers: %d clients, %d windows are left", s.byClient.Len(), s.byWindow.Len())
	}
}

func mustNew(cfg Config) *Set {
	s, err := New(cfg)
	if err != nil {
		panic(err)
	}
	return s
}

func FuzzRestore(f *testing.F) {
	l := timeline{}
	for i := range 12 {
		l.add(time.Second, call(uint64(i+1), time.Duration(i)*time.Second, "10.0.0.1", fmt.Sprintf("10.1.0.%d", i+1), 80+i%3, unanswered))
	}
	s := mustNew(tight())
	var r transcript
	r.play(s, l, l.ticks())
	f.Add(s.AppendSnapshot(nil))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := mustNew(tight())
		if s.Restore(b) != nil {
			return
		}
		s.Tick(eventtime.TickOf(epoch)+1_000_000, func(*Alert) {})
	})
}
