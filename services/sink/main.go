// Command sink writes the log into the ledger: flows, conversations, names,
// events, alerts and what exporters say of themselves, each exactly once.
//
//	flows.deduped, biflows, alerts, events, dns, exporters ──▶ cuts ──▶ ClickHouse
package main

import (
	"context"

	"github.com/flowledger/flowledger/services/internal/run"
)

func main() {
	cfg := Default()
	run.Main(run.Service{
		Name:  "sink",
		Short: "Write the log into the ledger, exactly once",
		Long: `sink reads the topics that people hunt in and writes them into ClickHouse. The
ledger itself remembers how far each partition was written, and every insert
carries a token, so nothing is missing and nothing is there twice, whatever
crashes. Make the tables first: flowctl migrate. Run as many as you like; each
takes its share of the partitions.

  sink --kafka.brokers kafka:9092 --clickhouse.addr clickhouse:9000 --clickhouse.protocol native`,
		Config: &cfg,
		Start:  func(ctx context.Context, env *run.Env) error { return serve(ctx, &cfg, env) },
	})
}
