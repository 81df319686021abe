package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/sink/rows"
)

// store inserts one block, once and for all: a token that was inserted before
// makes it do nothing. It returns only when ClickHouse has the block, or ctx ends.
type store interface {
	insert(ctx context.Context, token string, b rows.Block) error
}

// writer writes the log of one partition. See cutter for where it cuts.
//
//	messages ──Append──▶ builder ──cut──▶ one insert per table ──▶ offsets
//
// The offset goes last: if it is there, all is. If it is not, whoever comes next
// reads the same messages again, makes the same cut, and the same tokens.
type writer struct {
	topic     string // with its prefix
	partition int
	builder   rows.Builder
	cutter    cutter
	store     store
	metrics   *partitionMetrics
	log       *slog.Logger
	now       func() time.Time
	// start is the offset of the first message of the open cut.
	start   int64
	started bool
}

// Write implements stage.Writer.
func (w *writer) Write(ctx context.Context, m *stage.Message, after func() stage.Position) error {
	if !w.started {
		w.start, w.started = m.Offset, true
	}
	n, err := w.builder.Append(m.Key, m.Value)
	w.metrics.records.Add(float64(n))
	if err != nil {
		w.metrics.unreadable.Inc()
		w.log.Debug("message left out", "offset", m.Offset, "error", err)
	}
	if !w.cutter.due(m, w.builder.Rows()) {
		return nil
	}
	return w.cut(ctx, m, after())
}

// Close implements stage.Writer. What was not cut is read again by the next owner.
func (w *writer) Close() { w.metrics.close() }

func (w *writer) cut(ctx context.Context, m *stage.Message, behind stage.Position) error {
	for _, b := range append(w.builder.Take(), w.offset(behind)) {
		token := fmt.Sprintf("%s/%d/%d-%d/%s", w.topic, w.partition, w.start, m.Offset, b.Table)
		if err := w.store.insert(ctx, token, b); err != nil {
			return err
		}
	}
	w.metrics.stored(behind.Next, w.now().Sub(logTime(m)))
	w.cutter.done()
	w.start = behind.Next
	return nil
}

// offset is the row by which the ledger remembers how far it has come.
func (w *writer) offset(behind stage.Position) rows.Block {
	return rows.Block{Table: "offsets", Rows: 1, Columns: []rows.Column{
		{Name: "topic", Values: []string{w.topic}},
		{Name: "partition", Values: []uint32{uint32(w.partition)}},
		{Name: "next", Values: []uint64{uint64(behind.Next)}},
		{Name: "sources", Values: []string{string(behind.Sources)}},
	}}
}
