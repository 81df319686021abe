package rule

import (
	"fmt"
	"testing"

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
			s.Tick(s.NextTimer(), nil, func(*Alert) {})
		}
		s.Tick(tick, flows, func(*Alert) {})
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
		s.Tick(tick, flows, func(*Alert) {})
	})
	if got > 0 || len(s.clients) != 0 {
		t.Errorf("%v allocations per 1,000 answered flows and %d clients, want none of either", got, len(s.clients))
	}
}
