package prepare

import (
	"path/filepath"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/dedup/merge"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/pipeline"
	"github.com/flowledger/flowledger/services/internal/testkit"
	"github.com/flowledger/flowledger/services/stitch/biflow"
)

// TestAStatePerInterfaceCountsOnce: OpenBSD's pf keeps a state of a forwarded connection for
// the interface by which it comes in and for the one by which it goes out, and reports both.
// In the capture, six connections are told so and one, that was the firewall's own, once.
func TestAStatePerInterfaceCountsOnce(t *testing.T) {
	n := normalize.New(normalize.Default())
	var out normalize.Result
	err := pipeline.ReadCapture(filepath.Join(testkit.Data(t, "captures"), "openbsd_pflow.pcap"), func(d normalize.Datagram) { n.Datagram(d, &out) })
	if err != nil {
		t.Fatal(err)
	}
	n.End(&out)
	counted, flows, reporters := uint64(0), 0, 0
	c := newChain(merge.Default(), biflow.Default())
	c.flow = func(f *flowv1.Flow) {
		counted += f.Bytes
		flows++
		reporters += len(f.Reporters)
	}
	c.run(t, merge.Default(), biflow.Default(), out.Flows, -1)
	if flows != 14 || reporters != 12 || counted != 53165 {
		t.Errorf("%d flows and %d more views count %d bytes, want 14, 12 and 53165", flows, reporters, counted)
	}
}
