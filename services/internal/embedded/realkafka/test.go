package realkafka

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

// startWait bounds the start of a node in a test, the fetching of its jars
// included.
const startWait = 5 * time.Minute

// Test starts a broker for a test and stops it at the test's end. Where Java or
// Maven is missing the test is skipped, except in CI.
func Test(t testing.TB) *Broker {
	t.Helper()
	return TestWith(t, Options{})
}

// TestWith is Test with options.
func TestWith(t testing.TB, o Options) *Broker {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startWait)
	defer cancel()
	b, err := Start(ctx, o)
	if errors.Is(err, errMissing) && os.Getenv("CI") != "true" {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Kafka's last words:\n%s", b.Output())
		}
		b.Stop()
	})
	return b
}
