package merge

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// TestSnapshotLayout: flows of both families, decided and waiting, of several points, an
// interface among them.
func TestSnapshotLayout(t *testing.T) {
	w := New(Default())
	ipv6 := report(2, 5, 20, 3)
	ipv6.SrcAddr, ipv6.DstAddr = append(make([]byte, 12), ipv6.SrcAddr...), append(make([]byte, 12), ipv6.DstAddr...)
	egress := report(3, 0, 21, 9)
	egress.Direction, egress.ObservationDomainId, egress.SamplingRate = flowv1.Direction_DIRECTION_EGRESS, 7, 100
	back := report(1, 6, 22, 4)
	back.SrcAddr, back.DstAddr, back.SrcPort, back.DstPort = back.DstAddr, back.SrcAddr, back.DstPort, back.SrcPort
	reports := []*flowv1.Flow{report(1, 0, 1, 10), report(2, 0, 1.2, 11), report(1, 1, 15, 12), ipv6, egress, back, report(2, 10, 23, 5)}
	for n := range uint32(2) {
		twice := report(4, 0, 2, 6)
		twice.SrcPort, twice.InIf, twice.RecordId = 50001, 1+n, 100+uint64(n)
		reports = append(reports, twice)
	}
	flow.SortRaw(reports)
	last := eventtime.Tick(0)
	for _, f := range reports {
		for now := eventtime.TickOf(f.TimeReceivedNs); last < now; {
			last = max(last+1, min(w.NextTimer(), now))
			var in []*flowv1.Flow
			if last == now {
				in = append(in, f)
			}
			w.Tick(last, in, func(*flowv1.Flow) {})
		}
	}
	if w.Stats().Waiting == 0 {
		t.Fatal("nothing waits")
	}
	testkit.Layout(t, snapshotVersion, w.AppendSnapshot(nil), func(snapshot []byte) ([]byte, error) {
		fresh := New(Default())
		err := fresh.Restore(snapshot)
		return fresh.AppendSnapshot(nil), err
	})
}

// TestSnapshotsOfEarlierVersions are read, and stored as of this one.
func TestSnapshotsOfEarlierVersions(t *testing.T) {
	for v := leastVersion; v < snapshotVersion; v++ {
		snapshot, err := os.ReadFile(filepath.Join("testdata", "snapshots", fmt.Sprintf("version%d", v)))
		if err != nil {
			t.Fatal(err)
		}
		w, again := New(Default()), New(Default())
		if err := w.Restore(snapshot); err != nil {
			t.Fatal(err)
		}
		if err := again.Restore(w.AppendSnapshot(nil)); err != nil {
			t.Fatal(err)
		}
		var want, got []string
		w.End(0, func(f *flowv1.Flow) { want = append(want, f.String()) })
		again.End(0, func(f *flowv1.Flow) { got = append(got, f.String()) })
		if w.Stats().Flows < 3 || len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("version %d: of %d flows %d are said, %d when restored again", v, w.Stats().Flows, len(want), len(got))
		}
	}
}
