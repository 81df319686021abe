package prepare

import (
	"bytes"
	"path/filepath"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/dedup/merge"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/pipeline"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// ways are dedup as it runs offline, on structs, and as it runs behind Kafka, on
// wire forms.
type ways struct {
	t              *testing.T
	structs, wires *merge.Window
	read           flow.Briefs
	flows          []*flowv1.Flow
	spliced        []flow.Spliced
	last           eventtime.Tick
	said           int
}

func (w *ways) run(tick eventtime.Tick, in []*flowv1.Flow) {
	for due := w.structs.NextTimer(); due < tick; due = w.structs.NextTimer() {
		w.tick(max(due, w.last+1), nil)
	}
	w.tick(tick, in)
}

func (w *ways) tick(tick eventtime.Tick, in []*flowv1.Flow) {
	w.last = tick
	flow.SortRaw(in)
	var batch []byte
	for _, f := range in {
		batch = flow.AppendDelimited(batch, f)
	}
	w.read.Reset()
	w.read.Add(batch)
	w.read.Sort()
	w.structs.Tick(tick, in, w.keepFlow)
	w.wires.TickWire(tick, w.read.Records, w.keepWire)
	w.compare()
}

func (w *ways) keepFlow(f *flowv1.Flow)  { w.flows = append(w.flows, f) }
func (w *ways) keepWire(s *flow.Spliced) { w.spliced = append(w.spliced, *s) }

// compare puts what both said into its order, and holds one against the other.
func (w *ways) compare() {
	w.t.Helper()
	flow.SortDeduped(w.flows)
	order := new(flow.Orders).Spliced(w.spliced)
	if len(order) != len(w.flows) {
		w.t.Fatalf("%d flows from structs, %d from wire forms", len(w.flows), len(order))
	}
	for i, f := range w.flows {
		if want, got := flow.AppendDelimited(nil, f), flow.AppendDelimited(nil, &w.spliced[order[i].At]); !bytes.Equal(got, want) {
			w.t.Fatalf("from wire forms %x\nfrom structs %x: %v", got, want, f)
		}
	}
	w.said += len(order)
	w.flows, w.spliced = w.flows[:0], w.spliced[:0]
}

// TestWireFormsGiveWhatStructsGive runs every shared capture both ways.
func TestWireFormsGiveWhatStructsGive(t *testing.T) {
	var captures []string
	for _, folder := range []string{"traffic", "captures", "attacks"} {
		found, err := filepath.Glob(filepath.Join(testkit.Data(t, folder), "*.pcap*"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no captures in %s: %v", folder, err)
		}
		captures = append(captures, found...)
	}
	said := 0
	for _, path := range captures {
		t.Run(filepath.Base(path), func(t *testing.T) {
			w := &ways{t: t, structs: merge.New(merge.Default()), wires: merge.New(merge.Default())}
			n := normalize.New(normalize.Default())
			var out normalize.Result
			tick := eventtime.Tick(0)
			err := pipeline.ReadCapture(path, func(d normalize.Datagram) {
				if now := eventtime.TickOf(d.ReceivedNs); now != tick {
					w.run(max(tick, w.last+1), out.Flows)
					out.Reset()
					tick = now
				}
				n.Datagram(d, &out)
			})
			if err != nil {
				t.Fatal(err)
			}
			n.End(&out)
			w.run(max(tick, w.last+1), out.Flows)
			w.structs.End(w.last+1, w.keepFlow)
			w.wires.EndWire(w.last+1, w.keepWire)
			w.compare()
			said += w.said
		})
	}
	if said < 10_000 {
		t.Errorf("only %d flows were compared", said)
	}
}
