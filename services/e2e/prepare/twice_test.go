package prepare

import (
	"path/filepath"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/dedup/merge"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/netset"
	"github.com/flowledger/flowledger/services/internal/pipeline"
	"github.com/flowledger/flowledger/services/internal/testkit"
	"github.com/flowledger/flowledger/services/stitch/biflow"
)

// TestAStatePerInterfaceCountsOnce: OpenBSD's pf keeps a state of a forwarded connection for
// the interface by which it comes in and for the one by which it goes out, and reports both.
// In the capture, six connections are told so and one, that was the firewall's own, once.
// Where its interfaces are split, one counts.
func TestAStatePerInterfaceCountsOnce(t *testing.T) {
	n := normalize.New(normalize.Default())
	var out normalize.Result
	err := pipeline.ReadCapture(filepath.Join(testkit.Data(t, "captures"), "openbsd_pflow.pcap"), func(d normalize.Datagram) { n.Datagram(d, &out) })
	if err != nil {
		t.Fatal(err)
	}
	n.End(&out)
	for _, c := range []struct {
		split               netset.List
		flows, views, bytes int
	}{
		{nil, 26, 0, 99323},
		{allExporters, 14, 12, 53165},
	} {
		dedup := merge.Default()
		dedup.SplitInterfaces = c.split
		bytes, flows, views := 0, 0, 0
		ch := newChain(dedup, biflow.Default())
		ch.flow = func(f *flowv1.Flow) {
			bytes += int(f.Bytes)
			flows++
			views += len(f.Reporters)
		}
		ch.run(t, dedup, biflow.Default(), out.Flows, -1)
		if flows != c.flows || views != c.views || bytes != c.bytes {
			t.Errorf("split by interfaces %v: %d flows and %d more views count %d bytes, want %d, %d and %d",
				c.split, flows, views, bytes, c.flows, c.views, c.bytes)
		}
	}
}
