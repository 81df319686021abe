// Command detect judges conversations by rules and writes alerts.
package main

import (
	"context"

	"github.com/flowledger/flowledger/services/internal/run"
	"github.com/flowledger/flowledger/services/internal/stage"
)

func main() {
	cfg := Default()
	run.Main(run.Service{
		Name:  "detect",
		Short: "Judge conversations and raise alerts",
		Long: `detect reads biflows, runs its rules over every client, and writes alerts: OCSF
Detection Findings in JSON, one Kafka message each. Run as many as there are
partitions; a stopped or killed one is taken over from without loss.

  detect --kafka.brokers kafka:9092`,
		Config: &cfg,
		Start: func(ctx context.Context, env *run.Env) error {
			var health stage.Health
			cfg.Kafka.Health = &health
			env.ReadyWhen(health.Ready)
			return stage.Run(ctx, cfg.Kafka, spec(cfg, newMetrics(env.Metrics)), env.Metrics, env.Log)
		},
	})
}

// spec says what detect reads and writes.
func spec(cfg Config, m *metrics) stage.Spec {
	return stage.Spec{
		Name:    "detect",
		Epoch:   cfg.Epoch,
		Inputs:  []stage.Input{{Topic: stage.Biflows, From: "stitch"}},
		Outputs: []stage.OutputSpec{{Topic: stage.Alerts}},
		NewCore: func(partition int) stage.Core { return measure(cfg, partition, m) },
	}
}
