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
	if got := testutil.ToFloat64(m.reports); got != 1 {
		t.Errorf("reports_total is %v, want 1", got)
	}
	if got := testutil.ToFloat64(m.flows.WithLabelValues("0")); got != 1 {
		t.Errorf("%v remembered, want 1", got)
	}

	again := measure(Default(), 0, m)
	if err := again.Restore(core.AppendSnapshot(nil)); err != nil {
		t.Fatal(err)
	}
	again.Tick(101, nil, out)
	if got := testutil.ToFloat64(m.reports); got != 1 {
		t.Errorf("after a recovery reports_total is %v, want 1", got)
	}
}

// TestSharingIsToldOnce, however often it is found.
func TestSharingIsToldOnce(t *testing.T) {
	var log bytes.Buffer
	m := newMetrics(prometheus.NewRegistry(), slog.New(slog.NewTextHandler(&log, nil)))
	core, out := measure(Default(), 7, m), stage.NewOutput(8)
	tick := eventtime.Tick(100)
	for n := range uint32(1000) {
		var batch []byte
		for exporter := range uint32(2) {
			batch = flow.AppendDelimited(batch, &flowv1.Flow{
				SrcAddr: []byte{10, 0, 0, 1}, DstAddr: []byte{10, 0, 0, 2}, SrcPort: 4000 + n, DstPort: 443,
				Proto: flow.ProtoUDP, Bytes: 1000, Packets: uint64(10 + 3*exporter), SamplerAddress: []byte{192, 0, 2, byte(2 - exporter)},
				TimeReceivedNs: tick.Ns(), TimeFlowStartNs: tick.Ns(), TimeFlowEndNs: tick.Ns(), RecordId: uint64(2*n + exporter),
			})
		}
		core.Tick(tick, []stage.Batch{{Value: batch}}, out)
		tick++
	}
	if got := testutil.ToFloat64(m.sharing.WithLabelValues("7")); got != 1 {
		t.Errorf("sharing_exporters is %v, want 1", got)
	}
	if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), "exporter=192.0.2.1 other=192.0.2.2 compared=50 unlike=50") {
		t.Errorf("the log is\n%s", log.String())
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
	testkit.Metrics(t, "../..", "dedup", "flowledger_dedup_", func(r prometheus.Registerer) { newMetrics(r, slog.New(slog.DiscardHandler)) })
}
