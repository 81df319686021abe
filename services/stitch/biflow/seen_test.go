package biflow

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// TestFlowsSeenGiveWhatFlowsKeptGive: flows that come in any order and are gone
// once they were seen, with outputs that are read at once.
func TestFlowsSeenGiveWhatFlowsKeptGive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ticks, flows := drawTicks(t, 3)
		kept, passing := New(Default()), New(Default())
		var want, got []byte
		write := func(b *[]byte) func(*flowv1.Biflow) {
			return func(v *flowv1.Biflow) { *b = flow.AppendDelimited(*b, v) }
		}
		last := ticks[0] - 1
		for i, tick := range ticks {
			for next := kept.NextTimer(); next < tick; next = kept.NextTimer() {
				last = max(next, last+1)
				kept.Tick(last, nil, write(&want))
				passing.TickSeen(last, write(&got))
			}
			last = tick
			kept.Tick(tick, flows[i], write(&want))
			for _, f := range rapid.Permutation(flows[i]).Draw(t, "order") {
				f = proto.Clone(f).(*flowv1.Flow)
				passing.See(f)
				for _, b := range [][]byte{f.SrcAddr, f.DstAddr, f.SamplerAddress, f.PostSrcAddr} {
					clear(b)
				}
				f.Reset()
			}
			passing.TickSeen(tick, write(&got))
			if !bytes.Equal(want, got) || kept.NextTimer() != passing.NextTimer() || kept.Stats() != passing.Stats() {
				t.Fatalf("at tick %d what was seen gives another result", tick)
			}
		}
		kept.End(last+1, write(&want))
		passing.End(last+1, write(&got))
		if !bytes.Equal(want, got) {
			t.Fatal("at the end what was seen gives another result")
		}
	})
}
