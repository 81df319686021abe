package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// shared is the one ledger of a test binary: a process has one engine.
var shared struct {
	once   sync.Once
	ledger *Ledger
	err    error
}

// sharedDir is the pattern of the shared ledgers' folders; the number is the
// process.
const sharedDir = "flowledger-test-%d"

// TestLedger returns the test binary's ledger, started on first use in a
// temporary folder. It is never closed, since no test knows that it is the last:
// the folder is removed by a later test binary. Tests share the ledger, so each
// should create a database of its own. Where npm is missing the test is skipped,
// except in CI.
func TestLedger(t testing.TB) *Ledger {
	t.Helper()
	shared.once.Do(func() { shared.ledger, shared.err = startShared() })
	skipOrFail(t, shared.err)
	return shared.ledger
}

// FetchForTest makes sure that StartLedger finds a ClickHouse, for a test that
// starts one itself; it skips and fails as TestLedger does.
func FetchForTest(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("clickhouse"); err == nil || os.Getenv("CLICKHOUSE_ADDR") != "" {
		return
	}
	_, err := cachedEngine(t.Context(), LedgerConfig{Log: os.Stderr})
	skipOrFail(t, err)
}

func skipOrFail(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, errNoNPM) && os.Getenv("CI") != "true" {
		t.Skipf("needs a ClickHouse: %v", err)
	}
	if err != nil {
		t.Fatalf("cannot start a ledger: %v", err)
	}
}

func startShared() (*Ledger, error) {
	removeOrphans()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf(sharedDir, os.Getpid()))
	return StartLedger(context.Background(), LedgerConfig{Dir: dir})
}

// removeOrphans removes the folders of test binaries that have ended.
func removeOrphans() {
	folders, _ := filepath.Glob(filepath.Join(os.TempDir(), strings.Replace(sharedDir, "%d", "*", 1)))
	for _, folder := range folders {
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(folder), sharedDir, &pid); err != nil {
			continue
		}
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) || pid == os.Getpid() {
			_ = os.RemoveAll(folder) // what is left will be tried again
		}
	}
}
