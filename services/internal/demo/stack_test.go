package demo

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/flowledger/flowledger/services/internal/simulate"
)

// shell starts a shell script as a child.
func shell(t *testing.T, script string) *child {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("no shell here: ", err)
	}
	c, err := spawn("script", t.TempDir(), sh, "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.stop(0) })
	return c
}

// TestChildLastWords: a process that ends by itself is reported with what it said.
func TestChildLastWords(t *testing.T) {
	c := shell(t, "echo cannot find my hat >&2; exit 3")
	err := c.until(t.Context(), time.Minute, "it was ready", func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "cannot find my hat") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
}

// TestChildStops: a process ends when asked, and is ended when deaf.
func TestChildStops(t *testing.T) {
	good := shell(t, "trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")
	waitForWords(t, good, "ready")
	if err := good.stop(time.Minute); err != nil || good.alive() {
		t.Errorf("alive %v, %v", good.alive(), err)
	}
	deaf := shell(t, "trap '' TERM; echo deaf; while :; do sleep 0.05; done")
	waitForWords(t, deaf, "deaf")
	if err := deaf.stop(100 * time.Millisecond); err == nil || !strings.Contains(err.Error(), "was killed") || deaf.alive() {
		t.Errorf("alive %v, %v", deaf.alive(), err)
	}
}

func waitForWords(t *testing.T, c *child, words string) {
	t.Helper()
	err := c.until(t.Context(), time.Minute, "it spoke", func(context.Context) error {
		if !strings.Contains(c.lastWords(5), words) {
			return errors.New("silence")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestGuard: when a process ends, what depends on it is stopped with the reason.
func TestGuard(t *testing.T) {
	s := &stack{children: []*child{shell(t, "echo farewell; exit 1")}}
	err := s.guard(t.Context(), func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	if err == nil || !strings.Contains(err.Error(), "farewell") {
		t.Errorf("got %v", err)
	}
}

func TestFreePort(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := freePort(c.LocalAddr().(*net.UDPAddr).Port); err == nil || !strings.Contains(err.Error(), "choose another") {
		t.Errorf("a used port is free: %v", err)
	}
	if p, err := freePort(0); err != nil || p == 0 {
		t.Errorf("%d, %v", p, err)
	}
}

// TestQuery: parameters go along, rows come back, a refusal is told.
func TestQuery(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("param_since") == "" {
			http.Error(w, "Code: 62. Syntax error", http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(`{"id":"7","proto":6,"client_addr":"::ffff:10.0.0.1","client_bytes":18446744073709551615}` + "\n"))
	}))
	defer srv.Close()
	l := newLedger(strings.TrimPrefix(srv.URL, "http://"))
	rows, err := l.conversations(t.Context(), time.Unix(1000, 0))
	if err != nil || len(rows) != 1 || rows[0].Client != netip.MustParseAddr("10.0.0.1") || rows[0].ClientBytes != 1<<64-1 {
		t.Errorf("%+v, %v", rows, err)
	}
	if _, err := query[conversation](t.Context(), l, "SELEC 1", nil); err == nil || !strings.Contains(err.Error(), "Syntax error") {
		t.Errorf("got %v", err)
	}
}

// TestExportersDiffer: each exporter sends from an address or port of its own.
func TestExportersDiffer(t *testing.T) {
	in, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	conns, err := dialExporters(make([]simulate.ExporterConfig, 3), netip.MustParseAddrPort(in.LocalAddr().String()))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	buf := make([]byte, 16)
	for _, c := range conns {
		defer c.Close()
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		_, from, err := in.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		seen[from.String()] = true
	}
	if len(seen) != 3 {
		t.Errorf("sources: %v", seen)
	}
}
