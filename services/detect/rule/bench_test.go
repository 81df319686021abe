package rule

import (
	"fmt"
	"testing"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// ordinary is traffic of an ordinary network: many clients, most answered, a
// few failures, ten of 4,096 flows to forbidden services.
func ordinary(n int) []*flowv1.Biflow {
	out := make([]*flowv1.Biflow, n)
	for i := range out {
		state, port := established, 443
		if i%20 == 0 {
			state = unanswered
		}
		out[i] = call(uint64(i+1), 0, fmt.Sprintf("10.0.%d.%d", i%16, i/16%200+1), fmt.Sprintf("203.0.%d.%d", i*7%251, i*13%250+1), port, state)
	}
	return out
}

// scanning is one client's scan of everything.
func scanning(n int) []*flowv1.Biflow {
	out := make([]*flowv1.Biflow, n)
	for i := range out {
		out[i] = call(uint64(i+1), 0, "10.0.0.9", fmt.Sprintf("203.%d.%d.%d", i>>15&127, i>>7&255, i&127+1), 8000+i%50, unanswered)
	}
	return out
}

func benchmarkTick(b *testing.B, flows []*flowv1.Biflow) {
	s := mustNew(Default())
	tick := eventtime.TickOf(epoch)
	b.ReportAllocs()
	for b.Loop() {
		tick++
		for i, f := range flows {
			f.TimeFlowStartNs = tick.Ns() + uint64(i)
			f.FlowId += uint64(len(flows))
		}
		for s.NextTimer() < tick {
			s.Tick(s.NextTimer(), func(*Alert) {})
		}
		tickWith(s, tick, flows, func(*Alert) {})
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(flows)), "ns/record")
}

func BenchmarkOrdinary(b *testing.B) { benchmarkTick(b, ordinary(4096)) }
func BenchmarkScanning(b *testing.B) { benchmarkTick(b, scanning(4096)) }

func BenchmarkAnswered(b *testing.B) {
	flows := ordinary(4096)
	for _, f := range flows {
		f.ConnState = established
	}
	benchmarkTick(b, flows)
}

// TestOrdinaryTrafficAllocatesNextToNothing pins the state of clients some of whose
// calls fail: clients and windows come and go without the heap. A window takes a
// list from it with its second target, and keeps that when it is used again, so
// less and less is taken.
func TestOrdinaryTrafficAllocatesNextToNothing(t *testing.T) {
	flows := ordinary(4096)
	cfg := Default()
	cfg.PortScan.Enabled = false // who calls this much for hours is a scanner
	cfg.AddressScan.Prefix, cfg.AddressScan.PrefixContacted, cfg.AddressScan.Port, cfg.AddressScan.PortInternal = Threshold{1000, time.Second}, Threshold{}, Threshold{1000, time.Second}, Threshold{1000, time.Second}
	cfg.Lateness, cfg.Settle = 5*time.Second, 0
	s := newSet(t, cfg)
	tick := eventtime.TickOf(epoch)
	step := func() {
		tick += 100 // what was there is forgotten
		for n := s.NextTimer(); n < tick; n = s.NextTimer() {
			s.Tick(n, func(*Alert) { t.Fatal("an alert") })
		}
		for i, f := range flows {
			f.TimeFlowStartNs = tick.Ns() + uint64(i)
			f.FlowId += uint64(len(flows))
		}
		tickWith(s, tick, flows, func(*Alert) { t.Fatal("an alert") })
	}
	for range 30 {
		step()
	}
	if s.byWindow.Len() == 0 {
		t.Fatal("no call failed")
	}
	if got := testing.AllocsPerRun(10, step); got > 4 {
		t.Errorf("%v allocations per 4,096 flows, want at most 4", got)
	}
}

// TestAnsweredFlowsCostNothing pins the common case: no allocation, no state.
func TestAnsweredFlowsCostNothing(t *testing.T) {
	flows := ordinary(1000)
	for _, f := range flows {
		f.ConnState = established
	}
	s := newSet(t, Default())
	tick := eventtime.TickOf(epoch)
	got := testing.AllocsPerRun(10, func() {
		tick++
		tickWith(s, tick, flows, func(*Alert) {})
	})
	if got > 0 || s.byClient.Len() != 0 {
		t.Errorf("%v allocations per 1,000 answered flows and %d clients, want none of either", got, s.byClient.Len())
	}
}
