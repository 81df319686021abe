package merge

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// TestPartsOfATickGiveWhatTheTickGives: reports that come in any pieces, and are
// gone once they were added, with outputs that are read at once.
func TestPartsOfATickGiveWhatTheTickGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Default()
		cfg.Policy = rapid.SampledFrom([]Policy{Max, First}).Draw(t, "policy")
		if rapid.Bool().Draw(t, "pressure") {
			cfg.MaxWaiting = rapid.IntRange(1, 4).Draw(t, "max waiting")
		}
		var reports []*flowv1.Flow
		for range rapid.IntRange(1, 4).Draw(t, "conversations") {
			more, _ := drawReports(t)
			port := uint32(rapid.IntRange(0, 5).Draw(t, "port"))
			for _, f := range more {
				f.SrcPort += port
				vary(t, f)
			}
			reports = append(reports, more...)
		}
		flow.SortRaw(reports)
		whole, parts := New(cfg), New(cfg)
		var want, got []byte
		write := func(b *[]byte) func(*flowv1.Flow) {
			return func(f *flowv1.Flow) { *b = flow.AppendDelimited(*b, f) }
		}
		step := func(now eventtime.Tick, in []*flowv1.Flow) {
			// What is passed on is changed on its way: each window has its own.
			copies := cloned(in)
			whole.Tick(now, in, write(&want))
			parts.Begin(now, write(&got))
			for len(copies) > 0 {
				n := rapid.IntRange(1, len(copies)).Draw(t, "part")
				parts.Add(copies[:n])
				for _, f := range copies[:n] {
					f.Reset()
				}
				copies = copies[n:]
			}
			parts.Finish()
			if !bytes.Equal(want, got) || whole.NextTimer() != parts.NextTimer() || whole.Stats() != parts.Stats() {
				t.Fatalf("at tick %d the parts give another result", now)
			}
		}
		now := eventtime.Tick(0)
		for n := 0; len(reports) > 0; reports = reports[n:] {
			tick := eventtime.TickOf(reports[0].TimeReceivedNs)
			for n = 0; n < len(reports) && eventtime.TickOf(reports[n].TimeReceivedNs) == tick; n++ {
			}
			for next := whole.NextTimer(); next < tick; next = whole.NextTimer() {
				now = max(next, now+1)
				step(now, nil)
			}
			now = tick
			step(now, reports[:n])
		}
		whole.End(now+1, write(&want))
		parts.End(now+1, write(&got))
		if !bytes.Equal(want, got) {
			t.Fatal("at the end the parts give another result")
		}
	})
}
