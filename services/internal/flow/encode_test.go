package flow

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TestFreshIsWrittenAsGenerated fills any fields of a flow, such as are added later
// among them, with any values.
func TestFreshIsWrittenAsGenerated(t *testing.T) {
	number := rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 300), rapid.SampledFrom([]uint64{0, 127, 128, 1 << 56, 1<<63 - 1, 1 << 63, 1_772_442_000_331_000_000}))
	blob := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 4, 4), rapid.SliceOfN(rapid.Byte(), 16, 16), rapid.SliceOfN(rapid.Byte(), 0, 400))
	rapid.Check(t, func(t *rapid.T) {
		f := &flowv1.Flow{}
		m := f.ProtoReflect()
		fields := m.Descriptor().Fields()
		lists := rapid.IntRange(0, 9).Draw(t, "lists") == 0
		share := rapid.IntRange(1, 4).Draw(t, "share")
		for i := range fields.Len() {
			fd := fields.Get(i)
			if rapid.IntRange(0, share).Draw(t, "set") == 0 {
				continue
			}
			if fd.IsList() || fd.Kind() == protoreflect.MessageKind {
				if lists {
					fill(t, m, fd, number, blob)
				}
				continue
			}
			m.Set(fd, value(t, fd, number, blob))
		}
		batch := blob.Draw(t, "before")
		want := appendGenerated(bytes.Clone(batch), f)
		if got := AppendDelimited(bytes.Clone(batch), (*Fresh)(f)); !bytes.Equal(got, want) {
			t.Fatalf("%v\ngot  %x\nwant %x", f, got, want)
		}
	})
}

// fill sets lists and messages.
func fill(t *rapid.T, m protoreflect.Message, fd protoreflect.FieldDescriptor, number *rapid.Generator[uint64], blob *rapid.Generator[[]byte]) {
	switch {
	case fd.IsList() && fd.Kind() == protoreflect.MessageKind:
		m.Mutable(fd).List().AppendMutable()
	case fd.IsList():
		m.Mutable(fd).List().Append(value(t, fd, number, blob))
	default:
		m.Mutable(fd)
	}
}

func value(t *rapid.T, fd protoreflect.FieldDescriptor, number *rapid.Generator[uint64], blob *rapid.Generator[[]byte]) protoreflect.Value {
	n := number.Draw(t, "number")
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(n&1 != 0)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(int32(n)))
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(n))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(n)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(blob.Draw(t, "bytes"))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(string(blob.Draw(t, "text")))
	}
	t.Fatalf("a field of a kind of which there was none: %s", fd.FullName())
	return protoreflect.Value{}
}

// BenchmarkAppend is what it takes to write a router's flow, by the generated and
// by the hand-written code.
func BenchmarkAppend(b *testing.B) {
	f := &flowv1.Flow{
		Type: flowv1.FlowType_FLOW_TYPE_NETFLOW_V9, SamplingRate: 1, SequenceNum: 77_000,
		SrcAddr: []byte{10, 0, 0, 1}, DstAddr: []byte{198, 51, 100, 7}, Bytes: 125_823, Packets: 87,
		SamplerAddress: []byte{192, 0, 2, 1}, InIf: 1, OutIf: 2, Proto: ProtoTCP, SrcPort: 59_878, DstPort: 443, TcpFlags: 27,
		Etype: 0x800, ObservationDomainId: 1, TimeReceivedNs: 1_772_442_001_158_215_000,
		TimeFlowStartNs: 1_772_442_000_331_000_000, TimeFlowEndNs: 1_772_442_000_654_000_000,
		Direction: flowv1.Direction_DIRECTION_INGRESS, TimeQuality: flowv1.TimeQuality_TIME_QUALITY_UPTIME,
		SamplingKind: flowv1.SamplingKind_SAMPLING_KIND_NONE, RecordId: rand.Uint64() | 1<<63,
		ActiveTimeoutMs: 60_000, InactiveTimeoutMs: 15_000, ReverseObservable: true,
	}
	for _, c := range []struct {
		name string
		m    Message
	}{{"generated", f}, {"fresh", (*Fresh)(f)}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var batch []byte
			for b.Loop() {
				if len(batch) > 64<<10 {
					batch = batch[:0]
				}
				batch = AppendDelimited(batch, c.m)
			}
		})
	}
}

// BenchmarkConversationHash is what it takes to find a flow's partition.
func BenchmarkConversationHash(b *testing.B) {
	f := &flowv1.Flow{SrcAddr: []byte{10, 0, 0, 1}, DstAddr: []byte{198, 51, 100, 7}, Proto: ProtoTCP, SrcPort: 59_878, DstPort: 443}
	for b.Loop() {
		f.SrcPort++
		ConversationHash(f)
	}
}
