package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/flowledger/flowledger/services/internal/embedded/library"
)

// shared is the one ledger of a test binary.
var shared struct {
	once   sync.Once
	ledger *Ledger
	err    error
}

// TestLedger returns the test binary's ledger, started on first use in a temporary
// folder. It is never closed, since no test knows that it is the last: it ends
// with the test binary, and the engine removes its folder. Tests share the ledger,
// so each should create a database of its own. Where npm is missing the test is
// skipped, except in CI.
func TestLedger(t testing.TB) *Ledger {
	t.Helper()
	EngineForTest(t)
	shared.once.Do(func() {
		shared.ledger, shared.err = StartLedger(context.Background(), LedgerConfig{})
	})
	if shared.err != nil {
		t.Fatalf("cannot start a ledger: %v", shared.err)
	}
	return shared.ledger
}

// EngineForTest makes sure that StartLedger finds a ClickHouse, for a test that
// starts one itself; it skips and fails as TestLedger does.
func EngineForTest(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("clickhouse"); err == nil || os.Getenv("CLICKHOUSE_ADDR") != "" {
		return
	}
	_, err := library.Path(t.Context(), "", os.Stderr)
	if errors.Is(err, library.ErrNoNPM) && os.Getenv("CI") != "true" {
		t.Skipf("needs a ClickHouse: %v", err)
	}
	if err == nil {
		err = buildEngine()
	}
	if err != nil {
		t.Fatalf("cannot prepare a ledger: %v", err)
	}
}

// buildEngine builds the engine program of this very source beside the test
// binary, in the folder that `go test` removes afterwards.
var buildEngine = sync.OnceValue(func() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	program := filepath.Join(filepath.Dir(self), engineProgram)
	cmd := exec.Command("go", "build", "-o", program, "github.com/flowledger/flowledger/services/internal/embedded/"+engineProgram)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", engineProgram, err, bytes.TrimSpace(out))
	}
	return nil
})
