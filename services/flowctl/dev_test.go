package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flowledger/flowledger/services/internal/embedded"
)

// startDev runs `flowctl dev` until stop is called, which returns what it said.
func startDev(t *testing.T, args ...string) (ready devEndpoints, stop func() (stdout, stderr string)) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ready.json")
	ctx, cancel := context.WithCancel(t.Context())
	type end struct {
		stdout, stderr string
		err            error
	}
	ended := make(chan end, 1)
	go func() {
		var e end
		e.stdout, e.stderr, e.err = ctl(ctx, append([]string{"dev", "--kafka-port", "0", "--clickhouse-port", "0", "--ready-file", file}, args...)...)
		ended <- e
	}()
	t.Cleanup(cancel)
	for {
		line, err := os.ReadFile(file)
		if err == nil {
			if err := json.Unmarshal(line, &ready); err != nil {
				t.Fatalf("ready file %q: %v", line, err)
			}
			break
		}
		select {
		case e := <-ended:
			t.Fatalf("dev ended at once: %v\n%s", e.err, e.stderr)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return ready, func() (string, string) {
		t.Helper()
		cancel()
		e := <-ended
		if e.err != nil {
			t.Errorf("dev did not stop cleanly: %v", e.err)
		}
		if _, err := os.Stat(file); err == nil {
			t.Error("the ready file is still there")
		}
		return e.stdout, e.stderr
	}
}

// ask sends a query to a ClickHouse.
func ask(t *testing.T, addr, sql string) string {
	t.Helper()
	response, err := http.Get("http://" + addr + "/?" + url.Values{"query": {sql}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v\n%s", sql, response.Status, err, text)
	}
	return strings.TrimSpace(string(text))
}

// Topics and tables are there when it is ready, and what is stored outlives it.
func TestDev(t *testing.T) {
	if os.Getenv("CLICKHOUSE_ADDR") != "" {
		t.Skip("needs an engine of its own")
	}
	embedded.EngineForTest(t)
	dir := t.TempDir()
	ready, stop := startDev(t, "--dir", dir)
	must(t, "topics", "check", "--kafka.brokers", ready.Kafka)
	if status, _ := must(t, "migrate", "status", "--clickhouse.addr", ready.ClickHouse); strings.Contains(status, "missing") {
		t.Errorf("migrations are missing:\n%s", status)
	}
	ask(t, ready.ClickHouse, "CREATE TABLE ledger.kept ENGINE = MergeTree ORDER BY n AS SELECT 7 AS n")
	stdout, stderr := stop()
	var line devEndpoints
	if err := json.Unmarshal([]byte(stdout), &line); err != nil || line != ready {
		t.Errorf("standard output %q, want %+v", stdout, ready)
	}
	for _, want := range []string{ready.Kafka, ready.ClickHouse, "Ctrl-C", "applied"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("said nothing of %q:\n%s", want, stderr)
		}
	}

	ready, stop = startDev(t, "--dir", dir)
	if got := ask(t, ready.ClickHouse, "SELECT n FROM ledger.kept"); got != "7" {
		t.Errorf("after the restart: %q, want 7", got)
	}
	if _, stderr := stop(); strings.Contains(stderr, "applied") {
		t.Errorf("migrations were applied again:\n%s", stderr)
	}
}

func TestDevWithoutClickHouse(t *testing.T) {
	ready, stop := startDev(t, "--no-clickhouse", "--kafka.partitions.hosts", "2")
	if ready.ClickHouse != "" {
		t.Errorf("a ClickHouse at %s", ready.ClickHouse)
	}
	must(t, "topics", "check", "--kafka.brokers", ready.Kafka, "--kafka.partitions.hosts", "2")
	stop()
}

// One folder, one process.
func TestDevTwice(t *testing.T) {
	dir := t.TempDir()
	_, stop := startDev(t, "--no-clickhouse", "--dir", dir)
	defer stop()
	_, _, err := ctl(t.Context(), "dev", "--no-clickhouse", "--kafka-port", "0", "--dir", dir)
	if err == nil || !strings.Contains(err.Error(), "another process is using") {
		t.Errorf("the same folder twice: %v", err)
	}
}
