package biflow

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// wireTick is a tick from wire to wire. The flows come in any order and in batches
// of any cut.
func wireTick(tb *Table, in *Input, out *Output, now eventtime.Tick, flows []*flowv1.Flow, rng *rand.Rand) (said []byte) {
	in.Reset()
	var batch []byte
	for _, i := range rng.Perm(len(flows)) {
		batch = flow.AppendDelimited(batch, flows[i])
		if rng.IntN(3) == 0 {
			in.Add(batch)
			batch = nil
		}
	}
	in.Add(batch)
	tb.TickWire(now, in, out)
	return wires(out)
}

func wires(out *Output) (said []byte) {
	out.Each(func(_ uint64, delimited []byte) { said = append(said, delimited...) })
	return said
}

// TestTheWireIsAsMessages: a table says the same whether flows and biflows are
// messages or bytes.
func TestTheWireIsAsMessages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Default()
		cfg.MaxConversations = rapid.SampledFrom([]int{3, 1000}).Draw(t, "max")
		ticks, flows := drawTicks(t, 4)
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))
		messages, wire := New(cfg), New(cfg)
		var in Input
		var out Output
		for i, tick := range ticks {
			want := said(func(emit func(*flowv1.Biflow)) { messages.Tick(tick, flows[i], emit) })
			if got := wireTick(wire, &in, &out, tick, flows[i], rng); !bytes.Equal(want, got) {
				t.Fatalf("tick %d\ngot  %x\nwant %x", tick, got, want)
			}
		}
		last := ticks[len(ticks)-1] + 1
		wire.EndWire(last, &out)
		if want := said(func(emit func(*flowv1.Biflow)) { messages.End(last, emit) }); !bytes.Equal(want, wires(&out)) {
			t.Fatal("the ends differ")
		}
		if in.Bad != (flow.Bad{}) || messages.Stats() != wire.Stats() {
			t.Fatalf("%+v are bad; counted %+v and %+v", in.Bad, messages.Stats(), wire.Stats())
		}
	})
}

// TestBadFlowsAreLeftOut counts what cannot be decoded, and takes its neighbours.
func TestBadFlowsAreLeftOut(t *testing.T) {
	good := flow.AppendDelimited(nil, tcp("10.0.0.1:1", "10.0.0.2:2", 0, 1, 1, 2))
	var in Input
	in.Add(append(append(bytes.Clone(good), 2, 0x0b, 0x0b), good...)) // a group that does not end
	if want := []flow.Left{{Bytes: []byte{0x0b, 0x0b}, Reason: flow.Undecodable}}; !cmp.Equal(in.Left, want) {
		t.Errorf("left out %v, want %v", in.Left, want)
	}
	in.Add(good[:len(good)-1])
	if want := []flow.Left{{Bytes: good[:len(good)-1], Reason: flow.Truncated}}; !cmp.Equal(in.Left, want) {
		t.Errorf("left out %v, want %v", in.Left, want)
	}
	if in.segments.Len() != 2 || in.Bad != (flow.Bad{Truncated: 1, Undecodable: 1}) {
		t.Errorf("%d flows, %+v bad, want 2 and one of each", in.segments.Len(), in.Bad)
	}
}

// TestClientsHash: a version goes to the partition of its client.
func TestClientsHash(t *testing.T) {
	var in Input
	var out Output
	in.Add(flow.AppendDelimited(nil, tcp("10.0.0.2:50000", "10.0.0.1:443", 0, 1, 1, 2)))
	New(Default()).TickWire(1, &in, &out)
	n := 0
	out.Each(func(client uint64, _ []byte) {
		n++
		if client != flow.HostHash([]byte{10, 0, 0, 2}) {
			t.Error("the hash is not that of the client")
		}
	})
	if n != 1 {
		t.Errorf("said %d versions, want 1", n)
	}
}

// fields are the only segment of an input, and what it points to, as text.
func fields(in *Input) string {
	s := *in.segments.At(0)
	text := fmt.Sprintf("%+v", *s.point)
	if s.pair != nil {
		text += fmt.Sprintf(" %x", *s.pair)
	}
	if s.extra != nil {
		text += fmt.Sprintf(" %+v", *s.extra)
	}
	s.point, s.pair, s.extra = nil, nil, nil
	return fmt.Sprintf("%+v %s", s, text)
}

// FuzzRead: whatever the bytes, the hurried reader reads what the generated code
// does, or gives up.
func FuzzRead(f *testing.F) {
	plain := tcp("10.0.0.1:1", "10.0.0.2:2", 0, 1, 1, 2)
	whole := with(proto.Clone(plain).(*flowv1.Flow), func(f *flowv1.Flow) {
		f.Type, f.SamplingRate, f.ForwardingStatus, f.FirewallEvent, f.FlowEndReason = 3, 1000, 130, 2, 3
		f.Direction, f.Realm, f.ObservationDomainId, f.InitialTcpFlags = 2, 7, 9, 2
		f.NextHop, f.BgpNextHop, f.SrcMac, f.PairId, f.Etype = []byte{1, 2, 3, 4}, []byte{5}, 6, 7, 0x800
		f.Late, f.PacketsUnknown, f.TimeSuspect, f.ActiveTimeoutMs = true, true, true, 60_000
		f.Reporters = []*flowv1.Reporter{{SamplerAddress: []byte{192, 0, 2, 9}, Direction: 2, Application: "x", RecordId: 5, ObservationDomainId: 300, ForwardingStatus: 128},
			{FirewallEvent: 3}}
	})
	rare := with(proto.Clone(plain).(*flowv1.Flow), func(f *flowv1.Flow) { f.DnsName, f.AsPath = "example.org", []uint32{1, 2} })
	first := with(proto.Clone(plain).(*flowv1.Flow), func(f *flowv1.Flow) {
		f.TcpFlags, f.Packets, f.InitialTcpFlags, f.InitiatorHint, f.SamplingKind, f.TimeQuality = syn|ack, 5, syn, 1, 2, 3
	})
	aws := with(proto.Clone(plain).(*flowv1.Flow), func(f *flowv1.Flow) {
		f.TcpFlags, f.Packets, f.Type, f.IcmpCode = syn|ack, 5, flowv1.FlowType_FLOW_TYPE_AWS_VPC, 3
	})
	for _, m := range []*flowv1.Flow{plain, whole, rare, first, aws, {SrcAddr: []byte{}, Reporters: []*flowv1.Reporter{{}}}} {
		b, err := m.MarshalVT()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		var in, slow Input
		if !in.read(msg) {
			return
		}
		if !slow.decode(msg) {
			t.Fatalf("%x was read, and is no flow", msg)
		}
		if got, want := fields(&in), fields(&slow); got != want {
			t.Fatalf("%x was read as\n%s\nand is\n%s", msg, got, want)
		}
	})
}

// TestOrdinaryFlowsAreReadInAHurry: what exporters mostly tell does not take the
// long way.
func TestOrdinaryFlowsAreReadInAHurry(t *testing.T) {
	f := with(tcp("10.0.0.1:1", "10.0.0.2:2", 0, 1, 1, 2), func(f *flowv1.Flow) {
		f.NextHop, f.SrcMac, f.VlanId, f.IpTos, f.SrcAs, f.Authority = []byte{1, 2, 3, 4}, 5, 6, 7, 8, 2
		f.Reporters = []*flowv1.Reporter{{SamplerAddress: []byte{192, 0, 2, 9}, Bytes: 5, Application: "x"}}
	})
	b, err := f.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	if !new(Input).read(b) {
		t.Error("an ordinary flow takes the long way")
	}
}
