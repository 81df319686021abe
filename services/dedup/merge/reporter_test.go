package merge

import (
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TestAReporterSaysAllThatItCan: every field that Reporter has of Flow's is told, so
// that a view that is not counted keeps what only it knows: that it was denied.
func TestAReporterSaysAllThatItCan(t *testing.T) {
	f := &flowv1.Flow{}
	from, fields := f.ProtoReflect(), (*flowv1.Reporter)(nil).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		fd := from.Descriptor().Fields().ByNumber(fields.Get(i).Number())
		switch fd.Kind() {
		case protoreflect.BytesKind:
			from.Set(fd, protoreflect.ValueOfBytes([]byte{10, 0, 0, byte(i)}))
		case protoreflect.StringKind:
			from.Set(fd, protoreflect.ValueOfString("text"))
		case protoreflect.EnumKind:
			from.Set(fd, protoreflect.ValueOfEnum(1))
		case protoreflect.Uint32Kind:
			from.Set(fd, protoreflect.ValueOfUint32(uint32(100+i)))
		default:
			from.Set(fd, protoreflect.ValueOfUint64(uint64(100+i)))
		}
	}
	told := new(outputs).reporter(f).ProtoReflect()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if got, want := told.Get(fd), from.Get(from.Descriptor().Fields().ByNumber(fd.Number())); !got.Equal(want) {
			t.Errorf("%s is %v, want %v", fd.Name(), got, want)
		}
	}
}
