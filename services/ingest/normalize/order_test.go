package normalize

import (
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

func TestOrderWatch(t *testing.T) {
	out, in := &flowv1.Flow{Proto: 6, SrcPort: 50000, DstPort: 443}, &flowv1.Flow{Proto: 6, SrcPort: 443, DstPort: 50000}
	mute := &flowv1.Flow{Proto: 17, SrcPort: 40000, DstPort: 50000}
	times := func(n int, f ...*flowv1.Flow) (all []*flowv1.Flow) {
		for range n {
			all = append(all, f...)
		}
		return all
	}
	for _, c := range []struct {
		name  string
		flows []*flowv1.Flow
		tells bool
	}{
		{"nothing is known", nil, true},
		{"too few to tell", times(7, in), true},
		{"clients first", times(100, out), true},
		{"clients first, but for some", times(20, out, out, out, out, out, out, out, out, in), true},
		{"by address", times(20, out, out, in), false},
		{"servers first", times(8, in), false},
		{"ports that tell nothing", times(100, mute), true},
		{"servers first no more", append(times(2000, in), times(4000, out)...), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w orderWatch
			for _, f := range c.flows {
				w.observe(f)
			}
			if got := w.tells(); got != c.tells {
				t.Errorf("the order tells something: %t, want %t", got, c.tells)
			}
		})
	}
}

// TestOrderIsNoWordOfWhoSortsByAddress: once servers have come first for long enough, the
// order of a biflow's halves is no hint any more.
func TestOrderIsNoWordOfWhoSortsByAddress(t *testing.T) {
	biflow := append(append([]spec(nil), tuple...), spec{reverse(ieOctetDelta), 4}, spec{reverse(iePacketDelta), 4})
	n := New(Default())
	first := func(srcPort, dstPort uint64) flowv1.InitiatorHint {
		record := values(4, 0x0a000001, 4, 0x0a000002, 2, srcPort, 2, dstPort, 1, 6, 4, 1000, 4, 10, 4, 2000, 4, 20)
		var out Result
		n.Datagram(ipfix().template(300, biflow...).set(300, record...).datagram(), &out)
		if len(out.Flows) != 2 {
			t.Fatalf("%d flows of a biflow", len(out.Flows))
		}
		return out.Flows[0].InitiatorHint
	}
	for range orderTelling - 1 {
		if got := first(443, 50000); got != flowv1.InitiatorHint_INITIATOR_HINT_SOURCE_BY_ORDER {
			t.Fatalf("hint %v before anything is known", got)
		}
	}
	if got := first(443, 50000); got != flowv1.InitiatorHint_INITIATOR_HINT_UNSPECIFIED {
		t.Errorf("hint %v of one who puts servers first", got)
	}
}
