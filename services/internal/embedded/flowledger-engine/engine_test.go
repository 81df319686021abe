package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/flowledger/flowledger/services/internal/embedded/library"
)

// startForTest starts the engine in the test binary itself.
func startForTest(t *testing.T) *serving {
	t.Helper()
	lib, err := library.Path(t.Context(), "", os.Stderr)
	if errors.Is(err, library.ErrNoNPM) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	s, err := start(&options{addr: "127.0.0.1:0", dir: t.TempDir(), library: lib})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask sends a statement and returns the answer.
func ask(t *testing.T, address, sql string) string {
	response, err := http.Post(address, "", strings.NewReader(sql))
	if err != nil {
		t.Error(err)
		return ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("%s: %s %v: %s", sql, response.Status, err, text)
	}
	return string(text)
}

// The engine is one per process; a second one must say so instead of breaking
// the first.
func TestSecondEngineIsRefused(t *testing.T) {
	first := startForTest(t)
	_, err := start(&options{addr: "127.0.0.1:0", dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "already runs") {
		t.Errorf("second engine: %v", err)
	}
	if got := ask(t, "http://"+first.addr.String()+"/", "SELECT 7"); got != "7\n" {
		t.Errorf("the first one says %q", got)
	}
}

func TestNeedsADataFolder(t *testing.T) {
	if err := (&options{}).run(); err == nil || !strings.Contains(err.Error(), "--dir") {
		t.Errorf("got %v", err)
	}
}
