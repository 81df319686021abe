package main

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/flowledger/flowledger/services/internal/run"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/sink/rows"
	"github.com/flowledger/flowledger/services/sink/schema"
)

// serve runs the sink until ctx is done.
func serve(ctx context.Context, cfg *Config, env *run.Env) error {
	cfg.Kafka.Health = new(stage.Health)
	var waiting atomic.Pointer[error]
	env.ReadyWhen(func() error {
		if err := waiting.Load(); err != nil {
			return *err
		}
		return cfg.Kafka.Health.Ready()
	})
	conn, types, err := await(ctx, cfg.ClickHouse, env.Log, func(err error) { waiting.Store(&err) })
	if err != nil {
		return err
	}
	defer conn.Close()
	waiting.Store(nil)
	m := newMetrics(env.Metrics)
	dst := &destination{
		ledger: &ledger{conn: conn, types: types, metrics: m, log: env.Log, backoff: defaultBackoff},
		prefix: cfg.Kafka.TopicPrefix, cut: cfg.Cut, metrics: m, log: env.Log,
	}
	return stage.Drain(ctx, cfg.Kafka, "sink", rows.Topics(), dst, env.Metrics, env.Log)
}

// await opens the ledger, however long that takes: ClickHouse may start later
// than the sink, and the tables may be made later still.
func await(ctx context.Context, cfg schema.Config, log *slog.Logger, waiting func(error)) (driver.Conn, schema.Types, error) {
	for try := 0; ; try++ {
		conn, types, err := open(ctx, cfg)
		if err == nil {
			return conn, types, nil
		}
		waiting(err)
		pause := defaultBackoff.after(try)
		log.Warn("the ledger is not ready, trying again", "try", try+1, "pause", pause.String(), "error", err)
		if err := run.Pause(ctx, pause); err != nil {
			return nil, nil, err
		}
	}
}

func open(ctx context.Context, cfg schema.Config) (driver.Conn, schema.Types, error) {
	conn, err := schema.Connect(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	types, err := columns(ctx, conn, cfg)
	if err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	return conn, types, nil
}

func columns(ctx context.Context, conn driver.Conn, cfg schema.Config) (schema.Types, error) {
	if err := schema.Require(ctx, cfg); err != nil {
		return nil, err
	}
	return schema.Columns(ctx, conn)
}
