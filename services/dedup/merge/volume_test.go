package merge

import (
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TestBothDirectionsAreCountedByOnePoint: of points that have the same right to count,
// it is one that reports both directions, whichever comes first.
func TestBothDirectionsAreCountedByOnePoint(t *testing.T) {
	back := func(exporter int, start, end float64) *flowv1.Flow {
		f := report(exporter, start, end, 4)
		f.SrcAddr, f.DstAddr, f.SrcPort, f.DstPort = f.DstAddr, f.SrcAddr, f.DstPort, f.SrcPort
		return f
	}
	there := func(exporter int, start, end float64) *flowv1.Flow { return report(exporter, start, end, 4) }
	for _, c := range []struct {
		name string
		in   []*flowv1.Flow
		want string
	}{
		{"all see all", []*flowv1.Flow{there(2, 0, 5), there(1, 0, 6), back(1, 0, 5), back(2, 0, 6)},
			"1: 4 packets 0-6 max +2(4)\n1: 4 packets 0-5 max +2(4)\n"},
		{"one sees the way back", []*flowv1.Flow{there(1, 0, 5), there(2, 0, 5), there(3, 0, 5), back(3, 0, 6)},
			"3: 4 packets 0-5 max +1(4) +2(4)\n3: 4 packets 0-6 sole\n"},
		{"and reports it first", []*flowv1.Flow{back(3, 0, 5), there(1, 0, 6), there(2, 0, 6), there(3, 0, 6)},
			"3: 4 packets 0-5 sole\n3: 4 packets 0-6 max +1(4) +2(4)\n"},
		{"and counts it already", []*flowv1.Flow{back(3, 0, 5), there(1, 0, 60), there(2, 0, 60), there(3, 0, 60)},
			"3: 4 packets 0-5 sole\n3: 4 packets 0-60 max +1(4) +2(4)\n"},
		{"two see the way back, and one of them more of it",
			[]*flowv1.Flow{there(1, 0, 5), there(2, 0, 5), there(3, 0, 5), back(2, 0, 5), with(back(3, 0, 5), 9)},
			"3: 4 packets 0-5 max +1(4) +2(4)\n3: 9 packets 0-5 max +2(4)\n"},
		{"none sees both ways", []*flowv1.Flow{there(2, 0, 5), there(1, 0, 6), back(4, 0, 5), back(3, 0, 6)},
			"1: 4 packets 0-6 max +2(4)\n3: 4 packets 0-6 max +4(4)\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := sortedLines(play(Default(), cloned(c.in))); got != sorted(c.want) {
				t.Errorf("out comes\n%swant\n%s", got, sorted(c.want))
			}
			if got := sortedLines(playRestored(t, Default(), cloned(c.in))); got != sorted(c.want) {
				t.Errorf("restored before every tick, out comes\n%swant\n%s", got, sorted(c.want))
			}
		})
	}
}

// with is a report of more packets.
func with(f *flowv1.Flow, count uint64) *flowv1.Flow {
	f.Bytes, f.Packets = count*100, count
	return f
}
