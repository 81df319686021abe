package flow

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TestBiflowsAreEncodedAsGenerated: whatever fields are set, to values of any
// length, the bytes are those of the generated code.
func TestBiflowsAreEncodedAsGenerated(t *testing.T) {
	fields := (*flowv1.Biflow)(nil).ProtoReflect().Descriptor().Fields()
	rapid.Check(t, func(t *rapid.T) {
		b := new(flowv1.Biflow)
		number := rapid.OneOf(rapid.Uint64Range(0, 300), rapid.Uint64())
		for i := range fields.Len() {
			f := fields.Get(i)
			if f.IsList() || rapid.Bool().Draw(t, "left out") {
				continue
			}
			n := number.Draw(t, string(f.Name()))
			length := rapid.SampledFrom([]int{0, 1, 4, 16, 200}).Draw(t, "length")
			var v protoreflect.Value
			switch f.Kind() {
			case protoreflect.BoolKind:
				v = protoreflect.ValueOfBool(n%2 == 1)
			case protoreflect.BytesKind:
				v = protoreflect.ValueOfBytes(bytes.Repeat([]byte{byte(n)}, length))
			case protoreflect.StringKind:
				v = protoreflect.ValueOfString(string(bytes.Repeat([]byte{'x'}, length)))
			case protoreflect.EnumKind:
				v = protoreflect.ValueOfEnum(protoreflect.EnumNumber(n % 200))
			case protoreflect.FloatKind:
				v = protoreflect.ValueOfFloat32(float32(n%100) / 100)
			case protoreflect.Uint32Kind:
				v = protoreflect.ValueOfUint32(uint32(n))
			default:
				v = protoreflect.ValueOfUint64(n)
			}
			b.ProtoReflect().Set(f, v)
		}
		var reporters []byte
		for range rapid.IntRange(0, 3).Draw(t, "reporters") {
			r := &flowv1.Reporter{
				SamplerAddress: []byte{10, 255, 0, 1}, ObservationDomainId: rapid.Uint32().Draw(t, "domain"),
				Direction: flowv1.Direction_DIRECTION_EGRESS,
			}
			b.Reporters = append(b.Reporters, r)
			reporters = AppendBiflowReporter(reporters, r)
		}
		before := []byte("before")
		got := AppendBiflow(bytes.Clone(before), b, reporters)
		if want := AppendDelimited(before, b); !bytes.Equal(want, got) {
			t.Fatalf("%v\ngot  %x\nwant %x", b, got, want)
		}
		var back flowv1.Biflow
		msg, _, err := Next(got[len(before):])
		if err != nil || back.UnmarshalVT(msg) != nil || !proto.Equal(&back, b) {
			t.Fatalf("%v came back as %v: %v", b, &back, err)
		}
	})
}
