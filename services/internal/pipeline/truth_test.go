package pipeline

import (
	"testing"

	"google.golang.org/protobuf/proto"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// TestLedgerMeetsTheTruth holds the ledger of whole networks against what a
// perfect one would hold. Conversations whose ports were used again within the
// idle timeout may rightly be merged, and are counted apart.
func TestLedgerMeetsTheTruth(t *testing.T) {
	for _, c := range []struct {
		file  string
		least float64 // share found exactly, merged ones left out
	}{
		{"traffic/internet_morning", 0.99},
		{"traffic/campus_mixed", 0.99},
		{"traffic/portscan_vertical", 0.99},
		{"attacks/nmap_syn", 0.99},
		{"attacks/syn_scan", 0.99},
		{"attacks/ssh_normal", 0.99},
		{"attacks/ssh_guess", 0.99},
		{"attacks/ftp_bruteforce", 0.99},
		{"attacks/njrat", 0.99},
		{"attacks/office_day", 0.97},
	} {
		t.Run(c.file, func(t *testing.T) {
			truths := testkit.ReadTruth(t, testkit.Data(t, c.file+".truth.jsonl.gz"))
			ledger := runCapture(t, testkit.Data(t, c.file+".pcap.gz"))
			r := testkit.CompareTruth(truths, ledger)
			share := float64(r.Exact) / float64(r.Conversations-r.Merged)
			t.Logf("%d conversations: %d exact (%.2f %%), %d merged by port reuse, %d different (%d flipped); bytes %d of %d",
				r.Conversations, r.Exact, 100*share, r.Merged, r.Different, r.Flipped, r.LedgerBytes, r.Bytes)
			if share < c.least {
				t.Errorf("%.2f %% are exact, at least %.0f %% must be", 100*share, 100*c.least)
				for _, e := range r.Examples {
					t.Log(e)
				}
			}
			if r.LedgerBytes != r.Bytes {
				t.Errorf("the ledger holds %d bytes, the truth %d: volumes are lost or counted twice", r.LedgerBytes, r.Bytes)
			}
		})
	}
}

// runCapture is the ledger of a capture: the last version of every conversation.
func runCapture(t *testing.T, path string) (ledger []*flowv1.Biflow) {
	t.Helper()
	p, err := New(Default(), Observer{Update: func(b *flowv1.Biflow) {
		if b.CloseReason != 0 {
			ledger = append(ledger, proto.Clone(b).(*flowv1.Biflow))
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	feed(t, p, path)
	p.End()
	return ledger
}

// feed runs every datagram of a capture through the pipeline.
func feed(t testing.TB, p *Pipeline, path string) {
	t.Helper()
	if err := ReadCapture(path, p.Datagram); err != nil {
		t.Fatal(err)
	}
}
