// Command dedup turns the reports that several exporters make of one flow into one
// flow with one authority and all reporters.
package main

import (
	"context"

	"github.com/flowledger/flowledger/services/internal/run"
	"github.com/flowledger/flowledger/services/internal/stage"
)

func main() {
	cfg := Default()
	run.Main(run.Service{
		Name:  "dedup",
		Short: "Turn the reports of several exporters into one flow each",
		Long: `dedup reads flows.raw, holds each flow for a moment, takes the counts of one
observation point and the names of all, and writes flows.deduped. Run as many
as there are partitions; a stopped or killed one is taken over from without loss.

  dedup --kafka.brokers kafka:9092`,
		Config: &cfg,
		Start: func(ctx context.Context, env *run.Env) error {
			var health stage.Health
			cfg.Kafka.Health = &health
			env.ReadyWhen(health.Ready)
			return stage.Run(ctx, cfg.Kafka, spec(cfg, newMetrics(env.Metrics, env.Log)), env.Metrics, env.Log)
		},
	})
}

// spec says what dedup reads and writes.
func spec(cfg Config, m *metrics) stage.Spec {
	return stage.Spec{
		Name:    "dedup",
		Epoch:   cfg.Epoch,
		Inputs:  []stage.Input{{Topic: stage.FlowsRaw}},
		Outputs: []stage.OutputSpec{{Topic: stage.FlowsDeduped, Ticks: true, Aligned: true}},
		NewCore: func(partition int) stage.Core { return measure(cfg, partition, m) },
	}
}
