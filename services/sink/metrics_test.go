package main

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

// TestMetricsPage: docs/reference/metrics.md lists what this service exports.
func TestMetricsPage(t *testing.T) {
	testkit.Metrics(t, "../..", "sink", "flowledger_sink_", func(r prometheus.Registerer) { newMetrics(r) })
}
