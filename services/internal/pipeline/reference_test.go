package pipeline

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/dedup/merge"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/testkit"
	"github.com/flowledger/flowledger/services/stitch/biflow"
)

// reference is a pipeline as the stages see it, and as slow: whole ticks, sorted,
// from one core to the next.
type reference struct {
	normalize *normalize.Normalizer
	merge     *merge.Window
	biflow    *biflow.Table
	said      []byte
}

func (r *reference) tick(t eventtime.Tick, flows []*flowv1.Flow) {
	flow.SortRaw(flows)
	var deduped []*flowv1.Flow
	r.merge.Tick(t, flows, func(f *flowv1.Flow) { deduped = append(deduped, f) })
	flow.SortDeduped(deduped)
	r.biflow.Tick(t, deduped, r.say)
}

func (r *reference) say(b *flowv1.Biflow) { r.said = flow.AppendDelimited(r.said, b) }

func (r *reference) play(in []normalize.Datagram) {
	var out normalize.Result
	at := eventtime.TickOf(in[0].ReceivedNs)
	last := eventtime.TickOf(in[len(in)-1].ReceivedNs)
	for ; at <= last; at++ {
		for len(in) > 0 && eventtime.TickOf(in[0].ReceivedNs) == at {
			r.normalize.Datagram(in[0], &out)
			in = in[1:]
		}
		if at == last {
			r.normalize.End(&out)
		}
		r.tick(at, out.Flows)
		out.Reset()
	}
}

// hurried are the datagrams of a capture, ten milliseconds apart, so that ticks
// hold many; another exporter sends the same at the same time, but its first two,
// which hold templates, come late.
func hurried(t *testing.T, path string) (in []normalize.Datagram) {
	t.Helper()
	var sent []normalize.Datagram
	err := ReadCapture(path, func(d normalize.Datagram) {
		d.Payload = bytes.Clone(d.Payload)
		sent = append(sent, d)
	})
	if err != nil {
		t.Fatal(err)
	}
	sent = sent[:min(len(sent), 2000)]
	late := slices.Concat(sent[2:302], sent[:2], sent[302:])
	for i := range sent {
		at := sent[0].ReceivedNs + uint64(i)*uint64(10*time.Millisecond)
		a, b := sent[i], late[i]
		b.Exporter = netip.MustParseAddr("192.0.2.200")
		a.ReceivedNs, b.ReceivedNs = at, at
		in = append(in, a, b)
	}
	return in
}

// TestPassingOnGivesWhatWholeTicksGive: what leaves a tick before it is complete is
// in the order that the whole tick would have had, also where data waits for its
// template.
func TestPassingOnGivesWhatWholeTicksGive(t *testing.T) {
	for _, name := range []string{"traffic/campus_mixed", "traffic/internet_morning"} {
		in := hurried(t, testkit.Data(t, name+".pcap.gz"))
		cfg := Default()
		cfg.Dedup.Hold = time.Second
		ref := &reference{normalize: normalize.New(cfg.Ingest), merge: merge.New(cfg.Dedup), biflow: biflow.New(cfg.Stitch)}
		ref.play(in)
		var got []byte
		waited := false
		p, err := New(cfg, Observer{Update: func(b *flowv1.Biflow) { got = flow.AppendDelimited(got, b) }})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range in {
			p.Datagram(d)
			waited = waited || p.normalize.Waits()
		}
		p.normalize.End(&p.result)
		p.finishTick()
		if !waited {
			t.Errorf("%s: no data waited for its template", name)
		}
		if len(got) == 0 || !bytes.Equal(ref.said, got) {
			t.Errorf("%s: %d bytes of biflows, whole ticks give %d others", name, len(got), len(ref.said))
		}
	}
}

// TestAllThatIsReceivedPassesOn: facts, events and dead letters leave a tick before it is
// complete, as flows do, so that a flood of them takes no more memory than one of flows.
func TestAllThatIsReceivedPassesOn(t *testing.T) {
	seen := 0
	p, err := New(Default(), Observer{Dead: func(*normalize.DeadLetter) { seen++ }})
	if err != nil {
		t.Fatal(err)
	}
	const sent = 10 * enough
	start := uint64(time.Unix(1700000000, 0).UnixNano())
	for i := range uint64(sent) {
		p.Datagram(normalize.Datagram{Exporter: netip.MustParseAddr("192.0.2.1"), ReceivedNs: start + i, Payload: []byte{0, 99, 0, 0}})
	}
	if held := len(p.result.Dead); held > enough || seen != sent-held {
		t.Errorf("of %d dead letters of a tick %d are held and %d passed on, want at most %d held", sent, held, seen, enough)
	}
}
