package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	chproto "github.com/ClickHouse/clickhouse-go/v2/lib/proto"

	"github.com/flowledger/flowledger/services/internal/run"
	"github.com/flowledger/flowledger/services/sink/rows"
	"github.com/flowledger/flowledger/services/sink/schema"
)

// ledger inserts blocks into ClickHouse.
type ledger struct {
	conn    driver.Conn
	types   schema.Types
	metrics *metrics
	log     *slog.Logger
	backoff backoff
}

// insert implements store: it tries until ClickHouse has the block or ctx ends.
// The outcome of a failed try is unknown; the token makes the next one harmless.
func (l *ledger) insert(ctx context.Context, token string, b rows.Block) error {
	for try := 0; ; try++ {
		begin := time.Now()
		err := l.send(ctx, token, b)
		if err == nil {
			l.metrics.inserted(b, time.Since(begin))
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.metrics.failures.WithLabelValues(b.Table, failure(err)).Inc()
		pause := l.backoff.after(try)
		l.log.Warn("insert failed, trying again", "table", b.Table, "rows", b.Rows, "token", token, "try", try+1, "pause", pause.String(), "error", err)
		if err := run.Pause(ctx, pause); err != nil {
			return err
		}
	}
}

// send inserts the block once: one native block, acknowledged when it is stored.
func (l *ledger) send(ctx context.Context, token string, b rows.Block) error {
	names, types, err := l.describe(b)
	if err != nil {
		return err
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithColumnNamesAndTypes(types), clickhouse.WithSettings(clickhouse.Settings{
		"insert_deduplication_token": token,
		"insert_deduplicate":         1,
		"async_insert":               0,
		// An exporter with a wrong clock must not stop the ledger.
		"max_partitions_per_insert_block": 0,
	}))
	batch, err := l.conn.PrepareBatch(ctx, "INSERT INTO "+b.Table+" ("+names+")")
	if err != nil {
		return fmt.Errorf("cannot begin an insert into %s: %w", b.Table, err)
	}
	defer batch.Close()
	for i, c := range b.Columns {
		if err := appendColumn(batch.Column(i), c.Values); err != nil {
			return fmt.Errorf("cannot fill column %s of %s: %w", c.Name, b.Table, err)
		}
	}
	if err := batch.Send(); err != nil {
		return fmt.Errorf("cannot insert into %s: %w", b.Table, err)
	}
	return nil
}

// describe is the column list of an INSERT, and the columns' types.
func (l *ledger) describe(b rows.Block) (names string, types []clickhouse.ColumnNameAndType, err error) {
	quoted := make([]string, 0, len(b.Columns))
	types = make([]clickhouse.ColumnNameAndType, 0, len(b.Columns))
	for _, c := range b.Columns {
		t, ok := l.types[b.Table][c.Name]
		if !ok {
			return "", nil, fmt.Errorf("the ledger has no column %s in %s; run: flowctl migrate", c.Name, b.Table)
		}
		quoted = append(quoted, "`"+c.Name+"`")
		types = append(types, clickhouse.ColumnNameAndType{Name: c.Name, Type: t})
	}
	return strings.Join(quoted, ","), types, nil
}

// failure sorts errors into few kinds, for the metric.
func failure(err error) string {
	var e *chproto.Exception
	switch {
	case errors.As(err, &e):
		return "clickhouse"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	}
	return "connection"
}
