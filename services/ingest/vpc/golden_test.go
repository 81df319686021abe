package vpc

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/jsonline"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestSharedGolden holds every field of AWS's own example logs.
func TestSharedGolden(t *testing.T) {
	for _, c := range []struct {
		file string
		want Statistics
	}{
		{"v2_default.log", Statistics{Lines: 7, Flows: 5, NoData: 1, SkipData: 1}},
		{"v3_custom_header.log", Statistics{Lines: 4, Headers: 1, Flows: 1, NoData: 1, SkipData: 1}},
	} {
		t.Run(c.file, func(t *testing.T) {
			b, err := os.ReadFile(testkit.Data(t, filepath.Join("vpc", c.file)))
			if err != nil {
				t.Fatal(err)
			}
			compare(t, c.file, b, c.want)
		})
	}
}

// TestVersionsGolden holds lines of every version, as AWS's documentation lays
// them out, and lines that are wrong.
func TestVersionsGolden(t *testing.T) {
	for _, c := range []struct {
		file string
		want Statistics
	}{
		{"nat.log", Statistics{Lines: 5, Headers: 1, Flows: 4}},
		{"v5.log", Statistics{Lines: 3, Headers: 1, Flows: 2}},
		{"v10.log", Statistics{Lines: 7, Headers: 2, Flows: 3, NoData: 1, SkipData: 1}},
		{"transit.log", Statistics{Lines: 3, Headers: 1, Flows: 1, NoData: 1}},
		{"wrong.log", Statistics{Lines: 15, Flows: 2, Dead: 13}},
	} {
		t.Run(c.file, func(t *testing.T) {
			b, err := os.ReadFile(filepath.Join("testdata", c.file))
			if err != nil {
				t.Fatal(err)
			}
			compare(t, c.file, b, c.want)
		})
	}
}

func compare(t *testing.T, file string, log []byte, want Statistics) {
	t.Helper()
	p := New(Default())
	var out normalize.Result
	for line := range bytes.Lines(log) {
		p.Line(line, 0, &out)
	}
	if d := cmp.Diff(p.Statistics(), want); d != "" {
		t.Errorf("(-got, +want)\n%s", d)
	}
	testkit.Golden(t, filepath.Join("testdata", "golden", file+".jsonl"), render(&out), *update)
}

// render writes a result as JSON lines.
func render(out *normalize.Result) []byte {
	var json jsonline.Printer
	var b []byte
	for _, f := range out.Flows {
		b = append(json.Append(append(b, `{"flow":`...), f), "}\n"...)
	}
	for _, e := range out.Events {
		b = append(json.Append(append(b, `{"event":`...), e), "}\n"...)
	}
	for _, d := range out.Dead {
		b = fmt.Appendf(b, "{\"dead\":{\"reason\":%q,\"bytes\":%q}}\n", d.Reason, d.Bytes)
	}
	return b
}
