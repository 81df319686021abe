package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write golden files anew")

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with `go test ./flowctl -update`", err)
	}
	if diff := cmp.Diff(got, string(want)); diff != "" {
		t.Errorf("%s is out of step; `go test ./flowctl -update` (-got, +want)\n%s", path, diff)
	}
}

// TestReference keeps the reference page in step with the commands.
func TestReference(t *testing.T) {
	var b bytes.Buffer
	if err := writeReference(&b, newRoot()); err != nil {
		t.Fatal(err)
	}
	golden(t, "../../docs/reference/flowctl.md", b.String())
}

// TestHelp holds what `flowctl` alone teaches.
func TestHelp(t *testing.T) {
	stdout, _, err := ctl(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/help.golden", stdout)
}

// TestEveryCommandTeaches wants one line from every command, and a long help with
// examples from every one below the root.
func TestEveryCommandTeaches(t *testing.T) {
	walk(newRoot(), func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: short help %q", c.CommandPath(), c.Short)
		}
		if c.Parent() == c.Root() && c.Name() != "version" && (c.Long == "" || c.Example == "") {
			t.Errorf("%s: no long help, or no example", c.CommandPath())
		}
	})
}

func TestErrorsHelp(t *testing.T) {
	text := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(text, []byte("no capture at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args string
		want []string
	}{
		{"rum", []string{`no command "rum"`, "run"}},
		{"a.pcap", []string{`no command "a.pcap"`, "flowctl run a.pcap"}},
		{"run", []string{"no capture named", "flowctl run capture.pcap"}},
		{"run - -", []string{"twice"}},
		{"run --emit biflow x.pcap", []string{"--emit", "biflows"}},
		{"run --port 70000 x.pcap", []string{"no UDP port"}},
		{"run --set dedup x.pcap", []string{"KEY=VALUE"}},
		{"run --set dedup.nothing=1 x.pcap", []string{"no key dedup.nothing", "--print-config"}},
		{"run --nosuch x.pcap", []string{"--nosuch", "flowctl run --help"}},
		{"run /no/such.pcap", []string{"/no/such.pcap", "no such file"}},
		{"run " + text, []string{text, "no pcap or pcapng"}},
		{"replay x.pcap", []string{"--to HOST:PORT"}},
		{"replay - --to 127.0.0.1:1 --loop", []string{"standard input"}},
		{"replay x.pcap --to 127.0.0.1:1 --speed fast", []string{"no speed", "max"}},
		{"replay x.pcap --to 192.0.2.1:1 --spread", []string{"loopback only"}},
		{"replay x.pcap --to 127.0.0.1", []string{"host:port"}},
		{"version now", []string{`"now"`}},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			_, _, err := ctl(t.Context(), strings.Fields(tt.args)...)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func TestExitCode(t *testing.T) {
	tests := []struct {
		err         error
		interrupted bool
		want        int
	}{
		{nil, false, 0},
		{fmt.Errorf("cannot write: %w", syscall.EPIPE), false, 0},
		{errors.New("x"), false, exitFailure},
		{usageError{errors.New("x")}, false, exitUsage},
		{fmt.Errorf("stopped: %w", context.Canceled), true, exitInterrupt},
	}
	for _, tt := range tests {
		if got := exitCode(io.Discard, tt.err, tt.interrupted); got != tt.want {
			t.Errorf("%v: got %d, want %d", tt.err, got, tt.want)
		}
	}
}
