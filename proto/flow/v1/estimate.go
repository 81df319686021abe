package flowv1

import (
	"math"
	"math/bits"
)

// Estimate is how much a count of a message stands for: how many bytes or packets there
// were on the wire, where count is what the exporter saw of them. Messages carry the
// counts as they were metered, with sampling_rate and sampling_kind beside them:
//
//	total, known := flowv1.Estimate(f.Bytes, f.SamplingRate, f.SamplingKind)
//
// It holds for the counts of a Flow, a Reporter (by the rate of its own; it is sampled
// in the flow's way) and a Biflow (whose flows had this rate, or several and it is 1).
//
//   - Packets sampled: each stands for sampling_rate packets. The standard error is
//     about one part in the square root of the packets seen, which is all of it for a
//     single one. A kind that is not told (goflow2's messages have none) is taken for this.
//   - Flows sampled: the flow was chosen whole, so that its counts are what it had and are
//     never multiplied. Only totals over flows are to be multiplied, by the rate.
//   - Not sampled: the count. Rate 1 says so, and SAMPLING_KIND_NONE where no rate is told;
//     beside a rate above 1 that says nothing, here as for dedup and stitch.
//   - Rate 0: nobody told, which is not the same as unsampled. The count is a lower bound,
//     and known is false.
//
// What is beyond 64 bits is the largest number there is.
func Estimate(count, samplingRate uint64, kind SamplingKind) (estimated uint64, known bool) {
	switch {
	case kind == SamplingKind_SAMPLING_KIND_FLOW:
		return count, samplingRate != 0
	case samplingRate == 0:
		return count, kind == SamplingKind_SAMPLING_KIND_NONE
	}
	high, low := bits.Mul64(count, samplingRate)
	if high != 0 {
		return math.MaxUint64, true
	}
	return low, true
}
