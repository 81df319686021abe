// Package e2e tests the built programs together: real processes, a real broker,
// a real ClickHouse engine.
package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/flowledger/flowledger/services/internal/embedded/realkafka"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// bin is the folder with every program, built once for all tests.
var bin string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "flowledger-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	build := exec.Command("go", "build", "-o", dir+"/", "./ingest", "./dedup", "./stitch", "./detect", "./sink", "./flowctl", "./internal/embedded/flowledger-engine", "./e2e/crashtest")
	build.Dir, build.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build the programs: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// crashTest runs the crash test and expects an equal ledger.
func crashTest(t *testing.T, broker, capture, policy string, kills, hunt int) {
	t.Helper()
	evidence := filepath.Join(t.TempDir(), "evidence")
	cmd := exec.Command(filepath.Join(bin, "crashtest"), "--bin", bin, "--broker", broker,
		"--capture", testkit.Data(t, capture), "--policy", policy, "--kills", fmt.Sprint(kills), "--hunt", fmt.Sprint(hunt), "--evidence", evidence, "--patience", patience.String())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		differences, _ := os.ReadFile(filepath.Join(evidence, "differences.txt"))
		t.Fatalf("%v\n%s%s\n%s", err, stderr.Bytes(), stdout.Bytes(), differences[:min(len(differences), 8000)])
	}
	var v struct {
		Biflows int
		Equal   bool
	}
	if err := json.Unmarshal(stdout.Bytes(), &v); err != nil || !v.Equal || v.Biflows == 0 {
		t.Fatalf("the last line is no verdict of equality: %v\n%s", err, stdout.Bytes())
	}
	t.Logf("%s", bytes.TrimSpace(stdout.Bytes()))
}

// TestLedgerEqualsOfflineOnTheEmbeddedBroker needs nothing but Go and Node.
func TestLedgerEqualsOfflineOnTheEmbeddedBroker(t *testing.T) {
	crashTest(t, "kfake", "traffic/campus_mixed.pcap.gz", "", 2, 20)
}

// TestLedgerEqualsOfflineWithAPolicy has one that turns many conversations round.
func TestLedgerEqualsOfflineWithAPolicy(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	text := "services: [{addr: 10.0.2.0/24, proto: tcp, ports: [49152-65535]}, {proto: udp, ports: [5353]}]"
	if err := os.WriteFile(policy, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	crashTest(t, "kfake", "traffic/campus_mixed.pcap.gz", policy, 2, 0)
}

// TestLedgerEqualsOfflineOnRealKafka kills processes while a whole morning goes
// through Apache Kafka.
func TestLedgerEqualsOfflineOnRealKafka(t *testing.T) {
	broker := realkafka.Test(t)
	crashTest(t, broker.Addr(), "traffic/internet_morning.pcap.gz", "", 5, 5)
}

// TestDemo is `make demo` as CI sees it: ingest over UDP, ledger, alerts.
func TestDemo(t *testing.T) {
	cmd := exec.Command(filepath.Join(bin, "flowctl"), "demo", "--bin", bin)
	cmd.Env = append(os.Environ(), "CI=true")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}
