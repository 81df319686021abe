package flowv1_test

import (
	"fmt"
	"math"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

func TestEstimate(t *testing.T) {
	const unsaid, none, packet, flow = flowv1.SamplingKind_SAMPLING_KIND_UNSPECIFIED, flowv1.SamplingKind_SAMPLING_KIND_NONE,
		flowv1.SamplingKind_SAMPLING_KIND_PACKET, flowv1.SamplingKind_SAMPLING_KIND_FLOW
	f := func(name string, count, rate uint64, kind flowv1.SamplingKind, want uint64, wantKnown bool) {
		t.Helper()
		if got, known := flowv1.Estimate(count, rate, kind); got != want || known != wantKnown {
			t.Errorf("%s: %d, known %v, want %d, %v", name, got, known, want, wantKnown)
		}
	}
	f("one packet in 1000", 1500, 1000, packet, 1_500_000, true)
	f("all packets", 1500, 1, none, 1500, true)
	f("not sampled, by the kind alone", 1500, 0, none, 1500, true)
	f("not sampled, at a rate that says otherwise", 1500, 1000, none, 1_500_000, true)
	f("one flow in 10", 1500, 10, flow, 1500, true)
	f("flows, but one in how many", 1500, 0, flow, 1500, false)
	f("unknown", 1500, 0, unsaid, 1500, false)
	f("packets, but one in how many", 1500, 0, packet, 1500, false)
	f("a rate without a kind, as goflow2 has it", 1500, 64, unsaid, 96_000, true)
	f("nothing seen", 0, 1000, packet, 0, true)
	f("beyond 64 bits", math.MaxUint64/2, 3, packet, math.MaxUint64, true)
}

func ExampleEstimate() {
	f := &flowv1.Flow{Bytes: 1500, Packets: 1, SamplingRate: 1000, SamplingKind: flowv1.SamplingKind_SAMPLING_KIND_PACKET}
	bytes, known := flowv1.Estimate(f.Bytes, f.SamplingRate, f.SamplingKind)
	fmt.Println(bytes, known)
	// Output: 1500000 true
}
