package flowv1_test

import (
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

func TestHasUnknown(t *testing.T) {
	f := &flowv1.Flow{Bytes: 1}
	if f.HasUnknown() {
		t.Error("a flow of known fields has unknown ones")
	}
	if f.ProtoReflect().SetUnknown([]byte{0xfa, 0x3f, 1, 7}); !f.HasUnknown() {
		t.Error("an unknown field is not told of")
	}
}
