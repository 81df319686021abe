package merge

import (
	"bytes"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/netset"
)

// twins are two windows that are fed the same, one structs and the other wire forms.
type twins struct {
	structs, wires *Window
	read           flow.Briefs
	emitted        []*flowv1.Flow
	spliced        []flow.Spliced
	now            eventtime.Tick
}

func newTwins(cfg Config) *twins { return &twins{structs: New(cfg), wires: New(cfg)} }

// tick feeds both, and checks that both say the same, message for message.
func (w *twins) tick(t interface{ Fatalf(string, ...any) }, now eventtime.Tick, in []*flowv1.Flow) {
	for next := w.structs.NextTimer(); next < now; next = w.structs.NextTimer() {
		w.now = max(next, w.now+1)
		w.step(t, w.now, nil)
	}
	w.now = now
	w.step(t, now, in)
}

func (w *twins) step(t interface{ Fatalf(string, ...any) }, now eventtime.Tick, in []*flowv1.Flow) {
	if a, b := w.structs.NextTimer(), w.wires.NextTimer(); a != b {
		t.Fatalf("the next timers are %d and %d", a, b)
	}
	var batch []byte
	for _, f := range in {
		batch = flow.AppendDelimited(batch, f)
	}
	w.read.Reset()
	w.read.Add(batch)
	w.structs.Tick(now, in, w.keepFlow)
	w.wires.TickWire(now, w.read.Records, w.keepWire)
	w.compare(t)
}

func (w *twins) end(t interface{ Fatalf(string, ...any) }) {
	w.structs.End(w.now+1, w.keepFlow)
	w.wires.EndWire(w.now+1, w.keepWire)
	w.compare(t)
}

func (w *twins) keepFlow(f *flowv1.Flow)  { w.emitted = append(w.emitted, f) }
func (w *twins) keepWire(s *flow.Spliced) { w.spliced = append(w.spliced, *s) }

func (w *twins) compare(t interface{ Fatalf(string, ...any) }) {
	if len(w.emitted) != len(w.spliced) {
		t.Fatalf("%d flows from structs, %d from wire forms", len(w.emitted), len(w.spliced))
	}
	for i, f := range w.emitted {
		s := &w.spliced[i]
		want, got := flow.AppendDelimited(nil, f), flow.AppendDelimited(nil, s)
		if !bytes.Equal(want, got) {
			g := &flowv1.Flow{}
			err := g.UnmarshalVT(got[len(got)-s.SizeVT():])
			t.Fatalf("of wire forms (%v)\n%v\nof structs\n%v", err, g, f)
		}
		if f.TimeFlowStartNs != s.TimeFlowStartNs || f.TimeReceivedNs != s.TimeReceivedNs || f.RecordId != s.RecordID || f.Late != s.Late {
			t.Fatalf("%+v does not sort like %v", s, f)
		}
	}
	if w.structs.Stats() != w.wires.Stats() {
		t.Fatalf("counted %+v and %+v", w.structs.Stats(), w.wires.Stats())
	}
	w.emitted, w.spliced = w.emitted[:0], w.spliced[:0]
}

// TestWireFormsGiveWhatStructsGive: several exporters with timeouts of their own,
// some sampled, some silent or late, some telling rare things, under every policy.
func TestWireFormsGiveWhatStructsGive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Default()
		cfg.Policy = rapid.SampledFrom([]Policy{Max, First, Manual}).Draw(t, "policy")
		cfg.Authorities = []Match{{Exporter: netset.MustParse("192.0.2.2/32")[0], InIf: []uint32{1, 2}}, {Exporter: netset.MustParse("192.0.2.0/30")[0]}}
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
		w := newTwins(cfg)
		restore := rapid.IntRange(0, len(reports)).Draw(t, "restore")
		for n := 0; len(reports) > 0; reports, restore = reports[n:], restore-n {
			tick := eventtime.TickOf(reports[0].TimeReceivedNs)
			for n = 0; n < len(reports) && eventtime.TickOf(reports[n].TimeReceivedNs) == tick; n++ {
			}
			if 0 <= restore && restore < n {
				w.restore(t, cfg)
			}
			w.tick(t, tick, reports[:n])
		}
		w.end(t)
	})
}

// vary makes a report a little different from its neighbours.
func vary(t *rapid.T, f *flowv1.Flow) {
	switch rapid.IntRange(0, 13).Draw(t, "vary") {
	case 0:
		f.SamplingRate, f.SamplingKind = 1000, flowv1.SamplingKind_SAMPLING_KIND_PACKET
	case 1:
		f.TimeReceivedNs += uint64(rapid.IntRange(0, 900).Draw(t, "late")) * 1e9
	case 2:
		f.Direction = flowv1.Direction_DIRECTION_EGRESS
	case 3:
		f.Application, f.User, f.NextHop = "https", "alice", []byte{10, 9, 8, 7}
		f.HttpUrl = "https://example.net/" + string(make([]byte, rapid.IntRange(0, 600).Draw(t, "url")))
	case 10:
		f.User, f.FirewallRule, f.FirewallEvent, f.TcpFlags = "bob", "permit", 2, 0x1b
	case 11:
		f.PostSrcAddr, f.PostSrcPort, f.DnsName, f.HttpHost, f.ForwardingStatus = []byte{203, 0, 113, 1}, 4711, "example.net", "example.net", 64
	case 4:
		f.Vpc, f.AsPath = &flowv1.Vpc{AccountId: "123456789012"}, []uint32{64512, 64513}
	case 5:
		f.ProtoReflect().SetUnknown([]byte{0xfa, 0x3f, 1, 7})
	case 6:
		f.ActiveTimeoutMs, f.InactiveTimeoutMs = 60_000, 15_000
	case 7:
		f.TimeFlowEndNs += uint64(rapid.IntRange(0, 90).Draw(t, "beyond")) * 1e9
	case 9:
		f.Late = true // nobody but dedup may say so; it stays what it is
	case 8:
		f.Proto, f.IcmpType = 1, uint32(rapid.SampledFrom([]int{0, 8, 3}).Draw(t, "icmp"))
	}
}

// restore goes on with fresh windows, each from the other's snapshot.
func (w *twins) restore(t *rapid.T, cfg Config) {
	structs, wires := w.structs.AppendSnapshot(nil), w.wires.AppendSnapshot(nil)
	if !bytes.Equal(structs, wires) {
		t.Fatalf("the snapshots differ: %d and %d bytes", len(structs), len(wires))
	}
	stats := w.structs.Stats()
	w.structs, w.wires = New(cfg), New(cfg)
	if err := w.structs.Restore(wires); err != nil {
		t.Fatal(err)
	}
	if err := w.wires.Restore(structs); err != nil {
		t.Fatal(err)
	}
	if w.structs.Stats().Waiting != stats.Waiting {
		t.Fatalf("%d wait after a restore, %d before", w.structs.Stats().Waiting, stats.Waiting)
	}
}

// What another version wrote, in an order of its own, comes out with all it says.
func TestForeignWireFormsPass(t *testing.T) {
	f := report(1, 0, 5, 10)
	wire, err := f.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	foreign := append([]byte{0xa8, 0x01, 0x07}, wire...) // another source port, in front
	foreign = append(foreign, 0xfa, 0x3f, 1, 7)          // a field of tomorrow
	foreign = append(foreign, 0xf0, 0x0c, 3)             // an authority that nobody but dedup may name
	var read flow.Briefs
	if !read.AddOne(foreign) {
		t.Fatal("refused")
	}
	w := New(Default())
	got := &flowv1.Flow{}
	w.TickWire(1, read.Records, func(*flow.Spliced) { t.Error("it did not wait") })
	w.TickWire(100, nil, func(s *flow.Spliced) {
		wire, _, err := flow.Next(flow.AppendDelimited(nil, s))
		if err = errors.Join(err, got.UnmarshalVT(wire)); err != nil {
			t.Error(err)
		}
	})
	f.Authority = flowv1.Authority_AUTHORITY_SOLE
	f.ProtoReflect().SetUnknown([]byte{0xfa, 0x3f, 1, 7})
	if !proto.Equal(got, f) {
		t.Errorf("got\n%v\nwant\n%v", got, f)
	}
}
