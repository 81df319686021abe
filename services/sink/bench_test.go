package main

import (
	"encoding/binary"
	"fmt"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// BenchmarkLedger writes cuts of 50 messages of 400 conversations, from wire
// bytes to rows in biflows, host_biflows and first_seen.
func BenchmarkLedger(b *testing.B) {
	l := newLedger(b)
	builder := mustBuilder(b, "biflows")
	id := uint64(0)
	const messages, records = 50, 400
	for cut := 0; b.Loop(); cut++ {
		for range messages {
			b.StopTimer()
			var value []byte
			for range records {
				id++
				value = flow.AppendDelimited(value, benchBiflow(id))
			}
			b.StartTimer()
			if _, err := builder.Append(nil, value); err != nil {
				b.Fatal(err)
			}
		}
		for _, block := range builder.Take() {
			if err := l.insert(b.Context(), fmt.Sprint(cut, block.Table), block); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)*messages*records/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkSmallCut is the delay that the smallest cut adds: three inserts.
func BenchmarkSmallCut(b *testing.B) {
	l := newLedger(b)
	builder := mustBuilder(b, "biflows")
	for cut := uint64(1); b.Loop(); cut++ {
		if _, err := builder.Append(nil, flow.AppendDelimited(nil, benchBiflow(cut))); err != nil {
			b.Fatal(err)
		}
		for _, block := range builder.Take() {
			if err := l.insert(b.Context(), fmt.Sprint(cut, block.Table), block); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func benchBiflow(id uint64) *flowv1.Biflow {
	at := 1789725600e9 + id*1e6
	return &flowv1.Biflow{
		FlowId: id * 0x9e3779b97f4a7c15, Version: 1, Proto: 6,
		ClientAddr: binary.BigEndian.AppendUint32(nil, 0x0a000000+uint32(id%5000)), ClientPort: uint32(1024 + id%60000),
		ServerAddr: binary.BigEndian.AppendUint32(nil, 0xc0000200+uint32(id%70)), ServerPort: 443,
		ClientBytes: id % 10000, ClientPackets: id % 100, ClientTcpFlags: 0x1b, ServerBytes: id % 1000000, ServerPackets: id % 1000, ServerTcpFlags: 0x1b,
		TimeFlowStartNs: at, TimeFlowEndNs: at + 1e9, TimeOpenedNs: at, TimeUpdatedNs: at + 2e9, Segments: 2,
		InitiatorEvidence: flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_TCP_FLAGS, InitiatorConfidence: 0.95,
		ConnState: flowv1.ConnState_CONN_STATE_ESTABLISHED, CloseReason: flowv1.CloseReason_CLOSE_REASON_FIN, SamplingRate: 1,
		Reporters: []*flowv1.Reporter{{SamplerAddress: []byte{10, 9, 9, 1}, InIf: 1}, {SamplerAddress: []byte{10, 9, 9, 2}, InIf: 2}},
	}
}
