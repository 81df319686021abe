package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/capture"
	"github.com/flowledger/flowledger/services/internal/pipeline"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// shared is the data that came out of real exporters, beside the project.
const shared = "../../../shared/data"

// expected is a line of EXPECTED.tsv.
type expected struct {
	file                                                          string
	datagrams, dataRecords, options, missing, bad, bytes, packets uint64
}

func sharedCaptures(t *testing.T) []expected {
	t.Helper()
	f, err := os.Open(testkit.Data(t, "EXPECTED.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list []expected
	lines := bufio.NewScanner(f)
	lines.Scan() // the heading
	for lines.Scan() {
		cols := strings.Split(lines.Text(), "\t")
		n := make([]uint64, len(cols))
		for i := range cols[1:] {
			if n[i+1], err = strconv.ParseUint(cols[i+1], 10, 64); err != nil {
				t.Fatal(err)
			}
		}
		list = append(list, expected{cols[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7]})
	}
	return list
}

func readSummary(t *testing.T, path string) (s summary) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRunTCP reads IPFIX that softflowd sent over TCP; tshark finds as many records.
func TestRunTCP(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s.json")
	if _, stderr, err := ctl(t.Context(), "run", "--emit", "none", "--summary", path, "../internal/capture/testdata/softflowd_tcp.pcapng.gz"); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	if s := readSummary(t, path); s.Datagrams != 6 || s.DataRecords != 28 || s.OptionsRecords != 6 || s.Records.Flow != 28 || len(s.DeadReasons) > 0 {
		t.Errorf("%+v, want 28 data records and 6 of options in 6 messages", s)
	}
}

// TestRunSharedCaptures holds the records of every shared capture against what
// an independent decoder found.
func TestRunSharedCaptures(t *testing.T) {
	for _, want := range sharedCaptures(t) {
		t.Run(want.file, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s.json")
			if _, stderr, err := ctl(t.Context(), "run", "--emit", "none", "--summary", path, filepath.Join(shared, "captures", want.file)); err != nil {
				t.Fatalf("%v\n%s", err, stderr)
			}
			s := readSummary(t, path)
			if s.Datagrams != want.datagrams || s.DataRecords != want.dataRecords || s.OptionsRecords != want.options {
				t.Errorf("got %d datagrams, %d data and %d options records, want %d, %d and %d",
					s.Datagrams, s.DataRecords, s.OptionsRecords, want.datagrams, want.dataRecords, want.options)
			}
			if r := s.Records; r.Flow+r.Event+r.FlowAndEvent+r.Dead != s.DataRecords {
				t.Errorf("%+v do not add up to %d", r, s.DataRecords)
			}
			dead := maps.Clone(s.DeadReasons)
			missing := dead["template_missing"]
			delete(dead, "template_missing")
			var bad uint64
			for _, n := range dead {
				bad += n
			}
			if missing != want.missing || bad != want.bad {
				t.Errorf("dead letters %v, want %d sets without a template and %d bad datagrams", s.DeadReasons, want.missing, want.bad)
			}
			checkSums(t, want, s)
		})
	}
}

// checkSums holds the volume of the flows against the decoder's, which knows no
// reverse elements and takes every record for a flow.
func checkSums(t *testing.T, want expected, s summary) {
	t.Helper()
	switch {
	case s.Records.Flow+s.Records.FlowAndEvent != s.DataRecords:
	case want.file == "ipfixprobe.pcap", want.file == "yaf.pcap": // RFC 5103: both directions in one record
		if s.Bytes < want.bytes || s.Packets < want.packets {
			t.Errorf("got %d bytes and %d packets, want at least %d and %d", s.Bytes, s.Packets, want.bytes, want.packets)
		}
	case s.Bytes != want.bytes || s.Packets != want.packets:
		t.Errorf("got %d bytes and %d packets, want %d and %d", s.Bytes, s.Packets, want.bytes, want.packets)
	}
}

// TestRunEmits prints every kind of record as JSON objects, one to a line.
func TestRunEmits(t *testing.T) {
	sharedCaptures(t)
	in := filepath.Join(shared, "traffic", "campus_mixed.pcap.gz")
	lines := make(map[string]uint64)
	dir := t.TempDir()
	for _, kind := range emits {
		stdout, _, err := ctl(t.Context(), "run", "--emit", kind, "--summary", filepath.Join(dir, kind), in)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(stdout) {
			lines[kind]++
			var object map[string]any
			if err := json.Unmarshal([]byte(line), &object); err != nil {
				t.Fatalf("--emit %s: %v in %s", kind, err, line)
			}
			if kind == "biflows" && object["close_reason"] == "unspecified" {
				t.Fatalf("an open conversation: %s", line)
			}
		}
	}
	s := readSummary(t, filepath.Join(dir, "none"))
	got := map[string]uint64{"flows": lines["flows"], "biflows": lines["biflows"], "alerts": lines["alerts"], "none": lines["none"]}
	want := map[string]uint64{"flows": s.Flows, "biflows": s.Biflows, "alerts": s.Alerts, "none": 0}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
	if lines["updates"] < lines["biflows"] || lines["deduped"] == 0 {
		t.Errorf("%v", lines)
	}
}

// TestRunTwice gives the same bytes for the same capture.
func TestRunTwice(t *testing.T) {
	sharedCaptures(t)
	args := []string{"run", "--emit", "updates", filepath.Join(shared, "traffic", "campus_mixed.pcap.gz")}
	first, _, err := ctl(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	if second, _, _ := ctl(t.Context(), args...); first != second {
		t.Error("two runs over one capture differ")
	}
}

func TestSummaryKeys(t *testing.T) {
	s := newSummary(pipeline.Summary{}, 0, 0)
	var object map[string]any
	if err := json.Unmarshal(s.json(), &object); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for k := range object {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	want := []string{"alerts", "biflows", "bytes", "cpu_seconds", "data_records", "datagrams", "dead_reasons", "flows", "options_records", "packets", "records", "seconds"}
	if diff := cmp.Diff(keys, want); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
}

func TestSummaryForPeople(t *testing.T) {
	s := summary{
		Datagrams: 1234, DataRecords: 40010, OptionsRecords: 12, Records: records{Flow: 39998, Dead: 12},
		Flows: 39998, Biflows: 20001, Alerts: 3, Bytes: 1_234_567_890, Packets: 3_400_000,
		DeadReasons: map[string]uint64{"truncated": 2, "no_template": 10}, Seconds: 1.25, CPUSeconds: 1.5,
	}
	var b strings.Builder
	s.print(&b, 1, capture.Stats{Packets: 1250, Datagrams: 1234, NotUDP: 10, NotExport: 6})
	golden(t, "testdata/summary.golden", b.String())
}

// TestBrokenPipe stops quietly when nobody reads on.
func TestBrokenPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	out := &printer{w: w}
	out.line([]byte("x"))
	if err := out.end(bufio.NewWriter(w)); !errors.Is(err, syscall.EPIPE) || exitCode(io.Discard, err, false) != 0 {
		t.Errorf("got %v", err)
	}
}

func TestRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := writeCapture(t, sentence{0, "192.0.2.7:1000", "a"})
	if _, _, err := ctl(ctx, "run", path); exitCode(io.Discard, err, true) != exitInterrupt {
		t.Errorf("got %v", err)
	}
}

// TestRemarks says what a reader of the results should know.
func TestRemarks(t *testing.T) {
	got := remarks(capture.Stats{Packets: 5, NotUDP: 2, NotExport: 3, Cut: []string{"a.pcap"}, Truncated: 1, BackInTime: 1}, []string{"a.pcap"})
	for i, want := range []string{"no flow exports in a.pcap: 5 packets, 2 not UDP, 3 no flow export; if", "a.pcap ends within a packet", "tcpdump -s 0", "older"} {
		if !strings.Contains(got[i], want) {
			t.Errorf("%q does not say %q", got[i], want)
		}
	}
}
