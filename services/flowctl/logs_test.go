package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

// vpcLog is two conversations: one answered, which both interfaces report, and
// one rejected; the lines are out of order.
const vpcLog = `version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status tcp-flags flow-direction
5 1 eni-b 10.0.0.2 10.0.0.1 443 40000 6 4 4000 1700000001 1700000050 ACCEPT OK 19 egress
5 1 eni-a 10.0.0.1 10.0.0.2 40000 443 6 5 500 1700000000 1700000050 ACCEPT OK 3 egress
5 1 eni-b 10.0.0.1 10.0.0.2 40000 443 6 5 500 1700000000 1700000051 ACCEPT OK 3 ingress
5 1 eni-a 10.0.0.2 10.0.0.1 443 40000 6 4 4000 1700000001 1700000051 ACCEPT OK 19 ingress
5 1 eni-a 198.51.100.7 10.0.0.1 5555 22 6 1 40 1700000010 1700000011 REJECT OK 2 ingress
5 1 eni-a - - - - - - - 1700000060 1700000119 - SKIPDATA - -
this is no line
`

func logFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func gzipped(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func runLogs(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, err := ctl(t.Context(), append([]string{"run"}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	return stdout, stderr
}

// TestRunVPC: the volume that two interfaces report is counted once, the denied
// conversation is one, and the loss is said aloud.
func TestRunVPC(t *testing.T) {
	out, stderr := runLogs(t, logFile(t, "x.log", vpcLog))
	type biflow struct {
		Client    string `json:"client_addr"`
		Server    string `json:"server_addr"`
		Port      uint32 `json:"server_port"`
		ClientB   uint64 `json:"client_bytes"`
		ServerB   uint64 `json:"server_bytes"`
		State     string `json:"conn_state"`
		Reporters []any  `json:"reporters"`
	}
	var got []string
	for line := range strings.Lines(out) {
		var b biflow
		if err := json.Unmarshal([]byte(line), &b); err != nil {
			t.Fatal(err)
		}
		got = append(got, b.Client+" "+b.Server+" "+count(uint64(b.Port))+" "+count(b.ClientB)+" "+count(b.ServerB)+" "+b.State+" "+count(uint64(len(b.Reporters))))
	}
	slices.Sort(got)
	if d := cmp.Diff(got, []string{"10.0.0.1 10.0.0.2 443 500 4,000 established 4", "198.51.100.7 10.0.0.1 22 40 0 denied 1"}); d != "" {
		t.Errorf("(-got, +want)\n%s\n%s", d, out)
	}
	for _, want := range []string{"VPC lines", "5 flow, 1 SKIPDATA, 1 header, 1 dead", "SKIPDATA): what is not here", "1 vpc_bad_version"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("the summary lacks %q:\n%s", want, stderr)
		}
	}
}

// TestRunVPCForms: however a log is packed and named, the ledger is the same; the
// order of lines and of files changes nothing.
func TestRunVPCForms(t *testing.T) {
	want, _ := runLogs(t, logFile(t, "x.log", vpcLog))
	lines := strings.SplitAfter(vpcLog, "\n")
	head, body := lines[0], lines[1:len(lines)-1]
	half := filepath.Dir(logFile(t, "2026/03/a.log.gz", gzipped(t, head+strings.Join(body[:3], ""))))
	if err := os.WriteFile(filepath.Join(half, "b.log"), []byte(head+strings.Join(body[3:], "")), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "README"), []byte("not a log\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := func(what string, args ...string) {
		t.Helper()
		got, _ := runLogs(t, args...)
		if d := cmp.Diff(identities(got), identities(want)); d != "" {
			t.Errorf("%s (-got, +want)\n%s", what, d)
		}
	}
	f("gzip", logFile(t, "x.gz", gzipped(t, vpcLog)))
	f("a folder", filepath.Dir(half))
	f("the other order", filepath.Join(half, "b.log"), filepath.Join(half, "a.log.gz"))
	stdin(t, vpcLog)
	f("standard input", "-")
	stdin(t, gzipped(t, vpcLog))
	f("standard input, gzip", "-")
	f("Firehose", logFile(t, "x.json", messages(t, lines[:len(lines)-1])))
	stdin(t, messages(t, lines[:len(lines)-1]))
	f("Firehose, standard input", "-")
	f("a subscription", logFile(t, "x", subscription(t, lines[:4])+subscription(t, lines[4:len(lines)-1])))
	f("a subscription, compressed again", logFile(t, "x.gz", gzipped(t, subscription(t, lines[:len(lines)-1]))))
	f("a format without header", "--vpc-format", strings.TrimSpace(head), logFile(t, "x.log", strings.Join(body, "")))
}

// messages is how Firehose delivers flow logs: no end of line parts the objects.
func messages(t *testing.T, lines []string) string {
	t.Helper()
	var b strings.Builder
	for _, l := range lines {
		m, err := json.Marshal(map[string]string{"message": strings.TrimSuffix(l, "\n")})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(m)
	}
	return b.String()
}

// subscription is how CloudWatch delivers them to whoever subscribes to a log
// group, behind one of its messages that look whether anybody is there.
func subscription(t *testing.T, lines []string) string {
	t.Helper()
	type event struct {
		ID        string `json:"id"`
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
	}
	var b strings.Builder
	for kind, events := range map[string][]event{"CONTROL_MESSAGE": {{Message: "CWL CONTROL MESSAGE: Checking health of destination Firehose."}}, "DATA_MESSAGE": nil} {
		for _, l := range lines {
			if kind == "DATA_MESSAGE" {
				events = append(events, event{"3195310660696698337880902507980421114328961542429", 1700000000000, strings.TrimSuffix(l, "\n")})
			}
		}
		m, err := json.Marshal(map[string]any{"messageType": kind, "owner": "123456789012", "logGroup": "flowlogs", "logStream": "eni-a-all",
			"subscriptionFilters": []string{"all"}, "logEvents": events})
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(gzipped(t, string(m)))
	}
	return b.String()
}

// identities strips what depends on the place of a line in its file.
func identities(out string) (lines []string) {
	for line := range strings.Lines(out) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			return []string{err.Error()}
		}
		delete(m, "flow_id")
		b, _ := json.Marshal(m)
		lines = append(lines, string(b))
	}
	slices.Sort(lines)
	return lines
}

// stdin puts a text into standard input for the rest of the test.
func stdin(t *testing.T, text string) {
	t.Helper()
	f, err := os.Open(logFile(t, "stdin", text))
	if err != nil {
		t.Fatal(err)
	}
	before := os.Stdin
	os.Stdin = f
	t.Cleanup(func() {
		os.Stdin = before
		f.Close()
	})
}

// TestRunShared: AWS's example logs, of which the README says what they hold.
func TestRunShared(t *testing.T) {
	for file, want := range map[string]records{
		"v2_default.log":       {Flow: 5, Event: 2},
		"v3_custom_header.log": {Flow: 1, Event: 2},
	} {
		path := testkit.Data(t, filepath.Join("vpc", file))
		summary := filepath.Join(t.TempDir(), "s.json")
		runLogs(t, "--emit", "none", "--summary", summary, path)
		if got := readSummary(t, summary); got.Records != want || got.DataRecords != want.Flow+want.Event {
			t.Errorf("%s: got %+v of %d, want %+v", file, got.Records, got.DataRecords, want)
		}
	}
}

// TestRunDNS: answers are printed on demand, and go beside a capture.
func TestRunDNS(t *testing.T) {
	json := "../ingest/zeek/testdata/dns.json.log"
	out, stderr := runLogs(t, "--emit", "dns", json)
	if n := strings.Count(out, "\n"); n != 4 || !strings.Contains(out, `"dns_name":"www.sansgear.com"`) {
		t.Errorf("got %d lines:\n%s", n, out)
	}
	if !strings.Contains(stderr, "4 answered, 1 without answer or question, 2 dead") {
		t.Errorf("got\n%s", stderr)
	}
	tsv, _ := runLogs(t, "--emit", "dns", "../ingest/zeek/testdata/dns.log")
	if n := strings.Count(tsv, "\n"); n != 5 {
		t.Errorf("got %d lines:\n%s", n, tsv)
	}
	capture := testkit.Data(t, "captures/v5.pcap")
	alone, _ := runLogs(t, capture)
	both, _ := runLogs(t, json, capture)
	if d := cmp.Diff(both, alone); d != "" {
		t.Errorf("the log changed the ledger of the capture (-got, +want)\n%s", d)
	}
}
