package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flowledger/flowledger/services/internal/capture"
	"github.com/flowledger/flowledger/services/internal/simulate"
)

// makeCapture runs `flowctl simulate` and returns what it says.
func makeCapture(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	c := newSimulateCommand()
	var out, errs bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&errs)
	c.SetArgs(args)
	c.SilenceErrors, c.SilenceUsage = true, true
	err = c.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

// TestSimulateFiles: the capture can be read, and truth and expectation lie beside it.
func TestSimulateFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	_, stderr, err := makeCapture(t, "-o", file("a.pcap.gz"), "--compact", "--truth", file("a.truth.jsonl.gz"), "--expected", file("a.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"conversations", "access-1", "v5, ", "from 10.20.255.3"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("the summary does not say %q:\n%s", want, stderr)
		}
	}
	r, err := capture.Open([]string{file("a.pcap.gz")}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		if _, err := r.Next(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if st := r.Stats(); st.Datagrams < 100 || st.Datagrams != st.Packets {
		t.Errorf("%d datagrams in %d packets", st.Datagrams, st.Packets)
	}
	if n := countLines(t, file("a.truth.jsonl.gz")); n < 500 {
		t.Errorf("%d conversations", n)
	}
	var e simulate.Expected
	text, err := os.ReadFile(file("a.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &e); err != nil || len(e.Alerts) != 1 {
		t.Errorf("expected alerts: %+v, %v", e, err)
	}
	left, _ := filepath.Glob(file("*.part"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func countLines(t *testing.T, name string) int {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("\n"))
}

// TestSimulateStdout: - is standard output, and --quiet says nothing.
func TestSimulateStdout(t *testing.T) {
	stdout, stderr, err := makeCapture(t, "-o", "-", "--scenario", "load", "--records", "100", "--quiet")
	if err != nil {
		t.Fatal(err)
	}
	if len(stdout) < 4000 || stderr != "" {
		t.Errorf("%d octets on standard output, %q on standard error", len(stdout), stderr)
	}
}

// TestSimulateReplacesNoLink: only plain files are replaced. A link stands for
// whatever else may be there, such as a device.
func TestSimulateReplacesNoLink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip("no links here: ", err)
	}
	if _, _, err := makeCapture(t, "-o", link, "--scenario", "load", "--records", "100", "-q"); err != nil {
		t.Fatal(err)
	}
	if there, err := os.Lstat(link); err != nil || there.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v, %v", there, err)
	}
	if text, err := os.ReadFile(target); err != nil || len(text) < 4000 {
		t.Errorf("%d octets behind the link, %v", len(text), err)
	}
}

func TestSimulateErrorsHelp(t *testing.T) {
	tests := []struct {
		args string
		want []string
	}{
		{"", []string{"-o FILE"}},
		{"-o x --scenario tale", []string{`no scenario "tale"`, "talk, load or path"}},
		{"-o x --start yesterday", []string{"yesterday", "now"}},
		{"-o x --records 5", []string{"--records", "--scenario load"}},
		{"-o x --scenario load --duration 5m", []string{"--duration", "--scenario talk"}},
		{"-o x --compact --duration 5m", []string{"40s"}},
		{"-o x --duration 1s", []string{"between 20s"}},
		{"-o x --scenario load --protocol v7", []string{`"v7"`, "ipfix"}},
		{"-o /no/such/dir/x", []string{"/no/such/dir/x", "no such file"}},
	}
	for _, tt := range tests {
		_, _, err := makeCapture(t, strings.Fields(tt.args)...)
		if err == nil {
			t.Errorf("%q: no error", tt.args)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %q does not say %q", tt.args, err, want)
			}
		}
	}
}

// TestSimulatePath: the path's flags reach the path, and its capture and truth are written.
func TestSimulatePath(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	_, stderr, err := makeCapture(t, "--scenario", "path", "-o", file("p.pcap"), "--truth", file("p.truth.jsonl.gz"),
		"--exporters", "2", "--parallel", "2", "--asymmetric", "0.5", "--nat", "1", "--conversations", "50", "--duration", "1m", "--longest", "5m",
		"--active", "1m,5m", "--inactive", "15s", "--sampling", "1,10", "--loss", "0,0.01", "--skew", "0s,2s", "--jitter", "1s",
		"--fail", "2m,0s", "--egress", "true,false", "--protocol", "ipfix,v9")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"hop-1a", "hop-2b", "back-2b", "ipfix, ", "v9, "} {
		if !strings.Contains(stderr, want) {
			t.Errorf("the summary does not say %q:\n%s", want, stderr)
		}
	}
	if n := countLines(t, file("p.truth.jsonl.gz")); n < 50 {
		t.Errorf("%d conversations", n)
	}
	for _, args := range [][]string{
		{"--scenario", "path", "-o", file("x"), "--protocol", "reports"},
		{"--scenario", "path", "-o", file("x"), "--records", "5"},
		{"--scenario", "path", "-o", file("x"), "--compact"},
		{"--scenario", "load", "-o", file("x"), "--skew", "2s"},
		{"--scenario", "path", "-o", file("x"), "--nat", "9"},
	} {
		if _, _, err := makeCapture(t, args...); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}
