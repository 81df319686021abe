package vpc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/ingest/normalize"
)

const ok2 = "2 123456789010 eni-1 10.0.0.1 10.0.0.2 49761 3389 6 20 4249 1418530010 1418530070 ACCEPT OK"

// one reads a line that must become a flow.
func one(t *testing.T, p *Parser, line string, receivedNs uint64) *flowv1.Flow {
	t.Helper()
	var out normalize.Result
	if kind := p.Line([]byte(line), receivedNs, &out); kind != Flow {
		t.Fatalf("%q became %v: %+v", line, kind, out.Dead)
	}
	return out.Flows[0]
}

func TestDefaultIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		c := Default()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want something with %q", err, want)
		}
	}
	f(func(c *Config) { c.Format = "${version} ${start}" }, "format: neither srcaddr nor pkt-srcaddr")
	f(func(c *Config) { c.Format = "${srcaddr,${dstaddr}" }, "is no name")
	f(func(c *Config) { c.Format = "srcaddr dstaddr start srcaddr" }, "twice")
	f(func(c *Config) { c.AggregationInterval = 0 }, "aggregation_interval")
	f(func(c *Config) { c.OldTolerance = -1 }, "old_tolerance")
	f(func(c *Config) { c.Realms = map[string]uint32{"a b": 1} }, "realms")
}

// TestFormatFromConfiguration: a file without a header is read by the format
// given to AWS; a header overrules it for the rest of its file only.
func TestFormatFromConfiguration(t *testing.T) {
	cfg := Default()
	cfg.Format = "${srcaddr} ${dstaddr} ${protocol} ${srcport} ${dstport} ${bytes} ${start} ${end}"
	p := New(cfg)
	got := one(t, p, "10.0.0.1 10.0.0.2 17 53 5353 77 1418530010 1418530070", 0)
	if got.Bytes != 77 || !got.PacketsUnknown || got.SrcPort != 53 {
		t.Errorf("got %v", got)
	}
	var out normalize.Result
	if kind := p.Line([]byte("version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status"), 0, &out); kind != Header {
		t.Fatalf("the header became %v", kind)
	}
	if got := one(t, p, ok2, 0); got.Packets != 20 {
		t.Errorf("got %v", got)
	}
	p.Begin()
	one(t, p, "10.0.0.1 10.0.0.2 17 53 5353 77 1418530010 1418530070", 0)
}

// TestCloudWatchTimestamp: lines exported by CloudWatch begin with a time.
func TestCloudWatchTimestamp(t *testing.T) {
	with, without := one(t, New(Default()), "2014-12-14T04:07:50.000Z "+ok2, 0), one(t, New(Default()), ok2, 0)
	with.RecordId = without.RecordId
	if d := cmp.Diff(with.String(), without.String()); d != "" {
		t.Error(d)
	}
}

// TestByteOrderMark: some tools put one before the first line, which is still read.
func TestByteOrderMark(t *testing.T) {
	if !Recognize(Default(), []byte("\ufeff"+ok2+"\n")) {
		t.Error("a log with a byte order mark is not told as one")
	}
	var out normalize.Result
	p := New(Default())
	if kind := p.Line([]byte("\ufeffsrcaddr dstaddr start end\n"), 0, &out); kind != Header {
		t.Errorf("a header behind a byte order mark is a %v", kind)
	}
	one(t, p, "10.0.0.1 10.0.0.2 1418530010 1418530070", 0)
}

// TestBothInterfacesAreObservationPoints: the two reports of one flow share the
// conversation and nothing of the observer.
func TestBothInterfacesAreObservationPoints(t *testing.T) {
	p := New(Default())
	a := one(t, p, ok2, 0)
	b := one(t, p, strings.Replace(ok2, "eni-1", "eni-2", 1), 0)
	again := one(t, New(Default()), ok2, 0)
	if string(a.SamplerAddress) == string(b.SamplerAddress) {
		t.Error("two interfaces have one address")
	}
	if !proto.Equal(a, again) {
		t.Error("the same line in the same place gave another flow")
	}
	if a.RecordId == b.RecordId {
		t.Error("two lines have one record id")
	}
}

func TestRealms(t *testing.T) {
	cfg := Default()
	cfg.Format = "account-id vpc-id interface-id srcaddr dstaddr start"
	cfg.Realms = map[string]uint32{"111111111111": 1, "vpc-2": 2, "eni-3": 3}
	p := New(cfg)
	f := func(line string, want uint32) {
		t.Helper()
		if got := one(t, p, line+" 10.0.0.1 10.0.0.2 1418530010", 0).Realm; got != want {
			t.Errorf("%s: realm %d, want %d", line, got, want)
		}
	}
	f("111111111111 vpc-1 eni-1", 1)
	f("111111111111 vpc-2 eni-1", 2)
	f("111111111111 vpc-2 eni-3", 3)
	f("- - -", 0)
}

func TestTimesThatCannotBe(t *testing.T) {
	const end = 1418530070e9
	f := func(what, line string, received uint64, want bool) {
		t.Helper()
		if got := one(t, New(Default()), line, received); got.TimeSuspect != want || got.TimeFlowEndNs < got.TimeFlowStartNs {
			t.Errorf("%s: suspect %v, from %d to %d", what, got.TimeSuspect, got.TimeFlowStartNs, got.TimeFlowEndNs)
		}
	}
	f("as delivered", ok2, end+10*uint64(time.Minute), false)
	f("a day late", ok2, end+24*uint64(time.Hour), true)
	f("from the future", ok2, end-uint64(time.Hour), true)
	f("end before start", strings.Replace(ok2, "1418530070", "1418530000", 1), end, true)
}

// TestSeekReadsTheSame: a line read out of turn, from its place, gives the same.
func TestSeekReadsTheSame(t *testing.T) {
	lines := []string{
		"version interface-id srcaddr dstaddr start end bytes", "5 eni-1 10.0.0.1 10.0.0.2 1418530010 1418530070 5",
		"srcaddr dstaddr interface-id start end bytes version", "10.0.0.1 10.0.0.2 eni-1 1418530011 1418530071 5 5",
	}
	scan, straight := New(Default()), New(Default())
	var want normalize.Result
	var places []Position
	for _, l := range lines {
		places = append(places, scan.Position())
		ns, ok := scan.EndNs([]byte(l))
		straight.Line([]byte(l), 0, &want)
		if n := len(want.Flows); ok && want.Flows[n-1].TimeFlowEndNs != ns {
			t.Errorf("%q ends at %d, not %d", l, want.Flows[n-1].TimeFlowEndNs, ns)
		}
	}
	var got normalize.Result
	for i := len(lines) - 1; i >= 0; i-- {
		scan.Seek(places[i])
		scan.Line([]byte(lines[i]), 0, &got)
	}
	if len(got.Flows) != 2 || !proto.Equal(got.Flows[0], want.Flows[1]) || !proto.Equal(got.Flows[1], want.Flows[0]) {
		t.Errorf("got %v, want %v backwards", got.Flows, want.Flows)
	}
}

// TestEveryLineBecomesOne: whatever a file holds, each line that is not blank is
// exactly one of header, flow, status and dead letter, and the counts say which.
func TestEveryLineBecomesOne(t *testing.T) {
	word := rapid.SampledFrom([]string{
		"-", "2", "5", "OK", "NODATA", "SKIPDATA", "ACCEPT", "REJECT", "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1", "fe80::1%eth0", "6", "1", "255", "256",
		"65536", "1418530010", "0", "18446744073709551615", "eni-1", "version", "srcaddr", "dstaddr", "start", "end", "log-status",
		"ingress", "\xff", "ÿ", "${srcaddr}", "EFA",
	})
	rapid.Check(t, func(t *rapid.T) {
		p := New(Default())
		var out normalize.Result
		lines := 0
		for range rapid.IntRange(1, 20).Draw(t, "lines") {
			line := ok2
			switch rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0:
				line = strings.Join(rapid.SliceOfN(word, 1, 16).Draw(t, "words"), " ")
			case 1:
				line = strings.Join(rapid.SliceOfN(word, 14, 14).Draw(t, "words"), " ")
			case 2:
				fields := strings.Fields(ok2)
				fields[rapid.IntRange(0, 13).Draw(t, "at")] = word.Draw(t, "word")
				line = strings.Join(fields, " ")
			}
			hold(t, p, line, &out)
			lines++
		}
		s := p.Statistics()
		if s.Lines != uint64(lines) || s.Headers+s.Flows+s.NoData+s.SkipData+s.Dead != s.Lines {
			t.Fatalf("%d lines: %+v", lines, s)
		}
	})
}

// fataler is what tests, fuzz targets and properties have in common.
type fataler interface{ Fatalf(string, ...any) }

// hold reads a line and holds the law of conservation.
func hold(t fataler, p *Parser, line string, out *normalize.Result) {
	before := [3]int{len(out.Flows), len(out.Events), len(out.Dead)}
	records := out.DataRecords
	kind := p.Line([]byte(line), 0, out)
	want := before
	switch kind {
	case Flow:
		want[0]++
	case Status:
		want[1]++
	case Dead:
		want[2]++
	case Blank:
		if strings.TrimSpace(line) != "" {
			t.Fatalf("%q was passed over", line)
		}
	}
	if got := [3]int{len(out.Flows), len(out.Events), len(out.Dead)}; got != want {
		t.Fatalf("%q is kind %d, but flows, events and dead letters went from %v to %v", line, kind, before, got)
	}
	if kind != Blank && kind != Header {
		records++
	}
	if out.DataRecords != records || out.Records.Sum() != records {
		t.Fatalf("%q: %d data records, of which %+v; want %d", line, out.DataRecords, out.Records, records)
	}
}

func FuzzLine(f *testing.F) {
	f.Add(ok2)
	f.Add("version interface-id srcaddr dstaddr start end bytes\n5 eni-1 10.0.0.1 10.0.0.2 1418530010 1418530070 5\n")
	f.Add("2 1 eni-1 - - - - - - - 1431280876 1431280934 - NODATA")
	f.Add("2014-12-14T04:07:50.000Z " + ok2)
	logs, _ := filepath.Glob("../../../../shared/data/vpc/*.log")
	for _, log := range logs {
		if b, err := os.ReadFile(log); err == nil {
			f.Add(string(b))
		}
	}
	f.Add("srcaddr dstaddr start\n::1 ::2 1\n1.1.1.1 ::2 1\n")
	f.Fuzz(func(t *testing.T, log string) {
		p := New(Default())
		var out normalize.Result
		for line := range strings.Lines(log) {
			hold(t, p, line, &out)
		}
		for _, m := range out.Flows {
			if _, err := proto.Marshal(m); err != nil {
				t.Fatalf("%v cannot be marshalled: %v", m, err)
			}
			if len(m.SrcAddr) != len(m.DstAddr) || m.TimeFlowEndNs < m.TimeFlowStartNs {
				t.Fatalf("%v is no flow", m)
			}
		}
		for _, m := range out.Events {
			if _, err := proto.Marshal(m); err != nil {
				t.Fatalf("%v cannot be marshalled: %v", m, err)
			}
		}
	})
}

func BenchmarkLine(b *testing.B) {
	p := New(Default())
	line := []byte(ok2)
	var out normalize.Result
	b.ReportAllocs()
	for b.Loop() {
		p.Line(line, 0, &out)
		out.Reset()
	}
}
