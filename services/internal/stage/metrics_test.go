package stage

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

// TestMetricsPage: docs/reference/metrics.md lists what every service exports of its
// work on Kafka.
func TestMetricsPage(t *testing.T) {
	cfg := Default()
	testkit.Metrics(t, "../../..", "stage", "flowledger_stage_", func(r prometheus.Registerer) {
		s, err := NewSource(cfg, "ingest/page", []string{Events}, SourceOptions{Spool: SpoolOptions{Dir: t.TempDir(), MaxBytes: 1 << 20}}, r, testLog(t))
		if err != nil {
			t.Fatal(err)
		}
		s.client.close()
	})
}
