package normalize

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// fixedDatagram writes a header of NetFlow v1, v5 or v7 and so many records.
func fixedDatagram(version, sequence uint64, records ...[]byte) Datagram {
	b := values(2, version, 2, uint64(len(records)), 4, 100_000, 4, nowNs/nsPerS, 4, 0)
	if version > 1 {
		b = append(b, values(4, sequence, 2, 0x0102, 2, 0x4064)...)
	}
	for _, r := range records {
		b = append(b, r...)
	}
	return Datagram{Exporter: exporterAddr, Port: 2055, ReceivedNs: nowNs, Payload: b}
}

// common begins the records of all versions: two addresses, the next hop, interfaces 3
// and 4, 5 packets of 600 bytes, a minute's uptime, ports.
func commonFields() []byte {
	return values(4, 0x0a000001, 4, 0x0a000002, 4, 0x0a000003, 2, 3, 2, 4, 4, 5, 4, 600, 4, 40_000, 4, 90_000, 2, 1234, 2, 443)
}

func v1Fields() []byte { return append(commonFields(), values(2, 0, 1, 6, 1, 32, 1, 0x1b, 7, 0)...) }

func v5Fields() []byte {
	return append(commonFields(), values(1, 0, 1, 0x1b, 1, 6, 1, 32, 2, 65001, 2, 65002, 1, 24, 1, 16, 2, 0)...)
}

func TestNetFlowBeforeTemplates(t *testing.T) {
	flow := func(change func(*flowv1.Flow)) *flowv1.Flow {
		f := &flowv1.Flow{
			Type: flowv1.FlowType_FLOW_TYPE_NETFLOW_V5, SamplerAddress: exporterAddr.AsSlice(), TimeReceivedNs: nowNs,
			SrcAddr: []byte{10, 0, 0, 1}, DstAddr: []byte{10, 0, 0, 2}, NextHop: []byte{10, 0, 0, 3}, InIf: 3, OutIf: 4,
			Packets: 5, Bytes: 600, SrcPort: 1234, DstPort: 443, Proto: 6, IpTos: 32, TcpFlags: 0x1b, Etype: etherIPv4,
			TimeFlowStartNs: nowNs - 60*nsPerS, TimeFlowEndNs: nowNs - 10*nsPerS, TimeQuality: flowv1.TimeQuality_TIME_QUALITY_UPTIME,
		}
		change(f)
		return f
	}
	networks := func(f *flowv1.Flow) { f.SequenceNum, f.SrcAs, f.DstAs, f.SrcNet, f.DstNet = 9, 65001, 65002, 24, 16 }
	f := func(name string, d Datagram, want *flowv1.Flow) {
		t.Helper()
		out := run(Default(), d)
		if len(out.Flows) != 2 || out.Records != (Records{Flow: 2}) || out.BadDatagrams != 0 {
			t.Fatalf("%s: %+v, %v", name, out.Records, out.Dead)
		}
		for _, got := range out.Flows {
			want.RecordId = got.RecordId
			if d := cmp.Diff(renderMessage(got), renderMessage(want)); d != "" {
				t.Errorf("%s (-got, +want)\n%s", name, d)
			}
		}
	}
	longer := append(v1Fields(), 1, 2, 3, 4)
	bypassed := append(v5Fields(), 10, 0, 0, 9)
	f("v1", fixedDatagram(1, 0, v1Fields(), v1Fields()), flow(func(*flowv1.Flow) {}))
	f("v1, longer records", fixedDatagram(1, 0, longer, longer), flow(func(*flowv1.Flow) {}))
	f("v5", fixedDatagram(5, 9, v5Fields(), v5Fields()), flow(func(f *flowv1.Flow) {
		networks(f)
		f.ObservationDomainId, f.SamplingRate, f.SamplingKind = 0x0102, 100, flowv1.SamplingKind_SAMPLING_KIND_PACKET
	}))
	f("v7", fixedDatagram(7, 9, bypassed, bypassed), flow(networks))
}

// What is cut off is not made up, and what came is used.
func TestNetFlowBeforeTemplatesCut(t *testing.T) {
	f := func(d Datagram, cut int, reason string, flows int) {
		t.Helper()
		version := d.Payload[1]
		d.Payload = d.Payload[:len(d.Payload)-cut]
		out := run(Default(), d)
		if len(out.Flows) != flows || len(out.Dead) != 1 || out.Dead[0].Reason != reason {
			t.Errorf("v%d less %d bytes: %d flows, want %d; dead: %v", version, cut, len(out.Flows), flows, out.Dead)
		}
	}
	bypassed := append(v5Fields(), 10, 0, 0, 9)
	f(fixedDatagram(1, 0, v1Fields(), v1Fields()), 1, "bad_count", 1)
	f(fixedDatagram(1, 0, v1Fields()), len(v1Fields())+1, "truncated_header", 0)
	f(fixedDatagram(7, 1, bypassed, bypassed), 1, "bad_count", 1)
	f(fixedDatagram(7, 1, bypassed), len(bypassed)+1, "truncated_header", 0)
}

// One exporter's v1, v5 and v7 are counted apart; v1 counts nothing, so that nothing of it
// is lost, and what comes again may be meant so.
func TestNetFlowBeforeTemplatesCounts(t *testing.T) {
	n, out := New(Default()), &Result{}
	bypassed := append(v5Fields(), 10, 0, 0, 9)
	for i := range uint64(20) {
		for _, d := range []Datagram{
			fixedDatagram(1, 0, v1Fields()), fixedDatagram(5, 1000+i, v5Fields()), fixedDatagram(7, 7_000_000+i, bypassed),
		} {
			d.ReceivedNs += i * 10 * nsPerS
			n.Datagram(d, out)
		}
	}
	if len(out.Flows) != 60 || out.LostRecords != 0 || out.Duplicates != 0 {
		t.Errorf("%d flows, %d lost, %d duplicates", len(out.Flows), out.LostRecords, out.Duplicates)
	}
}
