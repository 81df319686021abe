package flow

import (
	"testing"

	goflowpb "github.com/netsampler/goflow2/v2/pb"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TestFlowReadsLikeGoflow2 holds our numbers against goflow2's: whatever reads
// its FlowMessage reads our Flow.
func TestFlowReadsLikeGoflow2(t *testing.T) {
	theirs := (&goflowpb.FlowMessage{}).ProtoReflect().Descriptor().Fields()
	ours := (&flowv1.Flow{}).ProtoReflect().Descriptor().Fields()
	// Left out on purpose: they describe one sampled packet's encapsulation.
	left := map[string]bool{
		"layer_stack": true, "layer_size": true,
		"ipv6_routing_header_addresses": true, "ipv6_routing_header_seg_left": true,
	}
	for i := range theirs.Len() {
		their := theirs.Get(i)
		our := ours.ByNumber(their.Number())
		switch {
		case left[string(their.Name())]:
			if our != nil {
				t.Errorf("number %d is goflow2's %s and ours %s", their.Number(), their.Name(), our.Name())
			}
		case our == nil:
			t.Errorf("goflow2's %s (%d) is missing", their.Name(), their.Number())
		case our.Name() != their.Name() || our.Kind() != their.Kind() || our.Cardinality() != their.Cardinality():
			t.Errorf("number %d is %s %s for goflow2, %s %s for us", their.Number(), their.Kind(), their.Name(), our.Kind(), our.Name())
		}
	}
	for i := range ours.Len() {
		if f := ours.Get(i); f.Number() < 200 && theirs.ByNumber(f.Number()) == nil {
			t.Errorf("%s has number %d: below 200 is goflow2's", f.Name(), f.Number())
		}
	}
}
