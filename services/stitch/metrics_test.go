package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// TestCountersMoveOnce: what a core counts is exported once, also when its
// snapshot, which may hold the counters, is taken up again.
func TestCountersMoveOnce(t *testing.T) {
	m := newMetrics(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	core, out := measure(Default(), 0, m), stage.NewOutput(4)
	at := eventtime.Tick(100).Ns()
	batch := flow.AppendDelimited(nil, &flowv1.Flow{
		SrcAddr: []byte{10, 0, 0, 1}, DstAddr: []byte{10, 0, 0, 2}, SrcPort: 4000, DstPort: 443, Proto: flow.ProtoTCP,
		Bytes: 1000, Packets: 10, SamplerAddress: []byte{192, 0, 2, 1},
		TimeReceivedNs: at, TimeFlowStartNs: at, TimeFlowEndNs: at,
	})
	core.Tick(100, []stage.Batch{{Value: batch}}, out)
	if got := testutil.ToFloat64(m.flows); got != 1 {
		t.Errorf("flows_total is %v, want 1", got)
	}
	if got := testutil.ToFloat64(m.open.WithLabelValues("0")); got != 1 {
		t.Errorf("%v remembered, want 1", got)
	}

	again := measure(Default(), 0, m)
	if err := again.Restore(core.AppendSnapshot(nil)); err != nil {
		t.Fatal(err)
	}
	again.Tick(101, nil, out)
	if got := testutil.ToFloat64(m.flows); got != 1 {
		t.Errorf("after a recovery flows_total is %v, want 1", got)
	}
}

// TestEvictionsAreCountedAndTold: once a tick, however many there are.
func TestEvictionsAreCountedAndTold(t *testing.T) {
	var log bytes.Buffer
	m := newMetrics(prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&log, nil)))
	cfg := Default()
	cfg.Stitch.MaxConversations = 4
	core, out := measure(cfg, 7, m), stage.NewOutput(4)
	for tick := eventtime.Tick(100); tick < 103; tick++ {
		var batch []byte
		for port := range uint32(4) {
			batch = flow.AppendDelimited(batch, &flowv1.Flow{
				SrcAddr: []byte{10, 0, 0, 1}, DstAddr: []byte{10, 0, 0, 2}, SrcPort: 4000 + port + uint32(tick%2)*100, DstPort: 443,
				Proto: flow.ProtoUDP, Bytes: 1000, Packets: 10, SamplerAddress: []byte{192, 0, 2, 1}, RecordId: uint64(tick)<<8 + uint64(port),
				TimeReceivedNs: tick.Ns(), TimeFlowStartNs: tick.Ns(), TimeFlowEndNs: tick.Ns(),
			})
		}
		core.Tick(tick, []stage.Batch{{Value: batch}}, out)
	}
	if got := testutil.ToFloat64(m.evicted); got != 8 {
		t.Errorf("evicted_total is %v, want 8", got)
	}
	// All four go on in the third tick; one of four that may be open is remembered.
	if got := testutil.ToFloat64(m.continued); got != 1 {
		t.Errorf("continued_total is %v, want 1", got)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 2 || !strings.Contains(log.String(), "partition=7 closed=4 open=4") {
		t.Errorf("the log has %d lines, want 2:\n%s", lines, log.String())
	}
}

// TestWhatCannotBeReadIsCounted by why, and takes nothing else along.
func TestWhatCannotBeReadIsCounted(t *testing.T) {
	m := newMetrics(prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	core, out := measure(Default(), 0, m), stage.NewOutput(4)
	good := flow.AppendDelimited(nil, &flowv1.Flow{SrcAddr: []byte{10, 0, 0, 1}, DstAddr: []byte{10, 0, 0, 2}, Proto: flow.ProtoUDP, TimeReceivedNs: eventtime.Tick(100).Ns()})
	undecodable := append([]byte{2, 0x0b, 0x0b}, good...) // a group that does not end
	in := []stage.Batch{{Value: undecodable}, {Value: undecodable}, {Value: good[:len(good)-1]}}
	core.Tick(100, in, out)
	core.Tick(101, nil, out)
	if undecodable, truncated := testutil.ToFloat64(m.unreadable.Undecodable), testutil.ToFloat64(m.unreadable.Truncated); undecodable != 2 || truncated != 1 {
		t.Errorf("%v undecodable, %v truncated, want 2 and 1", undecodable, truncated)
	}
}

// TestMetricsPage: docs/reference/metrics.md lists what this service exports.
func TestMetricsPage(t *testing.T) {
	testkit.Metrics(t, "../..", "stitch", "flowledger_stitch_", func(r prometheus.Registerer) { newMetrics(r, slog.New(slog.DiscardHandler)) })
}
