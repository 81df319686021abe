package embedded_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/flowledger/flowledger/services/internal/embedded"
)

// A process has one engine, so ledgers that come and go live in processes of
// their own: ledgerProcess runs TestLedgerChild.
func ledgerProcess(t *testing.T, dir string, env ...string) (l child) {
	t.Helper()
	embedded.TestLedger(t) // skips where there is none, and fetches it
	cmd := exec.Command(os.Args[0], "-test.run=^TestLedgerChild$")
	cmd.Env = append(append(os.Environ(), "LEDGER_CHILD_DIR="+dir), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l.end = func(s syscall.Signal) error {
		_ = cmd.Process.Signal(s)
		return cmd.Wait()
	}
	t.Cleanup(func() { _ = l.end(syscall.SIGKILL) })
	if err := json.NewDecoder(out).Decode(&l); err != nil {
		t.Fatalf("the ledger's process said nothing: %v", err)
	}
	return l
}

// child is a ledger in another process.
type child struct {
	Kind, URL string
	end       func(syscall.Signal) error
}

// TestLedgerChild is the process of ledgerProcess; it runs until SIGTERM.
func TestLedgerChild(t *testing.T) {
	dir := os.Getenv("LEDGER_CHILD_DIR")
	if dir == "" {
		t.Skip("runs only as a child of other tests")
	}
	stop := make(chan os.Signal, 1)
	notify(stop)
	l, err := embedded.StartLedger(t.Context(), embedded.LedgerConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	line, _ := json.Marshal(child{Kind: l.Kind(), URL: l.URL()})
	fmt.Printf("%s\n", line)
	<-stop
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// Tables outlive a clean stop, and what an INSERT answered outlives a kill.
func TestLedgerRestart(t *testing.T) {
	dir := t.TempDir()
	l := ledgerProcess(t, dir)
	curl(t, "POST", l.URL, "CREATE TABLE ledger.kept (a UInt64) ENGINE = MergeTree ORDER BY a")
	rows := 0
	for round, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL, syscall.SIGKILL, syscall.SIGTERM} {
		for range 5 {
			curl(t, "POST", l.URL, "INSERT INTO ledger.kept SELECT number FROM numbers(100)")
			rows += 100
		}
		if err := l.end(signal); signal == syscall.SIGTERM && err != nil {
			t.Errorf("round %d: the ledger did not stop cleanly: %v", round, err)
		}
		l = ledgerProcess(t, dir)
		if got := curl(t, "POST", l.URL, "SELECT count() FROM ledger.kept"); got != fmt.Sprintln(rows) {
			t.Fatalf("round %d, %v: %s rows of %d", round, signal, got, rows)
		}
	}
}

// A stop in the middle of inserts must not crash the process.
func TestLedgerStopUnderLoad(t *testing.T) {
	l := ledgerProcess(t, t.TempDir())
	curl(t, "POST", l.URL, "CREATE TABLE ledger.load (a UInt64) ENGINE = MergeTree ORDER BY a")
	gone := make(chan struct{})
	first := make(chan struct{})
	go func() {
		defer close(gone)
		for i := 0; ; i++ {
			response, err := http.Post(l.URL, "", strings.NewReader("INSERT INTO ledger.load SELECT number FROM numbers(10000)"))
			if err != nil {
				return
			}
			response.Body.Close()
			if i == 0 {
				close(first)
			}
		}
	}()
	<-first
	if err := l.end(syscall.SIGTERM); err != nil {
		t.Errorf("the ledger did not stop cleanly: %v", err)
	}
	<-gone
}

// The server found on PATH is preferred to the engine. The one here only
// pretends: it shows how the real one is started, awaited and stopped.
func TestClickhouseOnPath(t *testing.T) {
	bin := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\nPRETEND_CLICKHOUSE=\"$*\" exec %s -test.run='^TestPretendServer$'\n", os.Args[0])
	if err := os.WriteFile(filepath.Join(bin, "clickhouse"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	dir := t.TempDir()
	l, err := embedded.StartLedger(t.Context(), embedded.LedgerConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(l.Kind(), "clickhouse server") {
		t.Errorf("kind %q", l.Kind())
	}
	config, err := os.ReadFile(filepath.Join(dir, "config.xml"))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(l.HTTPAddr(), ":")
	if !strings.Contains(string(config), "<http_port>"+port+"</http_port>") || !strings.Contains(string(config), "<path>"+dir+"/</path>") {
		t.Errorf("configuration:\n%s", config)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := http.Get(l.URL()); err == nil {
		t.Error("the server still answers")
	}
}

// TestPretendServer is the process of TestClickhouseOnPath.
func TestPretendServer(t *testing.T) {
	args := os.Getenv("PRETEND_CLICKHOUSE")
	if args == "" {
		t.Skip("runs only as a child of TestClickhouseOnPath")
	}
	_, file, ok := strings.Cut(args, "server --config-file=")
	config, err := os.ReadFile(file)
	if !ok || err != nil {
		t.Fatalf("started as %q: %v", args, err)
	}
	_, rest, _ := strings.Cut(string(config), "<http_port>")
	port, _, _ := strings.Cut(rest, "<")
	stop := make(chan os.Signal, 1)
	notify(stop)
	go func() {
		_ = http.ListenAndServe("127.0.0.1:"+port, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	}()
	<-stop
}

func TestClickhouseThatFails(t *testing.T) {
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "clickhouse"), []byte("#!/bin/sh\necho no memory >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	_, err := embedded.StartLedger(t.Context(), embedded.LedgerConfig{Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "no memory") {
		t.Errorf("want the server's own words, got %v", err)
	}
}

func TestClickhouseAddr(t *testing.T) {
	l := embedded.TestLedger(t)
	t.Setenv("CLICKHOUSE_ADDR", l.HTTPAddr())
	other, err := embedded.StartLedger(t.Context(), embedded.LedgerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if other.DSN() != l.DSN() {
		t.Errorf("DSN %s, want %s", other.DSN(), l.DSN())
	}
	if err := other.Close(); err != nil {
		t.Error(err)
	}
	curl(t, "GET", l.URL()+"ping", "") // closing did not stop what it had not started

	for _, bad := range []string{"ftp://x", "http://", "a b"} {
		t.Setenv("CLICKHOUSE_ADDR", bad)
		if _, err := embedded.StartLedger(t.Context(), embedded.LedgerConfig{}); err == nil || !strings.Contains(err.Error(), "CLICKHOUSE_ADDR") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
