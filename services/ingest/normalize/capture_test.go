package normalize

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/flowledger/flowledger/services/internal/capture"
	"github.com/flowledger/flowledger/services/internal/testkit"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// shared is where the data that others collected lies.
const shared = "../../../../shared/data"

// needShared skips a test where the shared data is absent; CI always has it.
func needShared(t testing.TB) {
	t.Helper()
	testkit.Data(t, "EXPECTED.tsv")
}

// datagrams reads the export datagrams of a capture.
func datagrams(t testing.TB, path string) []Datagram {
	t.Helper()
	r, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []Datagram
	for {
		d, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Datagram{
			Exporter: d.Src.Addr(), Port: d.Src.Port(), ReceivedNs: d.Time, Payload: append([]byte(nil), d.Payload...),
		})
	}
}

// normalized runs all datagrams through a fresh normalizer.
func normalized(cfg Config, in []Datagram) *Result {
	n := New(cfg)
	out := &Result{}
	for _, d := range in {
		n.Datagram(d, out)
	}
	return out
}

// expected is a line of EXPECTED.tsv.
type expected struct {
	file                                                   string
	datagrams, data, options, missing, bad, bytes, packets uint64
}

func expectations(t testing.TB) []expected {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(shared, "EXPECTED.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	var all []expected
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		cols := strings.Split(line, "\t")
		if i == 0 {
			continue
		}
		v := make([]uint64, 8)
		for j := 1; j < 8; j++ {
			if v[j], err = strconv.ParseUint(cols[j], 10, 64); err != nil {
				t.Fatalf("EXPECTED.tsv line %d: %v", i+1, err)
			}
		}
		all = append(all, expected{cols[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]})
	}
	return all
}

// deviations are the captures whose flows do not sum up to the counters of
// EXPECTED.tsv, which adds up elements 1 or 85 and 2 or 86 of all records.
var deviations = map[string]struct {
	bytes, packets int64
	why            string
}{
	"netscaler.pcap":  {-3106, -5, "AppFlow transactions decorate and are never counted: each is told in four records"},
	"ipfixprobe.pcap": {128 + 1546, 1 + 25, "the ways back of RFC 5103 are flows too"},
	"yaf.pcap":        {200 + 92, 2 + 2, "the ways back of RFC 5103 are flows too"},
}

func TestCapturesAddUp(t *testing.T) {
	needShared(t)
	for _, want := range expectations(t) {
		t.Run(want.file, func(t *testing.T) {
			out := normalized(Default(), datagrams(t, filepath.Join(shared, "captures", want.file)))
			d := deviations[want.file]
			want.bytes += uint64(d.bytes)
			want.packets += uint64(d.packets)
			got := expected{
				file: want.file, datagrams: out.Datagrams, data: out.DataRecords, options: out.OptionsRecords,
				missing: out.MissingTemplateSets, bad: out.BadDatagrams,
			}
			for _, f := range out.Flows {
				got.bytes += f.Bytes
				got.packets += f.Packets
			}
			if got != want {
				t.Errorf("got  %+v\nwant %+v (%s)", got, want, d.why)
			}
			conserved(t, out)
		})
	}
}

// conserved holds the conservation law: each data record became one flow (or two, of
// both ways), one event, both, or one dead letter; each options record became facts.
func conserved(t *testing.T, out *Result) {
	t.Helper()
	if out.Records.Sum() != out.DataRecords {
		t.Errorf("%+v of %d records", out.Records, out.DataRecords)
	}
	var flows, backs, dead uint64
	for _, f := range out.Flows {
		if f.PairId != 0 && f.PairId != f.RecordId {
			backs++
		} else {
			flows++
		}
	}
	for _, d := range out.Dead {
		if d.Reason == "bad_field_length" || d.Reason == "bad_record_count" {
			dead++
		}
	}
	if flows != out.Records.Flow+out.Records.FlowAndEvent || uint64(len(out.Events)) != out.Records.Event+out.Records.FlowAndEvent || dead != out.Records.Dead {
		t.Errorf("%d flows, %d ways back, %d events, %d dead records, but %+v", flows, backs, len(out.Events), dead, out.Records)
	}
	var options, last uint64
	for _, f := range out.Facts {
		if f.Kind == flowv1.ExporterFactKind_EXPORTER_FACT_KIND_TEMPLATE || f.Attributes[skewAttribute] != "" {
			continue
		}
		if f.RecordId != last+1 { // else one more fact of the same record
			options++
		}
		last = f.RecordId
	}
	if options != out.OptionsRecords {
		t.Errorf("facts of %d options records, want %d", options, out.OptionsRecords)
	}
}
