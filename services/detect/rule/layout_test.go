package rule

import (
	"fmt"
	"testing"
	"time"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

// TestSnapshotLayout: clients with windows, contacts and an open finding.
func TestSnapshotLayout(t *testing.T) {
	s := newSet(t, Default())
	l := timeline{}
	for i := range 40 {
		when := time.Duration(i) * 100 * time.Millisecond
		l.add(time.Second, call(uint64(i+1), when, "10.0.0.1", fmt.Sprintf("10.1.0.%d", i+1), 22, rejected))
		l.add(time.Second, call(uint64(i+100), when, "2001:db8::1", "2001:db8::2", 1000+i%3, unanswered))
	}
	found := play(t, s, l)
	if len(found) == 0 {
		t.Fatal("no finding is open")
	}
	testkit.Layout(t, snapshotVersion, s.AppendSnapshot(nil), func(snapshot []byte) ([]byte, error) {
		fresh := newSet(t, Default())
		err := fresh.Restore(snapshot)
		return fresh.AppendSnapshot(nil), err
	})
}
