package flow

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// A field that is added to the contract must be added to the table.
func TestTraitsAreThoseOfTheContract(t *testing.T) {
	reporter := (&flowv1.Reporter{}).ProtoReflect().Descriptor().Fields()
	fields := (&flowv1.Flow{}).ProtoReflect().Descriptor().Fields()
	for number := range protoreflect.FieldNumber(len(traits)) {
		var want trait
		if fd := fields.ByNumber(number); fd != nil {
			switch {
			case fd.IsPacked() || fd.Kind() == protoreflect.MessageKind:
				want = isBytes | nested
			case fd.Kind() == protoreflect.BytesKind || fd.Kind() == protoreflect.StringKind:
				want = isBytes
			case fd.Kind() == protoreflect.Fixed64Kind:
				want = isFixed
			default:
				want = isVarint
			}
			if fd.IsList() && !fd.IsPacked() {
				want |= repeated
			}
			if reporter.ByNumber(number) != nil {
				want |= reported
			}
		}
		if traits[number]&telling != 0 && want&reported == 0 {
			t.Errorf("field %d: what few know must have its place in Reporter", number)
		}
		if traits[number]&^telling != want {
			t.Errorf("field %d: traits are %b, want %b", number, traits[number], want)
		}
	}
	if n := fields.Get(fields.Len() - 1).Number(); int(n) >= len(traits) {
		t.Errorf("field %d has no place in the table", n)
	}
}

// wires draws wire forms: of any flows, by our encoder, with fields of tomorrow,
// and in ways that ours never writes; and damaged ones.
func wires(t *rapid.T) []byte {
	number := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 300), rapid.SampledFrom([]uint64{0, 1, 6, 8, 58, 1 << 56, 1<<63 - 1, 1_772_442_000_331_000_000}))
	blob := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 4, 4), rapid.SliceOfN(rapid.Byte(), 16, 16), rapid.SliceOfN(rapid.Byte(), 0, 200))
	f := &flowv1.Flow{}
	m := f.ProtoReflect()
	fields := m.Descriptor().Fields()
	lists := rapid.IntRange(0, 3).Draw(t, "lists") == 0
	share := rapid.IntRange(1, 4).Draw(t, "share")
	for i := range fields.Len() {
		switch fd := fields.Get(i); {
		case rapid.IntRange(0, share).Draw(t, "set") == 0:
		case fd.IsList() || fd.Kind() == protoreflect.MessageKind:
			if lists {
				fill(t, m, fd, number, blob)
			}
		case fd.Number() != fieldAuthority || lists:
			m.Set(fd, value(t, fd, number, blob))
		}
	}
	wire, err := f.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	switch rapid.IntRange(0, 5).Draw(t, "way") {
	case 0: // fields of tomorrow
		wire = protowire.AppendTag(wire, protowire.Number(rapid.SampledFrom([]int{2, 5, 99, 244, 255, 256, 2047, 2048, 70_000}).Draw(t, "unknown")), protowire.VarintType)
		wire = protowire.AppendVarint(wire, number.Draw(t, "tomorrow"))
		wire = protowire.AppendTag(wire, 300, protowire.StartGroupType)
		wire = protowire.AppendTag(wire, 300, protowire.EndGroupType)
	case 1: // a field again, or out of order
		fd := fields.Get(rapid.IntRange(0, fields.Len()-1).Draw(t, "again"))
		one := (&flowv1.Flow{}).ProtoReflect()
		if fd.IsList() || fd.Kind() == protoreflect.MessageKind {
			fill(t, one, fd, number, blob)
		} else {
			one.Set(fd, value(t, fd, number, blob))
		}
		more, err := one.Interface().(*flowv1.Flow).MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		wire = append(more, wire...)
	case 2: // damage
		for range rapid.IntRange(0, 3).Draw(t, "hits") {
			if len(wire) > 0 {
				wire[rapid.IntRange(0, len(wire)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
			}
		}
		wire = wire[:rapid.IntRange(0, len(wire)).Draw(t, "cut")]
	}
	return wire
}

// checkBrief holds what is read without decoding against what decoding gives.
func checkBrief(t interface {
	Helper()
	Fatalf(string, ...any)
}, wire []byte) {
	t.Helper()
	wire = slices.Clip(wire)
	f := &flowv1.Flow{}
	fault := f.UnmarshalVT(wire)
	var d Briefs
	ok := d.AddOne(wire)
	checkRoomy(t, wire, &d, ok)
	if ok != (fault == nil) {
		if ok || validFields(wire) { // numbers beyond protobuf's are refused
			t.Fatalf("%x: taken %v, the decoder says %v", wire, ok, fault)
		}
		return
	}
	if fault != nil {
		return
	}
	f.Authority = 0
	got := *d.Records[0]
	var want Brief
	want.Of(f)
	want.Wire, want.Tail = got.Wire, got.Tail
	if got.Wire = nil; !equalBriefs(got, want) {
		t.Fatalf("%x: read\n%+v, decoded\n%+v", wire, got, want)
	}
	checkSpliced(t, f, want)
}

// checkRoomy holds what is read where there is room behind a message against what is read
// where there is none, whatever lies there.
func checkRoomy(t interface {
	Helper()
	Fatalf(string, ...any)
}, wire []byte, want *Briefs, wanted bool) {
	t.Helper()
	for _, behind := range [][]byte{{0xff}, {0}, {0xb0, 1}, append([]byte{0x79}, wire...), {0xf0, 6, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1}} {
		roomy := append(wire, bytes.Repeat(behind, slack/len(behind)+1)...)[:len(wire)]
		var got Briefs
		if got.AddOne(roomy) != wanted {
			t.Fatalf("%x: taken %v, and %v where %x lies behind it", wire, wanted, !wanted, behind)
		}
		if wanted {
			g, w := *got.Records[0], *want.Records[0]
			if !bytes.Equal(g.Wire, w.Wire) {
				t.Fatalf("%x: kept as %x, and as %x where %x lies behind it", wire, w.Wire, g.Wire, behind)
			}
			if g.Wire, w.Wire = nil, nil; !reflect.DeepEqual(g, w) {
				t.Fatalf("%x: read\n%+v, and where %x lies behind it\n%+v", wire, w, behind, g)
			}
		}
		var one, other Fields
		if !one.ordinary(roomy) {
			continue
		}
		if !other.Read(wire, &flowLayout) {
			t.Fatalf("%x: is ordinary, and cannot be read", wire)
		}
		other.Tail, other.Numbers[0], other.Texts[0] = one.Tail, 0, nil
		if one.Numbers[0] = 0; !reflect.DeepEqual(one, other) {
			t.Fatalf("%x: read as ordinary\n%+v, otherwise\n%+v", wire, one, other)
		}
	}
}

func TestOrdinaryFlowsAreReadAsSuch(t *testing.T) {
	plenty := &flowv1.Flow{
		Type: flowv1.FlowType_FLOW_TYPE_IPFIX, SrcAddr: []byte{10, 0, 0, 1}, DstAddr: make([]byte, 16), Bytes: 1 << 40, Packets: 1 << 30, NextHop: []byte{10, 0, 0, 9},
		NextHopAs: 1, SrcAs: 64_512, DstAs: 13_335, SrcNet: 24, DstNet: 16, OutIf: 7, Proto: ProtoICMP, IpTos: 4, ForwardingStatus: 64, IpTtl: 63,
		SrcMac: 0x1234_5678_9abc, DstMac: 1, VlanId: 4000, IcmpType: 8, IcmpCode: 1, SrcVlan: 5, DstVlan: 6, FragmentId: 7, FragmentOffset: 8, Ipv6FlowLabel: 9, IpFlags: 2,
		ObservationPointId: 3, TimeReceivedNs: 1_772_442_001_158_215_000, TimeFlowStartNs: 5, Realm: 70_000, FlowEndReason: 3, PairId: 12, InitiatorHint: 1,
		Reporters: []*flowv1.Reporter{{SamplerAddress: []byte{192, 0, 2, 1}}, {Application: strings.Repeat("x", 200)}}, Authority: 1,
		FirewallEvent: 2, InitialTcpFlags: 2, IngressVrfId: 1, EgressVrfId: 2, Late: true, PacketsUnknown: true, TimeSuspect: true,
	}
	wire, err := plenty.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	for name, wire := range map[string][]byte{"a router's": routersFlow(t), "one with much": wire, "an empty one": nil} {
		var f Fields
		if !f.ordinary(append(slices.Clip(wire), make([]byte, slack)...)[:len(wire)]) {
			t.Errorf("%s takes the long way", name)
		}
	}
}

func equalBriefs(a, b Brief) bool {
	a.Wire, b.Wire = nil, nil
	return a.Key == b.Key && a.Sampler == b.Sampler && a.Egress == b.Egress && a.Late == b.Late && a.InIf == b.InIf &&
		a.ActiveTimeoutMs == b.ActiveTimeoutMs && a.InactiveTimeoutMs == b.InactiveTimeoutMs && a.Bytes == b.Bytes && a.Packets == b.Packets &&
		a.SamplingRate == b.SamplingRate && a.TimeReceivedNs == b.TimeReceivedNs && a.TimeFlowStartNs == b.TimeFlowStartNs &&
		a.TimeFlowEndNs == b.TimeFlowEndNs && a.RecordID == b.RecordID
}

// checkSpliced passes a flow on with itself as a reporter, as it is and decoded.
func checkSpliced(t interface {
	Helper()
	Fatalf(string, ...any)
}, f *flowv1.Flow, b Brief) {
	t.Helper()
	canonical, err := f.MarshalVT()
	if err != nil {
		t.Fatalf("%v", err)
	}
	ours := bytes.Equal(canonical, b.Wire)
	s := Spliced{Wire: b.Wire, Tail: b.Tail, Authority: flowv1.Authority_AUTHORITY_MAX}
	s.Reporters = AppendReporter(nil, b.Wire)
	batch := AppendDelimited([]byte("before"), &s)
	got, rest, err := Next(batch[len("before"):])
	if err != nil || len(rest) > 0 || !bytes.Equal(got, appendGenerated(nil, &s)[len(batch)-len("before")-len(got):]) {
		t.Fatalf("%x: is written as %x, %v", b.Wire, batch, err)
	}
	if n := twice(got); n != 0 {
		t.Fatalf("%x: field %d is there twice, and readers may differ in which they take: %x", b.Wire, n, got)
	}
	f.Authority = flowv1.Authority_AUTHORITY_MAX
	f.Reporters = append(f.Reporters, reporterOf(f))
	want, err := f.MarshalVT()
	if err != nil {
		t.Fatalf("%v", err)
	}
	again := &flowv1.Flow{}
	if err := again.UnmarshalVT(got); err != nil || !sameFlow(again, f) || ours && !bytes.Equal(got, want) {
		t.Fatalf("%x: becomes\n%v, want\n%v (%v)\n%x\n%x", b.Wire, again, f, err, got, want)
	}
}

// twice is a field that may come but once, and comes more often.
func twice(wire []byte) protowire.Number {
	var seen [len(traits)]bool
	for len(wire) > 0 {
		number, _, n := protowire.ConsumeField(wire)
		if int(number) < len(traits) && traits[number] != 0 && traits[number]&repeated == 0 {
			if seen[number] {
				return number
			}
			seen[number] = true
		}
		wire = wire[n:]
	}
	return 0
}

func sameFlow(a, b *flowv1.Flow) bool {
	x, err := a.MarshalVT()
	y, again := b.MarshalVT()
	return err == nil && again == nil && bytes.Equal(x, y)
}

// reporterOf copies all fields that a reporter has.
func reporterOf(f *flowv1.Flow) *flowv1.Reporter {
	r := &flowv1.Reporter{}
	to, from := r.ProtoReflect(), f.ProtoReflect()
	fields := to.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if v := from.Get(from.Descriptor().Fields().ByNumber(fd.Number())); from.Has(from.Descriptor().Fields().ByNumber(fd.Number())) {
			to.Set(fd, v)
		}
	}
	return r
}

// validFields tells whether a message has only fields that protobuf allows.
func validFields(wire []byte) bool {
	for len(wire) > 0 {
		_, _, n := protowire.ConsumeField(wire)
		if n < 0 {
			return false
		}
		wire = wire[n:]
	}
	return true
}

func TestBriefIsWhatDecodingGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { checkBrief(t, wires(t)) })
}

func FuzzBrief(f *testing.F) {
	f.Add(routersFlow(f))
	f.Add(rapid.Custom(wires).Example(1))
	f.Fuzz(func(t *testing.T, wire []byte) { checkBrief(t, wire) })
}

// routersFlow is the wire form of what a router tells.
func routersFlow(t testing.TB) []byte {
	f := &flowv1.Flow{
		Type: flowv1.FlowType_FLOW_TYPE_NETFLOW_V9, SamplingRate: 1, SequenceNum: 77_000,
		SrcAddr: []byte{10, 0, 0, 1}, DstAddr: []byte{198, 51, 100, 7}, Bytes: 125_823, Packets: 87,
		SamplerAddress: []byte{192, 0, 2, 1}, InIf: 1, OutIf: 2, Proto: ProtoTCP, SrcPort: 59_878, DstPort: 443, TcpFlags: 27,
		Etype: 0x800, ObservationDomainId: 1, TimeReceivedNs: 1_772_442_001_158_215_000,
		TimeFlowStartNs: 1_772_442_000_331_000_000, TimeFlowEndNs: 1_772_442_000_654_000_000,
		Direction: flowv1.Direction_DIRECTION_INGRESS, TimeQuality: flowv1.TimeQuality_TIME_QUALITY_UPTIME,
		SamplingKind: flowv1.SamplingKind_SAMPLING_KIND_NONE, RecordId: 5138574599885619408,
		ActiveTimeoutMs: 60_000, InactiveTimeoutMs: 15_000, ReverseObservable: true,
	}
	wire, err := f.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

// BenchmarkPass is what it takes to pass a flow on: decoded and encoded, and spliced.
func BenchmarkPass(b *testing.B) {
	wire := routersFlow(b)
	var out []byte
	b.Run("decoded", func(b *testing.B) {
		var f flowv1.Flow
		for b.Loop() {
			f.Reset()
			if err := f.UnmarshalVTUnsafe(wire); err != nil {
				b.Fatal(err)
			}
			out = AppendDelimited(out[:0], &f)
		}
	})
	b.Run("spliced", func(b *testing.B) {
		var brief Brief
		var fields Fields
		roomy := append(slices.Clip(wire), make([]byte, slack)...)[:len(wire)]
		for b.Loop() {
			if !brief.quick(roomy, &fields) {
				b.Fatal("not ordinary")
			}
			out = AppendDelimited(out[:0], &Spliced{Wire: brief.Wire, Tail: brief.Tail, Authority: 1})
		}
	})
	b.Run("reported", func(b *testing.B) {
		for b.Loop() {
			out = AppendReporter(out[:0], wire)
		}
	})
}
