package normalize

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

// v8Datagram writes an aggregate of a scheme whose bytes all differ.
func v8Datagram(scheme byte, size, records int) []byte {
	b := make([]byte, v8Header+records*size)
	binary.BigEndian.PutUint16(b, 8)
	binary.BigEndian.PutUint16(b[2:], uint16(records))
	binary.BigEndian.PutUint32(b[4:], 0x40000000)
	binary.BigEndian.PutUint32(b[8:], nowNs/nsPerS)
	b[20], b[21], b[22], b[23] = 1, 2, scheme, 2
	for i := range b[v8Header:] {
		b[v8Header+i] = byte(i%size + 1)
	}
	return b
}

func v8Sizes() (sizes []int) {
	for i, a := range v8Aggregations() {
		if i > 0 {
			sizes = append(sizes, a.template.plan.min)
		}
	}
	return sizes
}

// TestAggregates holds every scheme's fields, whose bytes count up from 1, against
// a golden file; TestAggregatesAgainstTshark says that it is right.
func TestAggregates(t *testing.T) {
	if d := cmp.Diff(v8Sizes(), []int{28, 28, 32, 32, 40, 32, 40, 44, 32, 32, 32, 32, 40, 40}); d != "" {
		t.Fatalf("lengths (-got, +want)\n%s", d)
	}
	var got bytes.Buffer
	for i, size := range v8Sizes() {
		out := run(Default(), Datagram{Exporter: exporterAddr, ReceivedNs: nowNs, Payload: v8Datagram(byte(i+1), size, 2)})
		if len(out.Events) != 2 || len(out.Flows) != 0 || out.Records != (Records{Event: 2}) || out.DataRecords != 2 || out.BadDatagrams != 0 {
			t.Fatalf("scheme %d: %+v, %v", i+1, out.Records, out.Dead)
		}
		if e := out.Events[1]; e.Kind != flowv1.EventKind_EVENT_KIND_AGGREGATE || e.ObservationDomainId != 0x102 {
			t.Errorf("scheme %d: %v", i+1, e)
		}
		fmt.Fprintf(&got, "%s\n", renderMessage(out.Events[0]))
	}
	testkit.Golden(t, filepath.Join("testdata", "aggregates.jsonl"), got.Bytes(), *update)
}

// v8Names are tshark's names of fields, and where we put them.
var v8Names = map[string]string{
	"cflow.flows": "deltaFlowCount", "cflow.packets": "packets", "cflow.octets": "bytes",
	"cflow.srcas": "bgpSourceAsNumber", "cflow.dstas": "bgpDestinationAsNumber",
	"cflow.inputint": "in_if", "cflow.outputint": "out_if", "cflow.protocol": "proto", "cflow.tos": "ipClassOfService",
	"cflow.srcport": "src_port", "cflow.dstport": "dst_port", "cflow.srcnet": "sourceIPv4Prefix", "cflow.dstnet": "destinationIPv4Prefix",
	"cflow.srcmask": "sourceIPv4PrefixLength", "cflow.dstmask": "destinationIPv4PrefixLength",
	"cflow.srcaddr": "src_addr", "cflow.dstaddr": "dst_addr", "cflow.marked_tos": "postIpClassOfService",
	"cflow.routersc": "bypassedRouterIPv4Address",
}

// v8Disputed are the fields that tshark has in another place: it reads the source's
// mask before the destination's, and the ToS of scheme 9 before the interfaces. Two
// collectors that were used with routers, flow-tools one of them, have them as we do.
var v8Disputed = map[[2]any]bool{
	{5, "sourceIPv4PrefixLength"}: true, {5, "destinationIPv4PrefixLength"}: true,
	{13, "sourceIPv4PrefixLength"}: true, {13, "destinationIPv4PrefixLength"}: true,
	{14, "sourceIPv4PrefixLength"}: true, {14, "destinationIPv4PrefixLength"}: true,
	{9, "in_if"}: true, {9, "out_if"}: true, {9, "ipClassOfService"}: true,
}

// dissection is what tshark makes of a datagram of every scheme, a line each with
// the fields of the given names; where there is no tshark, what it once made of them.
func dissection(t *testing.T, names []string) string {
	t.Helper()
	golden := filepath.Join("testdata", "aggregates.tshark.tsv")
	if _, err := exec.LookPath("tshark"); err != nil {
		text, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	file := filepath.Join(t.TempDir(), "v8.pcap")
	var pcap []byte
	pcap = append(pcap, 0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0) // raw IP
	for i, size := range v8Sizes() {
		payload := v8Datagram(byte(i+1), size, 1)
		packet := values(1, 0x45, 1, 0, 2, uint64(28+len(payload)), 4, 0, 1, 64, 1, 17, 2, 0, 4, 0xc0000201, 4, 0xc0000202,
			2, 40000, 2, 2055, 2, uint64(8+len(payload)), 2, 0)
		packet = append(packet, payload...)
		for _, v := range []int{nowNs / nsPerS, 0, len(packet), len(packet)} {
			pcap = binary.LittleEndian.AppendUint32(pcap, uint32(v))
		}
		pcap = append(pcap, packet...)
	}
	if err := os.WriteFile(file, pcap, 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"-r", file, "-T", "fields"}
	for _, name := range names {
		args = append(args, "-e", name)
	}
	text, err := exec.Command("tshark", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(golden, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return string(text)
}

// TestAggregatesAgainstTshark holds the schemes against an independent decoder.
func TestAggregatesAgainstTshark(t *testing.T) {
	names := slices.Sorted(maps.Keys(v8Names))
	text := dissection(t, names)
	lines, compared := strings.Split(strings.TrimRight(text, "\n"), "\n"), 0
	for i, size := range v8Sizes() {
		e := run(Default(), Datagram{Exporter: exporterAddr, ReceivedNs: nowNs, Payload: v8Datagram(byte(i+1), size, 1)}).Events[0]
		ours := renderMessage(e)
		for j, want := range strings.Split(lines[i], "\t") {
			if want == "" {
				continue
			}
			name := v8Names[names[j]]
			if v8Disputed[[2]any{i + 1, name}] {
				continue
			}
			compared++
			base := 0
			if name == "postIpClassOfService" {
				base = 16
			}
			if n, err := strconv.ParseUint(want, base, 64); err == nil {
				want = strconv.FormatUint(n, 10)
			}
			if !strings.Contains(ours, fmt.Sprintf("%q:%s", name, want)) && !strings.Contains(ours, fmt.Sprintf("%q:%q", name, want)) {
				t.Errorf("scheme %d: %s is %s by tshark, but %s", i+1, name, want, ours)
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d fields compared", compared)
	}
}

func TestBadAggregates(t *testing.T) {
	f := func(b []byte, reason string, events int) {
		t.Helper()
		out := run(Default(), Datagram{Exporter: exporterAddr, ReceivedNs: nowNs, Payload: b})
		if len(out.Dead) != 1 || out.Dead[0].Reason != reason || len(out.Events) != events {
			t.Errorf("%v, %d events, want %s and %d", out.Dead, len(out.Events), reason, events)
		}
	}
	f(v8Datagram(1, 28, 2)[:20], "truncated_header", 0)
	f(v8Datagram(1, 28, 3)[:v8Header+60], "bad_count", 2)
	f(v8Datagram(0, 28, 1), "unknown_aggregation", 0)
	f(v8Datagram(15, 28, 1), "unknown_aggregation", 0)
}
