package main

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

// TestMetricsPage: docs/reference/metrics.md lists what this service exports.
func TestMetricsPage(t *testing.T) {
	cfg := testConfig(t, startBroker(t))
	testkit.Metrics(t, "../..", "ingest", "flowledger_ingest_", func(r prometheus.Registerer) {
		in, err := newIngester(cfg, quiet(), r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(in.close)
	})
}
