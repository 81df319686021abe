// Command stitch pairs flows into conversations that have a client and a server.
package main

import (
	"context"

	"github.com/flowledger/flowledger/services/internal/run"
	"github.com/flowledger/flowledger/services/internal/stage"
)

func main() {
	cfg := Default()
	run.Main(run.Service{
		Name:  "stitch",
		Short: "Pair flows into client/server conversations",
		Long: `stitch reads flows.deduped, pairs both directions, adds segments up until the
conversation ends, says who is the client and how sure that is, and writes biflows.
Servers that the policy declares (flowctl policy) are known to it.
Run as many as there are partitions; a stopped or killed one is taken over from
without loss.

  stitch --kafka.brokers kafka:9092`,
		Config: &cfg,
		Start: func(ctx context.Context, env *run.Env) error {
			var health stage.Health
			cfg.Kafka.Health = &health
			env.ReadyWhen(health.Ready)
			return stage.Run(ctx, cfg.Kafka, spec(cfg, newMetrics(env.Metrics, env.Log)), env.Metrics, env.Log)
		},
	})
}

// spec says what stitch reads and writes.
func spec(cfg Config, m *metrics) stage.Spec {
	return stage.Spec{
		Name:    "stitch",
		Epoch:   cfg.Epoch,
		Inputs:  []stage.Input{{Topic: stage.FlowsDeduped, From: "dedup", Aligned: true}},
		Outputs: []stage.OutputSpec{{Topic: stage.Biflows, Ticks: true}},
		Policy:  true,
		NewCore: func(partition int) stage.Core { return measure(cfg, partition, m) },
	}
}
