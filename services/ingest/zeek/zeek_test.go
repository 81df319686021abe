package zeek

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/jsonline"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden holds every field of logs laid out as Zeek's documentation has them.
func TestGolden(t *testing.T) {
	for _, c := range []struct {
		file string
		want Statistics
	}{
		{"dns.log", Statistics{Lines: 18, Headers: 9, Answered: 5, Other: 2, Dead: 2}},
		{"dns.json.log", Statistics{Lines: 7, Answered: 4, Other: 1, Dead: 2}},
	} {
		t.Run(c.file, func(t *testing.T) {
			log, err := os.ReadFile(filepath.Join("testdata", c.file))
			if err != nil {
				t.Fatal(err)
			}
			p := New(Default())
			var out normalize.Result
			for line := range bytes.Lines(log) {
				p.Line(line, 0, &out)
			}
			if d := cmp.Diff(p.Statistics(), c.want); d != "" {
				t.Errorf("(-got, +want)\n%s", d)
			}
			testkit.Golden(t, filepath.Join("testdata", "golden", c.file+".jsonl"), render(&out), *update)
		})
	}
}

func render(out *normalize.Result) []byte {
	var json jsonline.Printer
	var b []byte
	for _, m := range out.Dns {
		b = append(json.Append(append(b, `{"dns":`...), m), "}\n"...)
	}
	for _, e := range out.Events {
		b = append(json.Append(append(b, `{"event":`...), e), "}\n"...)
	}
	for _, d := range out.Dead {
		b = fmt.Appendf(b, "{\"dead\":{\"reason\":%q,\"bytes\":%q}}\n", d.Reason, d.Bytes)
	}
	return b
}

func TestDefaultIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestDecimal(t *testing.T) {
	f := func(s string, want uint64, ok bool) {
		t.Helper()
		if got, k := decimal(s); got != want || k != ok {
			t.Errorf("%s: got %d, %v", s, got, k)
		}
	}
	f("1602265824.123071", 1602265824_123071000, true)
	f("1602265824.1230710009", 1602265824_123071000, true)
	f("1602265824123", 1602265824_123000000, true)
	f("1602265824123.5", 1602265824_123500000, true)
	f("1602265824", 1602265824_000000000, true)
	f("1.5e9", 1500000000_000000000, true)
	f("0", 0, false)
	f("-1.5", 0, false)
	f("NaN", 0, false)
	f("99999999999", 0, false)
	f("1.2.3", 0, false)
}

func TestCharacterStrings(t *testing.T) {
	f := func(s, want string) {
		t.Helper()
		if got := characterStrings(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
	f("5 hello", "hello")
	f("5 hello 5 world", "hello world")
	f("11 hello world 1 x", "hello world x")
	f("9 hello", "9 hello")
	f("hello", "hello")
	f("5 hello!", "5 hello!")
}

// TestUnusualLayout: separators are what the header says.
func TestUnusualLayout(t *testing.T) {
	p := New(Default())
	var out normalize.Result
	log := "#separator \\x7c\n#set_separator|;\n#unset_field|~\n#path|dns\n#fields|ts|query|answers|qtype|rcode\n1591368000.1|a.example|192.0.2.1;192.0.2.2|1|0\n1591368000.1|a.example|~|1|~\n"
	for line := range strings.Lines(log) {
		hold(t, p, line, &out)
	}
	if len(out.Dns) != 1 || len(out.Dns[0].Answers) != 2 || len(out.Events) != 1 {
		t.Errorf("got %v and %v", out.Dns, out.Events)
	}
}

// TestEveryLineBecomesOne: whatever a file holds, each line that is not blank is
// exactly one of header, answer, event and dead letter.
func TestEveryLineBecomesOne(t *testing.T) {
	good, err := os.ReadFile(filepath.Join("testdata", "dns.log"))
	if err != nil {
		t.Fatal(err)
	}
	json, err := os.ReadFile(filepath.Join("testdata", "dns.json.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(good)+string(json)), "\n")
	rapid.Check(t, func(t *rapid.T) {
		p := New(Default())
		var out normalize.Result
		n := 0
		for range rapid.IntRange(1, 30).Draw(t, "lines") {
			line := rapid.SampledFrom(lines).Draw(t, "line")
			if rapid.Bool().Draw(t, "damaged") {
				at := rapid.IntRange(0, len(line)).Draw(t, "at")
				line = line[:at] + rapid.SampledFrom([]string{"", "\t", "-", "x", `\x0`, "\xff", "{", `"`}).Draw(t, "with") + line[at:]
			}
			if hold(t, p, line, &out) {
				n++
			}
		}
		s := p.Statistics()
		if s.Lines != uint64(n) || s.Headers+s.Answered+s.Other+s.Dead != s.Lines {
			t.Fatalf("%d lines: %+v", n, s)
		}
	})
}

// fataler is what tests, fuzz targets and properties have in common.
type fataler interface{ Fatalf(string, ...any) }

// hold reads a line and holds the law of conservation; it tells whether the line
// counts.
func hold(t fataler, p *Parser, line string, out *normalize.Result) bool {
	before := [3]int{len(out.Dns), len(out.Events), len(out.Dead)}
	records := out.DataRecords
	kind := p.Line([]byte(line), 0, out)
	want := before
	switch kind {
	case Answered:
		want[0]++
	case Other:
		want[1]++
	case Dead:
		want[2]++
	case Blank:
		if strings.TrimSpace(line) != "" {
			t.Fatalf("%q was passed over", line)
		}
	}
	if got := [3]int{len(out.Dns), len(out.Events), len(out.Dead)}; got != want {
		t.Fatalf("%q is kind %d, but answers, events and dead letters went from %v to %v", line, kind, before, got)
	}
	if kind != Blank && kind != Header {
		records++
	}
	if out.DataRecords != records || out.Records.Sum() != records {
		t.Fatalf("%q: %d data records, of which %+v; want %d", line, out.DataRecords, out.Records, records)
	}
	return kind != Blank
}

func FuzzLine(f *testing.F) {
	for _, name := range []string{"dns.log", "dns.json.log"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, log string) {
		p := New(Default())
		var out normalize.Result
		for line := range strings.Lines(log) {
			hold(t, p, line, &out)
		}
		for _, m := range out.Dns {
			if _, err := proto.Marshal(m); err != nil {
				t.Fatalf("%v cannot be marshalled: %v", m, err)
			}
		}
		for _, m := range out.Events {
			if _, err := proto.Marshal(m); err != nil {
				t.Fatalf("%v cannot be marshalled: %v", m, err)
			}
		}
	})
}
