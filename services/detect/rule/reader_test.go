package rule

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// FuzzReader: whatever the bytes, what is read in a hurry is a biflow, and gives the
// sighting that it gives decoded.
func FuzzReader(f *testing.F) {
	failing := func(change func(b *flowv1.Biflow)) *flowv1.Biflow {
		b := call(7, 0, "10.0.0.1", "203.0.113.5", 443, unanswered)
		change(b)
		return b
	}
	for _, b := range []*flowv1.Biflow{
		{},
		call(7, 0, "10.0.0.1", "203.0.113.5", 443, established),
		failing(func(b *flowv1.Biflow) { b.Realm, b.SamplingRate, b.TimeQuality, b.Version = 300, 1000, 2, 200 }),
		failing(func(b *flowv1.Biflow) { b.ClientTcpFlags |= tcpACK }),
		failing(func(b *flowv1.Biflow) { b.ClientBytes = 0 }),
		failing(func(b *flowv1.Biflow) { b.ClientPackets = 0 }),
		failing(func(b *flowv1.Biflow) { b.ClientBytes, b.ClientPackets, b.PacketsUnknown = 0, 0, true }),
		failing(func(b *flowv1.Biflow) { b.InitiatorConfidence, b.DirectionConflict = 0.6, true }),
		failing(func(b *flowv1.Biflow) { b.Proto, b.CloseReason = 17, 4 }),
		failing(func(b *flowv1.Biflow) { b.Proto, b.IcmpType, b.ServerPort = 1, 8, 0 }),
		failing(func(b *flowv1.Biflow) {
			b.PrevFlowId, b.DnsName = 9, "example.org"
			b.Reporters = []*flowv1.Reporter{{SamplerAddress: []byte{192, 0, 2, 1}, ObservationDomainId: 300, Direction: 2}, {}}
		}),
		failing(func(b *flowv1.Biflow) { b.Reporters = []*flowv1.Reporter{{Application: "x"}} }),
	} {
		msg, err := b.MarshalVT()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(msg)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		var r Reader
		if !r.read(msg) {
			return
		}
		var b flowv1.Biflow
		if b.UnmarshalVTUnsafe(msg) != nil {
			t.Fatalf("%x was read, and is no biflow", msg)
		}
		var got, want sighting
		read, reads := got.read(&r.brief, 0.7), want.read(&b, 0.7)
		if read != reads || got != want {
			t.Fatalf("%x was read as\n%+v\nand is\n%+v", msg, got, want)
		}
	})
}

// TestReaderTakesWhatStitchWrites in a hurry; what else there may be it decodes, and
// what is none it counts.
func TestReaderTakesWhatStitchWrites(t *testing.T) {
	known := call(7, 0, "10.0.0.1", "203.0.113.5", 443, established)
	known.Reporters = []*flowv1.Reporter{{SamplerAddress: []byte{192, 0, 2, 1}, ObservationDomainId: 300, Direction: 2}}
	odd := call(8, 0, "10.0.0.2", "203.0.113.5", 443, unanswered)
	odd.Reporters = []*flowv1.Reporter{{Application: "x"}}
	good := flow.AppendDelimited(flow.AppendDelimited(nil, known), odd)
	batch := append(bytes.Clone(good), 2, 0x0b, 0x0b) // a group that does not end
	batch = append(append(batch, good...), 9)
	var r Reader
	var ids []uint64
	hurried := 0
	r.Each(batch, func(b *flowv1.Biflow) {
		ids = append(ids, b.FlowId)
		if b == &r.brief {
			hurried++
		}
	})
	if want := []uint64{7, 8, 7, 8}; !slices.Equal(ids, want) || r.Bad != (flow.Bad{Truncated: 1, Undecodable: 1}) || hurried != 2 {
		t.Errorf("read %v, %d in a hurry, %+v bad; want %v, one of each and 2", ids, hurried, r.Bad, want)
	}
	if want := []flow.Left{{Bytes: []byte{0x0b, 0x0b}, Reason: flow.Undecodable}, {Bytes: []byte{9}, Reason: flow.Truncated}}; !cmp.Equal(r.Left, want) {
		t.Errorf("left out %v, want %v", r.Left, want)
	}
}
