package main

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// TestWhatCannotBeReadIsCounted by why, and takes nothing else along.
func TestWhatCannotBeReadIsCounted(t *testing.T) {
	m := newMetrics(prometheus.NewRegistry())
	core, out := measure(Default(), 0, m), stage.NewOutput(4)
	good := flow.AppendDelimited(nil, scan(1)[0])
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
	testkit.Metrics(t, "../..", "detect", "flowledger_detect_", func(r prometheus.Registerer) { newMetrics(r) })
}
