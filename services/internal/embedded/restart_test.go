package embedded_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flowledger/flowledger/services/internal/embedded"
)

// startLedger starts a ledger that the test may stop or kill.
func startLedger(t *testing.T, cfg embedded.LedgerConfig) *embedded.Ledger {
	t.Helper()
	embedded.EngineForTest(t)
	l, err := embedded.StartLedger(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// Tables outlive a clean stop, and what an INSERT answered outlives a kill.
func TestLedgerRestart(t *testing.T) {
	dir := t.TempDir()
	l := startLedger(t, embedded.LedgerConfig{Dir: dir})
	curl(t, "POST", l.URL(), "CREATE TABLE ledger.kept (a UInt64) ENGINE = MergeTree ORDER BY a")
	rows := 0
	for round, killed := range []bool{false, true, true, false} {
		for range 5 {
			curl(t, "POST", l.URL(), "INSERT INTO ledger.kept SELECT number FROM numbers(100)")
			rows += 100
		}
		if killed {
			l.Kill()
		}
		if err := l.Close(); killed == (err == nil) {
			t.Errorf("round %d, killed %v: %v", round, killed, err)
		}
		l = startLedger(t, embedded.LedgerConfig{Dir: dir})
		if got := curl(t, "POST", l.URL(), "SELECT count() FROM ledger.kept"); got != fmt.Sprintln(rows) {
			t.Fatalf("round %d, killed %v: %s rows of %d", round, killed, got, rows)
		}
	}
}

// A stop in the middle of inserts must be clean.
func TestLedgerStopUnderLoad(t *testing.T) {
	l := startLedger(t, embedded.LedgerConfig{Dir: t.TempDir()})
	curl(t, "POST", l.URL(), "CREATE TABLE ledger.load (a UInt64) ENGINE = MergeTree ORDER BY a")
	gone := make(chan struct{})
	first := make(chan struct{})
	go func() {
		defer close(gone)
		for i := 0; ; i++ {
			response, err := http.Post(l.URL(), "", strings.NewReader("INSERT INTO ledger.load SELECT number FROM numbers(10000)"))
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
	if err := l.Close(); err != nil {
		t.Errorf("the ledger did not stop cleanly: %v", err)
	}
	<-gone
}

// Close leaves nothing behind that nobody asked for.
func TestTemporaryLedgerIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	l := startLedger(t, embedded.LedgerConfig{})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if left := folders(t, os.TempDir()); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A process that is killed takes its ledger along, and the ledger its folder.
func TestLedgerEndsWithItsParent(t *testing.T) {
	embedded.EngineForTest(t)
	if _, err := exec.LookPath("clickhouse"); err == nil || os.Getenv("CLICKHOUSE_ADDR") != "" {
		t.Skip("needs the engine")
	}
	tmp := t.TempDir()
	parent := exec.Command(os.Args[0], "-test.run=^TestLedgerParent$")
	parent.Env = append(os.Environ(), "LEDGER_PARENT=1", "TMPDIR="+tmp)
	parent.Stderr = os.Stderr
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	var url string
	_, err = fmt.Fscanf(out, "ledger at %s\n", &url)
	if err == nil {
		curl(t, "GET", url+"ping", "")
	}
	_ = parent.Process.Kill()
	_ = parent.Wait()
	if err != nil {
		t.Fatalf("the parent said nothing: %v", err)
	}
	for gaveUp := time.Now().Add(3 * time.Minute); len(folders(t, tmp)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(gaveUp) {
			t.Fatalf("the ledger left behind: %v", folders(t, tmp))
		}
	}
	if _, err := http.Get(url); err == nil {
		t.Error("the ledger still answers")
	}
}

// TestLedgerParent is the process of TestLedgerEndsWithItsParent; it runs until killed.
func TestLedgerParent(t *testing.T) {
	if os.Getenv("LEDGER_PARENT") == "" {
		t.Skip("runs only as a child of TestLedgerEndsWithItsParent")
	}
	fmt.Printf("ledger at %s\n", startLedger(t, embedded.LedgerConfig{}).URL())
	<-t.Context().Done()
}

func folders(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// A ledger that dies says so, with its last words.
func TestLedgerThatDies(t *testing.T) {
	dir := t.TempDir()
	l := startLedger(t, embedded.LedgerConfig{Dir: dir})
	l.Kill()
	<-l.Ended()
	if err := l.Close(); err == nil || !strings.Contains(err.Error(), "ended by itself (signal: killed)") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "clickhouse.log")); err != nil {
		t.Errorf("its log: %v", err)
	}
}

// Without any ClickHouse the error tells what to do.
func TestNoEngine(t *testing.T) {
	t.Setenv("CLICKHOUSE_ADDR", "")
	t.Setenv("PATH", t.TempDir())
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	beside := filepath.Join(filepath.Dir(self), "flowledger-engine")
	if err := os.Rename(beside, beside+".away"); err == nil {
		defer os.Rename(beside+".away", beside)
	}
	_, err = embedded.StartLedger(t.Context(), embedded.LedgerConfig{})
	for _, want := range []string{"make build", "PATH", "CLICKHOUSE_ADDR"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %s, got %v", want, err)
		}
	}
}

// An engine that cannot start says why in its own words.
func TestEngineThatFails(t *testing.T) {
	embedded.EngineForTest(t)
	if _, err := exec.LookPath("clickhouse"); err == nil || os.Getenv("CLICKHOUSE_ADDR") != "" {
		t.Skip("needs the engine")
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "flowledger-engine"), []byte("#!/bin/sh\necho no memory >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := embedded.StartLedger(t.Context(), embedded.LedgerConfig{Dir: t.TempDir(), Bin: bin})
	if err == nil || !strings.Contains(err.Error(), "no memory") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("want the engine's own words, got %v", err)
	}
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
	signal.Notify(stop, syscall.SIGTERM)
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
