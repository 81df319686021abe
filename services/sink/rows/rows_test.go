package rows

import (
	"fmt"
	"math"
	"strings"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// second is 2026-09-18T10:00:00Z.
const second = uint64(1789725600)

func at(s float64) uint64 { return second*1e9 + uint64(s*1e9) }

func ip(a, b, c, d byte) []byte { return []byte{a, b, c, d} }

func batch(ms ...flow.Message) (value []byte) {
	for _, m := range ms {
		value = flow.AppendDelimited(value, m)
	}
	return value
}

// build runs one message through the builder of a topic.
func build(t *testing.T, topic string, key, value []byte) []Block {
	t.Helper()
	b, err := For(topic)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Append(key, value); err != nil {
		t.Fatal(err)
	}
	return b.Take()
}

func TestFlows(t *testing.T) {
	golden(t, "flows.txt", print(build(t, "flows.deduped", nil, batch(
		&flowv1.Flow{
			Type: flowv1.FlowType_FLOW_TYPE_IPFIX, SrcAddr: ip(10, 0, 0, 1), DstAddr: ip(192, 0, 2, 7), SrcPort: 40000, DstPort: 443, Proto: 6,
			Bytes: 1500, Packets: 3, SamplerAddress: ip(10, 9, 9, 1), TimeReceivedNs: at(5), TimeFlowStartNs: at(1.000000001), TimeFlowEndNs: at(4),
			Authority: flowv1.Authority_AUTHORITY_MAX, Application: "tls", Direction: flowv1.Direction_DIRECTION_INGRESS,
			Reporters: []*flowv1.Reporter{
				{SamplerAddress: ip(10, 9, 9, 2), Bytes: 1400, Packets: 3, TimeFlowStartNs: at(1), TimeFlowEndNs: at(4)},
				{SamplerAddress: ip(10, 9, 9, 3), Bytes: 1300, Packets: 2, InIf: 7},
			},
		},
		&flowv1.Flow{SrcAddr: ip(10, 0, 0, 2), Proto: 200, TimeReceivedNs: math.MaxUint64, Authority: 77},
		&flowv1.Flow{
			Type: flowv1.FlowType_FLOW_TYPE_AWS_VPC, SrcAddr: make([]byte, 16), TimeReceivedNs: at(6), AsPath: []uint32{1, 2},
			MplsIp: [][]byte{ip(1, 2, 3, 4)}, Vpc: &flowv1.Vpc{AccountId: "123", PktSrcaddr: ip(9, 9, 9, 9)},
		},
	))))
}

func TestNothingIsLeftOfTheBlockBefore(t *testing.T) {
	b := NewFlows()
	full := &flowv1.Flow{SrcAddr: ip(1, 1, 1, 1), Application: "x", AsPath: []uint32{1}, Vpc: &flowv1.Vpc{Region: "r"}, Reporters: []*flowv1.Reporter{{Bytes: 1}}}
	for _, m := range []*flowv1.Flow{full, {Proto: 1}} {
		if _, err := b.Append(nil, batch(m)); err != nil {
			t.Fatal(err)
		}
		if b.Rows() != 1 {
			t.Fatalf("%d rows, want 1", b.Rows())
		}
		got := print(b.Take())
		if want := print(build(t, "flows.deduped", nil, batch(m))); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
		if b.Rows() != 0 || b.Take() != nil {
			t.Error("something is left after Take")
		}
	}
}

func TestBiflows(t *testing.T) {
	first := &flowv1.Biflow{
		FlowId: 1, Version: 1, Proto: 6, ClientAddr: ip(10, 0, 0, 1), ClientPort: 40000, ServerAddr: ip(192, 0, 2, 7), ServerPort: 443,
		ClientBytes: 100, ServerBytes: 200, ClientPackets: 1, ServerPackets: 2, TimeOpenedNs: at(1), TimeFlowStartNs: at(1), TimeFlowEndNs: at(2), TimeUpdatedNs: at(3),
		ConnState: flowv1.ConnState_CONN_STATE_ESTABLISHED, InitiatorConfidence: 0.5, Application: "guess",
		Reporters: []*flowv1.Reporter{{SamplerAddress: ip(10, 9, 9, 1)}},
	}
	// The next version exchanges client and server, and knows an earlier start.
	revised := &flowv1.Biflow{
		FlowId: 1, Version: 2, Proto: 6, ClientAddr: ip(192, 0, 2, 7), ClientPort: 443, ServerAddr: ip(10, 0, 0, 1), ServerPort: 40000,
		ClientBytes: 250, ServerBytes: 110, TimeOpenedNs: at(1), TimeFlowStartNs: at(0.5), TimeFlowEndNs: at(4), TimeUpdatedNs: at(5), DirectionRevised: true,
		Reporters: []*flowv1.Reporter{{SamplerAddress: ip(10, 9, 9, 1)}, {SamplerAddress: ip(10, 9, 9, 2), InIf: 3}},
	}
	itself := &flowv1.Biflow{FlowId: 2, Version: 1, Proto: 17, ClientAddr: ip(127, 0, 0, 1), ClientPort: 1000, ServerAddr: ip(127, 0, 0, 1), ServerPort: 53, TimeOpenedNs: at(1), TimeFlowStartNs: at(1), TimeFlowEndNs: at(1)}
	again := &flowv1.Biflow{FlowId: 3, Version: 1, Proto: 6, ClientAddr: ip(192, 0, 2, 7), ClientPort: 444, ServerAddr: ip(10, 0, 0, 1), ServerPort: 40000, TimeOpenedNs: at(2), TimeFlowStartNs: at(2), TimeFlowEndNs: at(9)}
	golden(t, "biflows.txt", print(build(t, "biflows", nil, batch(first, itself, revised, again, first))))
}

func TestPassiveDNS(t *testing.T) {
	golden(t, "dns.txt", print(build(t, "dns", nil, batch(
		&flowv1.Dns{TimeReceivedNs: at(2), TimeEventNs: at(1), DnsName: "www.example.org", QueryType: 1, Answers: []*flowv1.DnsAnswer{
			{Name: "www.example.org", Type: 5, Data: "edge.example.net"},
			{Name: "Edge.example.net.", Type: 1, Data: "192.0.2.7"},
			{Name: "edge.example.net", Type: 28, Data: "2001:db8::7"},
		}},
		&flowv1.Dns{TimeReceivedNs: at(3), DnsName: "nowhere.example", QueryType: 65280, ResponseCode: 3},
	))))
}

func TestEventsAndExporters(t *testing.T) {
	golden(t, "events.txt", print(build(t, "events", nil, batch(
		&flowv1.Event{Kind: flowv1.EventKind_EVENT_KIND_FIREWALL, TimeReceivedNs: at(1), SrcAddr: ip(1, 2, 3, 4), FirewallEvent: 3, FirewallExtEvent: 1001},
		&flowv1.Event{Kind: flowv1.EventKind_EVENT_KIND_NAT, TimeReceivedNs: at(2), PostSrcAddr: ip(5, 6, 7, 8), NatEvent: 4, Attributes: map[string]string{"natPoolId": "7"}},
	)))+print(build(t, "exporters", nil, batch(
		&flowv1.ExporterFact{Kind: flowv1.ExporterFactKind_EXPORTER_FACT_KIND_INTERFACE, SamplerAddress: ip(10, 9, 9, 1), Id: 7, Name: "xe-0/0/7", TimeReceivedNs: at(1)},
		&flowv1.ExporterFact{Kind: flowv1.ExporterFactKind_EXPORTER_FACT_KIND_TEMPLATE, SamplerAddress: ip(10, 9, 9, 1), TemplateId: 256, Template: []byte("\x01\x00\x00\x00")},
	))))
}

func finding(activity int, uid string, time uint64) []byte {
	return fmt.Appendf(nil, `{"activity_id":%d,"class_uid":2004,"time":%d,"start_time":%d,"severity_id":4,"status_id":1,"confidence_score":92,"message":"m%d",
		"finding_info":{"uid":%q,"title":"Port scan","first_seen_time":0,"related_events_count":44,"analytic":{"uid":"port_scan"},
		"attacks":[{"technique":{"uid":"T1046"}},{"technique":{"uid":"T1110"},"sub_technique":{"uid":"T1110.001"}}]}}`, activity, time/1e6, (second-60)*1000, activity, uid)
}

func TestAlerts(t *testing.T) {
	b := NewAlerts()
	for _, m := range []struct {
		key   string
		value []byte
	}{
		{"192.168.1.9", finding(1, "a", at(1))},
		{"\xc0\xa8\x01\x09", finding(1, "b", at(1))},
		{"192.168.1.9", finding(3, "a", at(2))},
		{"192.168.1.9", finding(2, "a", at(2))}, // older than what is there: a close is final
		{"192.168.1.9", nil},
	} {
		if _, err := b.Append([]byte(m.key), m.value); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, "alerts.txt", print(b.Take()))
	for _, bad := range []string{"{", "{}", `{"finding_info":{"uid":7}}`} {
		if n, err := b.Append(nil, []byte(bad)); err == nil || n != 0 {
			t.Errorf("%q was read as an alert", bad)
		}
	}
}

// TestWhatIsReadableIsKept: a record that cannot be read costs its neighbours nothing.
func TestWhatIsReadableIsKept(t *testing.T) {
	record := map[string]flow.Message{
		"flows.deduped": &flowv1.Flow{Bytes: 1},
		"biflows":       &flowv1.Biflow{FlowId: 1, Version: 1, ClientAddr: ip(10, 0, 0, 1), ServerAddr: ip(10, 0, 0, 2)},
		"events":        &flowv1.Event{Kind: flowv1.EventKind_EVENT_KIND_NAT},
		"dns":           &flowv1.Dns{DnsName: "www.example.org", Answers: []*flowv1.DnsAnswer{{Name: "www.example.org", Type: 1, Data: "192.0.2.7"}}},
		"exporters":     &flowv1.ExporterFact{Kind: flowv1.ExporterFactKind_EXPORTER_FACT_KIND_INTERFACE, Id: 7},
	}
	const undecodable, cut = "\x03\x0a\x05\x01", "\x05\x01" // fields that reach beyond the record, a record that reaches beyond the batch
	for topic, m := range record {
		one := string(batch(m))
		for _, tt := range []struct {
			name, value string
			want        int
		}{
			{"in the middle", one + undecodable + one, 2},
			{"at the beginning, twice", undecodable + undecodable + one, 1},
			{"at the end", one + one + undecodable, 2},
			{"alone", undecodable, 0},
			{"cut", one + one + cut, 2},
		} {
			t.Run(topic+" "+tt.name, func(t *testing.T) {
				b, err := For(topic)
				if err != nil {
					t.Fatal(err)
				}
				if n, err := b.Append(nil, []byte(tt.value)); n != tt.want || err == nil {
					t.Errorf("read %d records, error %v; want %d and an error", n, err, tt.want)
				}
				want := build(t, topic, nil, []byte(strings.Repeat(one, tt.want)))
				if got := b.Take(); print(got) != print(want) {
					t.Errorf("got\n%swant\n%s", print(got), print(want))
				}
			})
		}
	}
}

func TestUnknownTopic(t *testing.T) {
	if _, err := For("flows.raw"); err == nil {
		t.Error("a topic without a table was accepted")
	}
	for _, topic := range Topics() {
		b, err := For(topic)
		if err != nil {
			t.Fatal(err)
		}
		if b.Rows() != 0 || b.Take() != nil {
			t.Errorf("the fresh builder of %s holds something", topic)
		}
	}
}
