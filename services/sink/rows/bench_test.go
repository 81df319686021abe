package rows

import (
	"encoding/binary"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

const benchRecords = 300

func benchFlows() []byte {
	var value []byte
	for i := range uint32(benchRecords) {
		src, dst := binary.BigEndian.AppendUint32(nil, 0x0a000000+i%50), binary.BigEndian.AppendUint32(nil, 0xc0000200+i%7)
		value = append(value, batch(&flowv1.Flow{
			Type: flowv1.FlowType_FLOW_TYPE_NETFLOW_V9, SrcAddr: src, DstAddr: dst, SrcPort: 1024 + i, DstPort: 443, Proto: 6, TcpFlags: 0x1b,
			Bytes: uint64(i) * 1000, Packets: uint64(i), SamplerAddress: ip(10, 9, 9, 1), NextHop: ip(10, 9, 9, 254), InIf: 3, OutIf: 4, SrcAs: 64500,
			SequenceNum: i, SamplingRate: 1, TimeReceivedNs: at(float64(i)), TimeFlowStartNs: at(1), TimeFlowEndNs: at(2), RecordId: uint64(i) << 40,
			Authority: flowv1.Authority_AUTHORITY_MAX, Direction: flowv1.Direction_DIRECTION_INGRESS, TimeQuality: flowv1.TimeQuality_TIME_QUALITY_UPTIME,
			Reporters: []*flowv1.Reporter{{SamplerAddress: ip(10, 9, 9, 2), Bytes: uint64(i) * 999, Packets: uint64(i), InIf: 1, OutIf: 2, RecordId: uint64(i)}},
		})...)
	}
	return value
}

func benchBiflows() []byte {
	var value []byte
	for i := range uint32(benchRecords) {
		client, server := binary.BigEndian.AppendUint32(nil, 0x0a000000+i%50), binary.BigEndian.AppendUint32(nil, 0xc0000200+i%7)
		value = append(value, batch(&flowv1.Biflow{
			FlowId: uint64(i)*0x9e3779b97f4a7c15 + 1, Version: 1, Proto: 6, ClientAddr: client, ClientPort: 1024 + i, ServerAddr: server, ServerPort: 443,
			ClientBytes: uint64(i) * 10, ClientPackets: uint64(i), ClientTcpFlags: 0x1b, ServerBytes: uint64(i) * 1000, ServerPackets: uint64(i), ServerTcpFlags: 0x1b,
			TimeFlowStartNs: at(1), TimeFlowEndNs: at(2), TimeOpenedNs: at(1), TimeUpdatedNs: at(3), Segments: 2,
			InitiatorEvidence: flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_TCP_FLAGS, InitiatorConfidence: 0.95,
			ConnState: flowv1.ConnState_CONN_STATE_ESTABLISHED, CloseReason: flowv1.CloseReason_CLOSE_REASON_FIN, SamplingRate: 1,
			Reporters: []*flowv1.Reporter{{SamplerAddress: ip(10, 9, 9, 1), InIf: 1}, {SamplerAddress: ip(10, 9, 9, 2), InIf: 2}},
		})...)
	}
	return value
}

func BenchmarkFlows(b *testing.B)   { benchmark(b, NewFlows(), benchFlows()) }
func BenchmarkBiflows(b *testing.B) { benchmark(b, NewBiflows(), benchBiflows()) }

// benchmark fills and takes blocks of 100 messages.
func benchmark(b *testing.B, builder Builder, value []byte) {
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := builder.Append(nil, value); err != nil {
			b.Fatal(err)
		}
		if i%100 == 99 {
			builder.Take()
		}
	}
	b.ReportMetric(float64(b.N)*benchRecords/b.Elapsed().Seconds(), "records/s")
}

// A record costs the allocations of its decoding, and none for its row.
func TestAllocations(t *testing.T) {
	builder := NewFlows()
	value := batch(&flowv1.Flow{SrcAddr: ip(10, 0, 0, 1), DstAddr: ip(10, 0, 0, 2), SamplerAddress: ip(10, 9, 9, 1), Bytes: 1, TimeReceivedNs: at(1)})
	for range 5000 {
		if _, err := builder.Append(nil, value); err != nil {
			t.Fatal(err)
		}
	}
	builder.Take()
	got := testing.AllocsPerRun(1000, func() {
		if _, err := builder.Append(nil, value); err != nil {
			t.Fatal(err)
		}
	})
	if got > 1 {
		t.Errorf("%v allocations per message of one record, want at most 1", got)
	}
}
