package merge

import (
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/netset"
)

// TestToldTwice: what an exporter tells of two of its interfaces are parts, and that they are the
// same is told; where each interface is a point, they are views.
func TestToldTwice(t *testing.T) {
	at := func(in uint32, f *flowv1.Flow) *flowv1.Flow {
		f.InIf = in
		return f
	}
	egress := func(out uint32, f *flowv1.Flow) *flowv1.Flow {
		f.Direction, f.OutIf = flowv1.Direction_DIRECTION_EGRESS, out
		return f
	}
	sampled := func(f *flowv1.Flow) *flowv1.Flow {
		f.SamplingRate = 100
		return f
	}
	split := Default()
	split.SplitInterfaces = netset.MustParse("192.0.2.1")
	for _, c := range []struct {
		name string
		cfg  Config
		in   []*flowv1.Flow
		want string
		told uint64
	}{
		{"the same, of two interfaces", Default(),
			[]*flowv1.Flow{at(1, report(1, 0, 5, 6)), at(2, report(1, .5, 5.5, 6))},
			"1: 6 packets 0-5 sole\n1: 6 packets 0.5-5.5 sole\n", 1},
		{"the same, where each interface is a point", split,
			[]*flowv1.Flow{at(1, report(1, 0, 5, 6)), at(2, report(1, .5, 5.5, 6))},
			"1: 6 packets 0-5 max +1(6)\n", 0},
		{"the same, of three", Default(),
			[]*flowv1.Flow{at(3, report(1, 0, 5, 6)), at(2, report(1, 0, 5, 6)), at(1, report(1, 0, 5, 6))},
			"1: 6 packets 0-5 sole\n1: 6 packets 0-5 sole\n1: 6 packets 0-5 sole\n", 1},
		{"and by another exporter", Default(),
			[]*flowv1.Flow{at(1, report(1, 0, 5, 6)), at(2, report(1, 0, 5, 6)), report(2, 0, 5, 13)},
			"2: 13 packets 0-5 max +1(6) +1(6)\n", 1},
		{"by turns, as the way changes", Default(),
			[]*flowv1.Flow{at(1, report(1, 0, 5, 6)), at(2, report(1, 1.1, 6.1, 6))},
			"1: 6 packets 0-5 sole\n1: 6 packets 1.1-6.1 sole\n", 0},
		{"other packets", Default(),
			[]*flowv1.Flow{at(1, report(1, 0, 5, 6)), at(2, report(1, 0, 5, 7))},
			"1: 6 packets 0-5 sole\n1: 7 packets 0-5 sole\n", 0},
		{"of one interface", Default(),
			[]*flowv1.Flow{at(1, report(1, 0, 5, 6)), at(1, report(1, 0, 5, 6))},
			"1: 6 packets 0-5 sole\n1: 6 packets 0-5 sole\n", 0},
		{"of one that is not told", Default(),
			[]*flowv1.Flow{at(1, report(1, 0, 5, 6)), at(0, report(1, 0, 5, 6))},
			"1: 6 packets 0-5 sole\n1: 6 packets 0-5 sole\n", 0},
		{"of samples", Default(),
			[]*flowv1.Flow{at(1, sampled(report(1, 0, 5, 1))), at(2, sampled(report(1, 0, 5, 1)))},
			"1: 1 packets 0-5 sole\n1: 1 packets 0-5 sole\n", 0},
		{"on the way out, by two interfaces", Default(),
			[]*flowv1.Flow{egress(1, report(1, 0, 5, 6)), egress(2, report(1, 0, 5, 6))},
			"1: 6 packets 0-5 sole\n1: 6 packets 0-5 sole\n", 1},
		{"on the way out by one, in by two", Default(),
			[]*flowv1.Flow{egress(1, at(1, report(1, 0, 5, 6))), egress(1, at(2, report(1, 0, 5, 6)))},
			"1: 6 packets 0-5 sole\n1: 6 packets 0-5 sole\n", 0},
		{"what comes later, where each interface is a point", split,
			[]*flowv1.Flow{at(1, report(1, 0, 5, 6)), at(2, report(1, 0, 5, 6)), at(2, report(1, 6, 60, 9)), at(1, report(1, 6, 60, 8))},
			"1: 6 packets 0-5 max +1(6)\n1: 8 packets 6-60 max +1(9)\n", 0},
		{"other packets, where each interface is a point", split,
			[]*flowv1.Flow{at(1, report(1, 0, 5, 6)), at(2, report(1, 0, 5, 7))},
			"1: 7 packets 0-5 max +1(6)\n", 0},
		{"on the way out, where each interface is a point", split,
			[]*flowv1.Flow{egress(1, report(1, 0, 5, 6)), egress(2, report(1, 0, 5, 7))},
			"1: 7 packets 0-5 max +1(6)\n", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			outComes(t, c.cfg, c.in, c.want)
			w := New(c.cfg)
			drive(w, cloned(c.in), func(*flowv1.Flow) {})
			if got := w.Stats().ToldTwice; got != c.told {
				t.Errorf("%d flows are said to be told twice, not %d", got, c.told)
			}
		})
	}
}
