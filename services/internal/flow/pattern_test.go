package flow

import (
	"bytes"
	"encoding/binary"
	"slices"
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
			b := address.Draw(t, name)
			b[3] |= 1 // all zero is none
			return b
		}
		c := Common{
			Type: flowv1.FlowType(v("type") & 7), SamplingRate: v("rate"), SequenceNum: u("sequence"), SamplerAddress: hop("sampler"),
			ObservationDomainId: u("domain"), TimeReceivedNs: v("received"), Realm: u("realm"),
			Etype: u("etype"), TimeQuality: flowv1.TimeQuality(v("quality") & 7), SamplingKind: flowv1.SamplingKind(v("kind") & 3),
			ActiveTimeoutMs: u("active"), InactiveTimeoutMs: u("inactive"), PacketsUnknown: rapid.Bool().Draw(t, "unknown"),
		}
		own := Own{
			TimeFlowStartNs: v("start"), TimeFlowEndNs: v("end"), Direction: flowv1.Direction(v("direction") & 3), RecordId: v("id"),
			ReverseObservable: rapid.Bool().Draw(t, "observable"), TimeSuspect: rapid.Bool().Draw(t, "suspect"),
		}
		want := &flowv1.Flow{
			Type: c.Type, SamplingRate: c.SamplingRate, SequenceNum: c.SequenceNum, SamplerAddress: c.SamplerAddress,
			ObservationDomainId: c.ObservationDomainId, TimeReceivedNs: c.TimeReceivedNs, Realm: c.Realm, TimeQuality: c.TimeQuality,
			SamplingKind: c.SamplingKind, ActiveTimeoutMs: c.ActiveTimeoutMs, InactiveTimeoutMs: c.InactiveTimeoutMs, PacketsUnknown: c.PacketsUnknown,
			Etype: c.Etype, SrcAddr: address.Draw(t, "src"), DstAddr: address.Draw(t, "dst"), NextHop: hop("next hop"), BgpNextHop: hop("BGP next hop"),
			TimeFlowStartNs: own.TimeFlowStartNs, TimeFlowEndNs: own.TimeFlowEndNs, Direction: own.Direction, RecordId: own.RecordId,
			ReverseObservable: own.ReverseObservable, TimeSuspect: own.TimeSuspect,
			Bytes: v("bytes"), SrcPort: u("port"),
		}
		var record []byte
		var o Origin
		numberAt := func(n uint64) int32 {
			record = binary.BigEndian.AppendUint64(record, n)
			return int32(len(record) - 8)
		}
		bytesAt := func(b []byte) (at BytesAt) {
			at.From = int32(len(record))
			record = append(record, b...)
			at.To = int32(len(record))
			return at
		}
		hopAt := func(b []byte) BytesAt {
			switch {
			case b != nil:
				return bytesAt(b)
			case rapid.Bool().Draw(t, "zero"):
				return bytesAt(make([]byte, 16))
			}
			return BytesAt{}
		}
		some := func(name string) bool { return rapid.Bool().Draw(t, "has "+name) }
		// In any order.
		if some("vrf") {
			want.EgressVrfId = u("vrf")
			o.Copy(240, NumberAt{numberAt(uint64(want.EgressVrfId)), 0, 1<<64 - 1})
		}
		if some("vlan") {
			want.SrcVlan = u("vlan") & 0xfff
			o.Copy(33, NumberAt{numberAt(uint64(want.SrcVlan) | 0xf000), 0, 0xfff})
		}
		o.Copy(21, NumberAt{numberAt(uint64(want.SrcPort)<<16 | 0xffff), 16, 1<<32 - 1})
		if some("reason") {
			want.FlowEndReason = u("reason")
			o.Copy(202, NumberAt{numberAt(uint64(want.FlowEndReason)), 0, 1<<64 - 1})
		}
		o.Copy(9, NumberAt{numberAt(want.Bytes), 0, 1<<64 - 1})
		o.Addresses(bytesAt(want.SrcAddr), bytesAt(want.DstAddr), hopAt(want.NextHop), hopAt(want.BgpNextHop))

		var p Pattern
		p.Begin(&Origin{}, &Common{Type: 1, SamplerAddress: make([]byte, 16), TimeReceivedNs: 1 << 63}) // it is used again
		p.Begin(&o, &c)
		before := []byte("before")
		if got, want := p.Append(slices.Clone(before), record, &own), (*Fresh)(want).Append(before); !slices.Equal(got, want) {
			t.Fatalf("got  %x\nwant %x", got, want)
		}
	})
}

// TestPatternFits writes the longest flow there can be, and one that is not all there.
func TestPatternFits(t *testing.T) {
	record := bytes.Repeat([]byte{0xff}, 4*16+8)
	var o Origin
	o.Addresses(BytesAt{0, 16}, BytesAt{16, 32}, BytesAt{32, 48}, BytesAt{48, 64})
	for _, fields := range [][2]uint16{{9, 10}, {13, 29}, {31, 38}, {202, 202}, {239, 240}} {
		for f := fields[0]; f <= fields[1]; f++ {
			o.Copy(f, NumberAt{At: 64, Mask: 1<<64 - 1})
		}
	}
	const most = 1<<32 - 1
	var p Pattern
	p.Begin(&o, &Common{
		Type: 127, SamplingRate: 1<<64 - 1, SequenceNum: most, SamplerAddress: record[:16], Etype: most, ObservationDomainId: most, TimeReceivedNs: 1<<64 - 1,
		Realm: most, TimeQuality: 127, SamplingKind: 127, ActiveTimeoutMs: most, InactiveTimeoutMs: most, PacketsUnknown: true,
	})
	own := Own{TimeFlowStartNs: 1<<64 - 1, TimeFlowEndNs: 1<<64 - 1, RecordId: 1, Direction: 1, ReverseObservable: true, TimeSuspect: true}
	if n := len(p.Append(nil, record, &own)); n > patternBytes-pieceBytes {
		t.Errorf("%d bytes do not fit into %d", n, patternBytes-pieceBytes)
	}
	defer func() {
		if recover() == nil {
			t.Error("a record was read beyond its end")
		}
	}()
	p.Append(nil, record[:len(record)-1], &own)
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
			Realm: rapid.Uint32().Draw(t, "realm"), Proto: uint32(rapid.SampledFrom([]uint8{6, 17, 47, 132, 0, 1, 58}).Draw(t, "proto")),
			SrcAddr: address.Draw(t, "src"), DstAddr: address.Draw(t, "dst"),
			SrcPort: uint32(rapid.Uint16().Draw(t, "src port")), DstPort: uint32(rapid.Uint16().Draw(t, "dst port")),
		}
		got := HashOf(f.Realm, uint8(f.Proto), f.SrcAddr, f.DstAddr, uint16(f.SrcPort), uint16(f.DstPort))
		if IsICMP(uint8(f.Proto)) {
			f.SrcPort, f.DstPort, f.IcmpType, f.IcmpCode = 0, 0, f.SrcPort, f.DstPort
			got = HashOfICMP(f.Realm, uint8(f.Proto), f.SrcAddr, f.DstAddr, f.IcmpType, f.IcmpCode)
		}
		if k := KeyOf(f); got != ConversationHash(f) {
			t.Fatalf("got %x, want %x, of %v", got, ConversationHash(f), k)
		}
	})
}
