package flow

import (
	"bytes"
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TestPatternIsWrittenAsFresh writes flows out of any parts, and the same as a whole.
func TestPatternIsWrittenAsFresh(t *testing.T) {
	number := rapid.OneOf(rapid.Just(uint64(0)), rapid.Uint64Range(0, 300), rapid.Uint64(), rapid.SampledFrom([]uint64{127, 128, 1<<63 - 1, 1 << 63, 1_772_442_000_331_000_000}))
	address := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 4, 4), rapid.SliceOfN(rapid.Byte(), 16, 16))
	rapid.Check(t, func(t *rapid.T) {
		v := func(name string) uint64 { return number.Draw(t, name) }
		u := func(name string) uint32 { return uint32(v(name)) }
		hop := func(name string) []byte {
			if rapid.Bool().Draw(t, name) {
				return nil
			}
			return address.Draw(t, name)
		}
		c := Common{
			Type: flowv1.FlowType(v("type") & 7), SamplingRate: v("rate"), SequenceNum: u("sequence"), SamplerAddress: hop("sampler"),
			ObservationDomainId: u("domain"), TimeReceivedNs: v("received"), Realm: u("realm"),
			TimeQuality: flowv1.TimeQuality(v("quality") & 7), SamplingKind: flowv1.SamplingKind(v("kind") & 3),
			ActiveTimeoutMs: u("active"), InactiveTimeoutMs: u("inactive"), PacketsUnknown: rapid.Bool().Draw(t, "unknown"),
		}
		own := Own{
			SrcAddr: address.Draw(t, "src"), DstAddr: address.Draw(t, "dst"), NextHop: hop("next hop"), BgpNextHop: hop("BGP next hop"),
			TimeFlowStartNs: v("start"), TimeFlowEndNs: v("end"), Direction: flowv1.Direction(v("direction") & 3), RecordId: v("id"),
			ReverseObservable: rapid.Bool().Draw(t, "observable"), TimeSuspect: rapid.Bool().Draw(t, "suspect"),
		}
		want := &flowv1.Flow{
			Type: c.Type, SamplingRate: c.SamplingRate, SequenceNum: c.SequenceNum, SamplerAddress: c.SamplerAddress,
			ObservationDomainId: c.ObservationDomainId, TimeReceivedNs: c.TimeReceivedNs, Realm: c.Realm, TimeQuality: c.TimeQuality,
			SamplingKind: c.SamplingKind, ActiveTimeoutMs: c.ActiveTimeoutMs, InactiveTimeoutMs: c.InactiveTimeoutMs, PacketsUnknown: c.PacketsUnknown,
			SrcAddr: own.SrcAddr, DstAddr: own.DstAddr, NextHop: own.NextHop, BgpNextHop: own.BgpNextHop,
			TimeFlowStartNs: own.TimeFlowStartNs, TimeFlowEndNs: own.TimeFlowEndNs, Direction: own.Direction, RecordId: own.RecordId,
			ReverseObservable: own.ReverseObservable, TimeSuspect: own.TimeSuspect,
			Bytes: v("bytes"), SrcPort: u("port"), Etype: u("etype"), SrcVlan: u("vlan") & 0xfff, FlowEndReason: u("reason"), EgressVrfId: u("vrf"),
		}
		var record []byte
		for _, n := range []uint64{want.Bytes, uint64(want.SrcPort)<<16 | 0xffff, uint64(want.SrcVlan) | 0xf000, uint64(want.FlowEndReason), uint64(want.EgressVrfId)} {
			record = binary.BigEndian.AppendUint64(record, n)
		}
		var copies Copies // in any order
		copies.Add(240, 32, 0, 1<<64-1)
		copies.Add(33, 16, 0, 0xfff)
		copies.AddConstant(30, uint64(want.Etype))
		copies.Add(21, 8, 16, 1<<32-1)
		copies.Add(202, 24, 0, 1<<64-1)
		copies.Add(9, 0, 0, 1<<64-1)

		var p Pattern
		p.Begin(&Common{Type: 1, SamplerAddress: bytes.Repeat([]byte{1}, 16), TimeReceivedNs: 1 << 63}) // it is used again
		p.Begin(&c)
		before := []byte("before")
		if got, want := p.Append(bytes.Clone(before), &copies, record, &own), (*Fresh)(want).Append(before); !bytes.Equal(got, want) {
			t.Fatalf("got  %x\nwant %x", got, want)
		}
	})
}

func TestEncodedIsWrittenAsTheFlow(t *testing.T) {
	f := &flowv1.Flow{SrcAddr: []byte{10, 0, 0, 1}, DstAddr: bytes.Repeat([]byte{7}, 16), FirewallRule: "a rule", Bytes: 9}
	for range 8 { // of any length
		f.FirewallRule += f.FirewallRule
		e := &Encoded{Bytes: (*Fresh)(f).Append(nil)}
		want := appendGenerated([]byte("before"), f)
		if got := AppendDelimited([]byte("before"), e); !bytes.Equal(got, want) {
			t.Errorf("got  %x\nwant %x", got, want)
		}
		if got := appendGenerated([]byte("before"), e); !bytes.Equal(got, want) {
			t.Errorf("by the general way: got  %x\nwant %x", got, want)
		}
	}
}

// TestHashOf holds the hash of parts against that of the whole.
func TestHashOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		address := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 4, 4), rapid.SliceOfN(rapid.Byte(), 16, 16))
		f := &flowv1.Flow{
			Realm: rapid.Uint32().Draw(t, "realm"), Proto: uint32(rapid.SampledFrom([]uint8{6, 17, 47, 132, 0}).Draw(t, "proto")),
			SrcAddr: address.Draw(t, "src"), DstAddr: address.Draw(t, "dst"),
			SrcPort: uint32(rapid.Uint16().Draw(t, "src port")), DstPort: uint32(rapid.Uint16().Draw(t, "dst port")),
		}
		got := HashOf(f.Realm, uint8(f.Proto), f.SrcAddr, f.DstAddr, uint16(f.SrcPort), uint16(f.DstPort))
		if k := KeyOf(f); got != ConversationHash(f) {
			t.Fatalf("got %x, want %x, of %v", got, ConversationHash(f), k)
		}
	})
}
