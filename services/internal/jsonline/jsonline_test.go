package jsonline

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

var update = flag.Bool("update", false, "write testdata anew")

var (
	v4     = []byte{192, 0, 2, 1}
	mapped = []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 51, 100, 2}
	v6     = []byte{0x20, 0x01, 0x0d, 0xb8, 15: 1}
)

const at = 1_713_495_600_123_456_789

// messages are printed to testdata/messages.golden, one line each.
var messages = []struct {
	name string
	m    proto.Message
}{
	{"an empty biflow", &flowv1.Biflow{}},
	{"an open biflow", &flowv1.Biflow{
		FlowId: 18446744073709551615, Version: 1, Proto: 6, ClientAddr: v4, ClientPort: 51000, ServerAddr: mapped, ServerPort: 443,
		ClientBytes: 9007199254740993, ClientPackets: 3, ClientTcpFlags: 0x1b, TimeFlowStartNs: at, TimeFlowEndNs: at + 1e9,
		InitiatorEvidence: flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_TCP_FLAGS, InitiatorConfidence: 0.97,
		ConnState: flowv1.ConnState_CONN_STATE_HALF_OPEN,
		Reporters: []*flowv1.Reporter{{SamplerAddress: v6, InIf: 3, Direction: flowv1.Direction_DIRECTION_EGRESS}, {SamplerAddress: v4}},
	}},
	{"a closed ICMP biflow", &flowv1.Biflow{Proto: 1, CloseReason: flowv1.CloseReason_CLOSE_REASON_END_OF_INPUT, PrevFlowId: 7}},
	{"an empty flow", &flowv1.Flow{}},
	{"a TCP flow", &flowv1.Flow{
		Type: flowv1.FlowType_FLOW_TYPE_NETFLOW_V9, SrcAddr: v4, DstAddr: v6, Proto: 6, SamplerAddress: v4, SrcMac: 0x0102030a0b0c,
		TimeReceivedNs: at, PairId: 1, RecordId: 2, MplsLabel: []uint32{16, 17}, MplsIp: [][]byte{v4},
		Application: "a \"quoted\" \\ name\n\x00\xff ü", Vpc: &flowv1.Vpc{Action: "REJECT", PktSrcaddr: v4},
	}},
	{"an ICMP flow", &flowv1.Flow{Proto: 58, SrcAddr: []byte{1, 2, 3}}},
	{"an event", &flowv1.Event{Kind: flowv1.EventKind_EVENT_KIND_NAT, NatEvent: 4, Attributes: map[string]string{"b": "2", "a": "1", "c\"": ""}}},
	{"a fact", &flowv1.ExporterFact{Type: 99, Kind: flowv1.ExporterFactKind_EXPORTER_FACT_KIND_TEMPLATE, Template: []byte{1, 0xff}, Id: 3}},
	{"activity", &flowv1.Activity{Host: v4, TimeMinuteNs: at, ClientPeers: []byte{0, 1}, Services: []*flowv1.Service{{Proto: 6, ServerPort: 22}}}},
	{"a DNS answer", &flowv1.Dns{DnsName: "example.org", Answers: []*flowv1.DnsAnswer{{Name: "example.org", Type: 1, Ttl: 60, Data: "192.0.2.1"}}}},
}

func TestGolden(t *testing.T) {
	var p Printer
	var got []byte
	for _, x := range messages {
		got = append(got, "# "+x.name+"\n"...)
		start := len(got)
		got = p.Append(got, x.m)
		if !json.Valid(got[start:]) {
			t.Errorf("%s is not JSON: %s", x.name, got[start:])
		}
		got = append(got, '\n')
	}
	path := filepath.Join("testdata", "messages.golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), string(want)); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
}

// TestAlwaysNamesFields holds the lists of fields against the schema.
func TestAlwaysNamesFields(t *testing.T) {
	for _, m := range []proto.Message{&flowv1.Biflow{}, &flowv1.Flow{}, &flowv1.Reporter{}, &flowv1.Event{}, &flowv1.ExporterFact{}} {
		d := m.ProtoReflect().Descriptor()
		list, ok := always[d.FullName()]
		if !ok {
			t.Errorf("%s has no list", d.FullName())
		}
		for _, name := range bytes.Fields([]byte(list)) {
			if d.Fields().ByName(protoreflect.Name(name)) == nil {
				t.Errorf("%s has no field %s", d.FullName(), name)
			}
		}
	}
}

// FuzzString holds our strings against what encoding/json reads back.
func FuzzString(f *testing.F) {
	f.Add("a \"b\" \\ \n \x7f \xff\xfe ü \u2028")
	f.Fuzz(func(t *testing.T, s string) {
		var back string
		if err := json.Unmarshal(AppendString(nil, s), &back); err != nil {
			t.Fatal(err)
		}
		if want := string([]rune(s)); back != want {
			t.Errorf("got %q, want %q", back, want)
		}
	})
}

// TestAppendDoesNotAllocate pins the cost of a line of output.
func TestAppendDoesNotAllocate(t *testing.T) {
	var p Printer
	buf := make([]byte, 0, 4096)
	m := messages[1].m
	buf = p.Append(buf[:0], m)
	if n := testing.AllocsPerRun(100, func() { buf = p.Append(buf[:0], m) }); n > 4 {
		t.Errorf("%v allocations per biflow", n)
	}
}

func BenchmarkBiflow(b *testing.B) {
	var p Printer
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = p.Append(buf[:0], messages[1].m)
	}
}

func BenchmarkFlow(b *testing.B) {
	var p Printer
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = p.Append(buf[:0], messages[4].m)
	}
}
