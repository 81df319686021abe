package normalize

import (
	"math"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TestSamplingElements holds what options records may say of a sampler, in each form and
// each length that exporters use, against the rate of the flows that name it, and what
// flows may say themselves.
func TestSamplingElements(t *testing.T) {
	const packet, flowwise, none = flowv1.SamplingKind_SAMPLING_KIND_PACKET, flowv1.SamplingKind_SAMPLING_KIND_FLOW, flowv1.SamplingKind_SAMPLING_KIND_NONE
	of := func(specs ...spec) []spec { return specs }
	const probability = 0x3dcccccd // 0.1
	for _, c := range []struct {
		name   string
		specs  []spec
		values []byte
		rate   uint64
		kind   flowv1.SamplingKind
	}{
		{"34 of four bytes", of(spec{ieSamplingInterval, 4}), values(4, 70_000), 70_000, packet},
		{"34 of two", of(spec{ieSamplingInterval, 2}), values(2, 1000), 1000, packet},
		{"34 of one", of(spec{ieSamplingInterval, 1}), values(1, 100), 100, packet},
		{"34 is one", of(spec{ieSamplingInterval, 4}), values(4, 1), 1, none},
		{"34 is zero", of(spec{ieSamplingInterval, 4}), values(4, 0), 0, 0},
		{"50 of four bytes, and the mode", of(spec{49, 1}, spec{ieSamplerInterval, 4}), values(1, 2, 4, 500), 500, packet},
		{"50 of two", of(spec{ieSamplerInterval, 2}), values(2, 500), 500, packet},
		{"50 of one", of(spec{ieSamplerInterval, 1}), values(1, 250), 250, packet},
		{"305 and 306", of(spec{ieSelectorAlgorithm, 2}, spec{iePacketInterval, 4}, spec{iePacketSpace, 4}), values(2, 1, 4, 1, 4, 999), 1000, packet},
		{"305 and 306 of one byte", of(spec{iePacketInterval, 1}, spec{iePacketSpace, 1}), values(1, 2, 1, 198), 100, packet},
		{"305 and 306 of two bytes", of(spec{iePacketInterval, 2}, spec{iePacketSpace, 2}), values(2, 10, 2, 9990), 1000, packet},
		{"305 with nothing left out", of(spec{iePacketInterval, 4}, spec{iePacketSpace, 4}), values(4, 1, 4, 0), 1, none},
		{"305 alone", of(spec{iePacketInterval, 4}), values(4, 1000), 0, 0},
		{"307 and 308", of(spec{ieSelectorAlgorithm, 2}, spec{ieTimeInterval, 4}, spec{ieTimeSpace, 4}), values(2, 2, 4, 1000, 4, 99_000), 100, packet},
		{"309 and 310", of(spec{ieSelectorAlgorithm, 2}, spec{ieSamplingSize, 4}, spec{ieSamplingPopulation, 4}), values(2, 3, 4, 2, 4, 512), 256, packet},
		{"309 and 310 of one and two bytes", of(spec{ieSamplingSize, 1}, spec{ieSamplingPopulation, 2}), values(1, 1, 2, 4000), 4000, packet},
		{"309 without 310", of(spec{ieSamplingSize, 4}), values(4, 2), 0, 0},
		{"311 of four bytes", of(spec{ieSelectorAlgorithm, 1}, spec{ieSamplingProbability, 4}), values(1, 4, 4, probability), 10, packet},
		{"311 of eight", of(spec{ieSamplingProbability, 8}), values(8, math.Float64bits(.001)), 1000, packet},
		{"311 beyond one", of(spec{ieSamplingProbability, 8}), values(8, math.Float64bits(3)), 0, 0},
		{
			"a hash of 32 bits, of which a 64th is taken", of(spec{ieSelectorAlgorithm, 2}, spec{ieHashOutputMin, 8}, spec{ieHashOutputMax, 8}, spec{ieHashSelectedMin, 8}, spec{ieHashSelectedMax, 8}),
			values(2, 6, 8, 0, 8, math.MaxUint32, 8, 0, 8, 1<<26-1), 64, packet,
		},
		{"a hash without what is taken", of(spec{ieHashOutputMin, 4}, spec{ieHashOutputMax, 4}), values(4, 0, 4, 1000), 0, 0},
		{"flows, not packets", of(spec{ieFlowSelector, 2}, spec{ieFlowInterval, 4}, spec{ieFlowSpacing, 4}), values(2, 1, 4, 1, 4, 9), 10, flowwise},
		{"as IOS XR says it", of(spec{iePacketInterval, 4}, spec{ieSelectorAlgorithm, 2}, spec{ieSamplingSize, 4}, spec{ieSamplingPopulation, 4}), values(4, 1024, 2, 3, 4, 1, 4, 1024), 1024, packet},
		{"nothing", of(spec{ieSamplerName, 4}), []byte("slow"), 0, 0},
	} {
		for _, id := range []element{ieSamplerID, ieSelectorID} {
			flows := append(append([]spec(nil), tuple...), spec{id, 2})
			options := append(of(spec{id, 2}), c.specs...)
			w := ipfix().template(300, flows...).optionsTemplate(400, 1, options...).
				set(400, append(values(2, 7), c.values...)...).
				set(300, append(tupleValues(1, 1), values(2, 7)...)...).
				set(300, append(tupleValues(1, 1), values(2, 8)...)...)
			out := run(Default(), w.datagram())
			if f := out.Flows[0]; f.SamplingRate != c.rate || f.SamplingKind != c.kind {
				t.Errorf("%s, by element %d: %d %v, want %d %v", c.name, id, f.SamplingRate, f.SamplingKind, c.rate, c.kind)
			}
			if f := out.Flows[1]; f.SamplingRate != 0 || f.SamplingKind != 0 {
				t.Errorf("%s, of another sampler: %d %v, want unknown", c.name, f.SamplingRate, f.SamplingKind)
			}
			// A replica that only learns of it knows the same.
			n, learnt := New(Default()), &Result{}
			for _, fact := range out.Facts {
				n.Learn(fact)
			}
			n.Datagram(ipfix().set(300, append(tupleValues(1, 1), values(2, 7)...)...).datagram(), learnt)
			if f := only(t, learnt); f.SamplingRate != c.rate || f.SamplingKind != c.kind {
				t.Errorf("%s, learnt: %d %v, want %d %v", c.name, f.SamplingRate, f.SamplingKind, c.rate, c.kind)
			}
		}
	}
}

// TestSamplingInRecords: a flow that says itself how it was sampled.
func TestSamplingInRecords(t *testing.T) {
	f := func(name string, rate uint64, v []byte, specs ...spec) {
		t.Helper()
		all := append(append([]spec(nil), tuple...), specs...)
		got := only(t, run(Default(), ipfix().template(300, all...).set(300, append(tupleValues(1, 1), v...)...).datagram()))
		if got.SamplingRate != rate {
			t.Errorf("%s: %d, want %d", name, got.SamplingRate, rate)
		}
	}
	f("34 of one byte", 64, values(1, 64), spec{ieSamplingInterval, 1})
	f("50 of two bytes", 640, values(2, 640), spec{ieSamplerInterval, 2})
	f("305 and 306", 10, values(4, 1, 4, 9), spec{iePacketInterval, 4}, spec{iePacketSpace, 4})
	f("305 alone", 0, values(4, 10), spec{iePacketInterval, 4})
	f("309 and 310, and IOS XR's 305", 256, values(4, 256, 1, 3, 4, 1, 4, 256), spec{iePacketInterval, 4}, spec{ieSelectorAlgorithm, 1}, spec{ieSamplingSize, 4}, spec{ieSamplingPopulation, 4})
	f("311", 4, values(4, 0x3e800000), spec{ieSamplingProbability, 4})
	f("an id of which nothing is known", 0, values(2, 9), spec{ieSamplerID, 2})
}
