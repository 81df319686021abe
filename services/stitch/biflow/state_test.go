package biflow

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// ticks draws ticks of flows of every kind: both families, several exporters that
// report together, what few flows tell, late reports.
func drawTicks(t *rapid.T, ports int) (ticks []eventtime.Tick, flows [][]*flowv1.Flow) {
	tick, record := eventtime.TickOf(second(0)), uint64(0)
	for range rapid.IntRange(1, 40).Draw(t, "ticks") {
		tick += eventtime.Tick(rapid.SampledFrom([]int{1, 3, 60, 400}).Draw(t, "step"))
		var in []*flowv1.Flow
		for range rapid.IntRange(0, 6).Draw(t, "flows") {
			record++
			f := drawFlow(t, tick, ports)
			f.RecordId, f.TimeReceivedNs = record, tick.Ns()
			in = append(in, f)
		}
		flow.SortDeduped(in)
		ticks, flows = append(ticks, tick), append(flows, in)
	}
	return ticks, flows
}

func drawFlow(t *rapid.T, tick eventtime.Tick, ports int) *flowv1.Flow {
	client, server := fmt.Sprintf("10.0.0.1:%d", 50000+rapid.IntRange(1, ports).Draw(t, "port")), "198.51.100.7:443"
	if rapid.Bool().Draw(t, "ipv6") {
		client, server = fmt.Sprintf("[2001:db8::1]:%d", 50000+rapid.IntRange(1, ports).Draw(t, "port6")), "[2001:db8::2]:443"
	}
	if rapid.Bool().Draw(t, "reverse") {
		client, server = server, client
	}
	f := tcp(client, server, 0, 0, rapid.Uint64Range(1, 50).Draw(t, "packets"),
		rapid.SampledFrom([]uint32{0, 0x02, 0x12, 0x14, 0x18, 0x1b, 0x04}).Draw(t, "flags"))
	f.Proto = rapid.SampledFrom([]uint32{6, 6, 6, 17, 1, 50}).Draw(t, "proto")
	f.TimeFlowEndNs = tick.Ns() - uint64(rapid.IntRange(0, 30_000).Draw(t, "ago"))*1e6
	f.TimeFlowStartNs = f.TimeFlowEndNs - uint64(rapid.SampledFrom([]int{0, 1, 90_000}).Draw(t, "length"))*1e6
	f.SamplerAddress[3] = byte(rapid.IntRange(1, 3).Draw(t, "exporter"))
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 20}).Draw(t, "reporters") {
		f.Reporters = append(f.Reporters, &flowv1.Reporter{SamplerAddress: []byte{192, 0, 2, byte(rapid.IntRange(1, 40).Draw(t, "reporter"))},
			ForwardingStatus: rapid.SampledFrom([]uint32{0, 64, 130}).Draw(t, "status")})
	}
	switch rapid.IntRange(0, 9).Draw(t, "kind") {
	case 0:
		f.PostSrcAddr, f.PostSrcPort = []byte{203, 0, 113, 5}, 61000
	case 1:
		f.Application, f.DnsName = "tls", rapid.SampledFrom([]string{"", "example.org"}).Draw(t, "name")
	case 2:
		f.SamplingRate = rapid.SampledFrom([]uint64{1, 1000, 1<<32 - 1, 1 << 40}).Draw(t, "rate")
	case 3:
		f.Late, f.Bytes, f.Packets = true, 0, 0
	case 5:
		f.Bytes, f.Packets = 3<<30, rapid.SampledFrom([]uint64{3, 3 << 30}).Draw(t, "many")
	case 4:
		f.IcmpType, f.FirewallEvent, f.FlowEndReason = 8, 3, 2
	}
	return f
}

// said is what a table says in a tick, as it goes on the wire.
func said(step func(emit func(*flowv1.Biflow))) (out []byte) {
	var bs []*flowv1.Biflow
	step(func(b *flowv1.Biflow) { bs = append(bs, proto.Clone(b).(*flowv1.Biflow)) })
	flow.SortBiflows(bs)
	for _, b := range bs {
		out = flow.AppendDelimited(out, b)
	}
	return out
}

// stepTo runs the ticks before next at which a timer is due, and then next itself.
func stepTo(tb *Table, last, next eventtime.Tick, in []*flowv1.Flow) (out []byte) {
	for tb.NextTimer() < next {
		last = max(tb.NextTimer(), last+1)
		out = append(out, said(func(emit func(*flowv1.Biflow)) { tb.Tick(last, nil, emit) })...)
	}
	return append(out, said(func(emit func(*flowv1.Biflow)) { tb.Tick(next, in, emit) })...)
}

// A table goes on byte for byte after a restore, also when it is too small for its
// conversations: which of them go does not depend on where they lie.
func TestRestoresChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Default()
		cfg.MaxConversations = rapid.SampledFrom([]int{1, 2, 3, 5, 8, 1000}).Draw(t, "max")
		ticks, flows := drawTicks(t, rapid.SampledFrom([]int{2, 12}).Draw(t, "ports"))
		whole, parts := New(cfg), New(cfg)
		last := ticks[0] - 1
		for i, tick := range ticks {
			if rapid.Bool().Draw(t, "cut") {
				fresh := New(cfg)
				if err := fresh.Restore(parts.AppendSnapshot(nil)); err != nil {
					t.Fatal(err)
				}
				parts = fresh
			}
			want, got := stepTo(whole, last, tick, flows[i]), stepTo(parts, last, tick, flows[i])
			if !bytes.Equal(want, got) {
				t.Fatalf("at tick %d a restored table says something else", tick)
			}
			if open := whole.Stats().Open; open > cfg.MaxConversations || open != parts.Stats().Open {
				t.Fatalf("%d and %d are open, at most %d may be", open, parts.Stats().Open, cfg.MaxConversations)
			}
			last = tick
		}
		want, got := said(func(emit func(*flowv1.Biflow)) { whole.End(last+1, emit) }), said(func(emit func(*flowv1.Biflow)) { parts.End(last+1, emit) })
		if !bytes.Equal(want, got) {
			t.Fatal("a restored table ends differently")
		}
	})
}

// Under pressure the longest silent conversation goes first, of those equally long
// silent the one with the lowest flow id.
func TestTheLongestSilentGoFirst(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 6).Draw(t, "max")
		ticks, flows := drawTicks(t, 12)
		tb := New(Default())
		var closed []uint64
		emit := func(b *flowv1.Biflow) { closed = append(closed, b.FlowId) }
		for i, tick := range ticks {
			tb.cfg.MaxConversations = 1000
			tb.Tick(tick, flows[i], func(*flowv1.Biflow) {})
			var open []*conv
			for id := range tb.convs.Len() {
				if c := tb.convs.At(id); c.has(live) {
					open = append(open, c)
				}
			}
			slices.SortFunc(open, func(a, b *conv) int {
				return cmp.Or(cmp.Compare(tb.full(a.last), tb.full(b.last)), cmp.Compare(a.id, b.id))
			})
			var want []uint64
			for len(open)-len(want) > most {
				want = append(want, open[len(want)].id)
			}
			closed = nil
			tb.cfg.MaxConversations = most
			tb.evict(emitter(emit))
			if !slices.Equal(want, closed) {
				t.Fatalf("at %d %d were evicted in the order %v, want %d in the order %v", tick, len(closed), closed, len(want), want)
			}
		}
	})
}

// TestNothingIsLeft: what conversations hold beside themselves goes with them.
func TestNothingIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ticks, flows := drawTicks(t, 4)
		cfg := Default()
		cfg.MaxConversations = rapid.SampledFrom([]int{2, 1000}).Draw(t, "max")
		tb := New(cfg)
		used := func() [6]uint32 {
			return [6]uint32{tb.convs.Len(), tb.pairs.Len(), tb.mores.Len(), tb.names.Len(), tb.origins.all.Len(), tb.origins.points.all.Len()}
		}
		var first [6]uint32
		for round := range 3 {
			last := ticks[0] - 1
			for i, tick := range ticks {
				stepTo(tb, last, tick, flows[i])
				last = tick
			}
			tb.End(last+1, func(*flowv1.Biflow) {})
			if n := tb.index.Len() + tb.origins.index.Len() + tb.origins.points.index.Len(); n > 0 || tb.Stats().Open != 0 {
				t.Fatalf("%d are still held, %d are open", n, tb.Stats().Open)
			}
			if round == 0 {
				first = used()
			}
			if used() != first {
				t.Fatalf("slabs have grown from %v to %v in round %d", first, used(), round)
			}
			for i := range ticks {
				ticks[i] += 1 << 20
			}
		}
	})
}
