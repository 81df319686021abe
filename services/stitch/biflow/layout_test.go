package biflow

import (
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// TestSnapshotLayout: conversations of both families, one way and both, with reporters,
// sampled, translated, with more segments than one, and ended.
func TestSnapshotLayout(t *testing.T) {
	tb := New(Default())
	flows := []*flowv1.Flow{
		tcp("10.0.0.1:50000", "198.51.100.7:443", 0, 1, 5, 0x02),
		tcp("198.51.100.7:443", "10.0.0.1:50000", 0.1, 1.5, 6, 0x12),
		tcp("10.0.0.1:50000", "198.51.100.7:443", 1.5, 60, 5, 0x18),
		with(tcp("10.0.0.1:50001", "198.51.100.7:443", 0, 61, 7, 0x1b), func(f *flowv1.Flow) {
			f.Reporters = []*flowv1.Reporter{{SamplerAddress: []byte{192, 0, 2, 9}, ForwardingStatus: 130}}
			f.PostSrcAddr, f.PostSrcPort = []byte{203, 0, 113, 5}, 61000
		}),
		with(udp("[2001:db8::1]:50000", "[2001:db8::2]:53", 61, 62, 1), func(f *flowv1.Flow) {
			f.SamplingRate, f.Application, f.DnsName = 1000, "dns", "example.org"
		}),
		tcp("10.0.0.2:50002", "198.51.100.7:22", 62, 63, 5, 0x02),
		tcp("198.51.100.7:22", "10.0.0.2:50002", 62, 64, 1, 0x14),
	}
	last := eventtime.Tick(0)
	for _, f := range flows {
		now := eventtime.TickOf(f.TimeReceivedNs)
		stepTo(tb, last, now, []*flowv1.Flow{f})
		last = now
	}
	if tb.Stats().Open < 3 {
		t.Fatalf("only %d are open", tb.Stats().Open)
	}
	testkit.Layout(t, snapshotVersion, tb.AppendSnapshot(nil), func(snapshot []byte) ([]byte, error) {
		fresh := New(Default())
		err := fresh.Restore(snapshot)
		return fresh.AppendSnapshot(nil), err
	})
}
