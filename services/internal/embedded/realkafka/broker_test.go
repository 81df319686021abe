package realkafka_test

import (
	"strings"
	"testing"

	"github.com/flowledger/flowledger/services/internal/embedded/kafkatest"
	"github.com/flowledger/flowledger/services/internal/embedded/realkafka"
)

// The same story as the embedded broker's: where they differ, the embedded one
// is wrong.
func TestKafka(t *testing.T) {
	kafkatest.Run(t, realkafka.Test(t).Addr())
}

// A node started again on its folder has what it had.
func TestRestart(t *testing.T) {
	o := realkafka.Options{Dir: t.TempDir()}
	first := realkafka.TestWith(t, o)
	client := kafkatest.New(first.Addr())
	client.CreateTopic(t, "kept", 1)
	client.Produce(t, "kept", 0, "a", "b")
	first.Stop()
	client = kafkatest.New(realkafka.TestWith(t, o).Addr())
	if got := client.Values(t, "kept", 0, 2); strings.Join(got, "") != "ab" {
		t.Errorf("after the restart: %q", got)
	}
}

// A node that crashed is there again, at the same address, with what it had.
func TestCrash(t *testing.T) {
	b := realkafka.Test(t)
	client := kafkatest.New(b.Addr())
	client.CreateTopic(t, "kept", 1)
	client.Produce(t, "kept", 0, "a", "b")
	pid, addr := b.PID(), b.Addr()
	if err := b.Crash(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b.PID() == pid || b.Addr() != addr {
		t.Errorf("process %d at %s is now %d at %s", pid, addr, b.PID(), b.Addr())
	}
	if got := kafkatest.New(b.Addr()).Values(t, "kept", 0, 2); strings.Join(got, "") != "ab" {
		t.Errorf("after the crash: %q", got)
	}
}
