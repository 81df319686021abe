package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/sink/rows"
)

// destination is the ledger as the drain of the log sees it.
type destination struct {
	ledger  *ledger
	prefix  string
	cut     Cut
	metrics *metrics
	log     *slog.Logger
}

// Open implements stage.Destination.
func (d *destination) Open(ctx context.Context, topic string, partition int) (stage.Writer, *stage.Position, error) {
	builder, err := rows.For(topic)
	if err != nil {
		return nil, nil, err
	}
	at, err := d.ledger.position(ctx, d.prefix+topic, partition)
	if err != nil {
		return nil, nil, err
	}
	w := &writer{
		topic: d.prefix + topic, partition: partition,
		builder: builder,
		cutter:  cutter{Cut: d.cut, eager: topic == stage.Alerts},
		store:   d.ledger,
		metrics: d.metrics.partition(topic, partition),
		log:     d.log.With("topic", d.prefix+topic, "partition", partition),
		now:     time.Now,
	}
	if at != nil {
		w.start, w.started = at.Next, true
	}
	return w, at, nil
}

// position is how far a partition was written; nil if it never was.
func (l *ledger) position(ctx context.Context, topic string, partition int) (*stage.Position, error) {
	found, err := l.conn.Query(ctx,
		"SELECT next, sources FROM offsets WHERE topic = $1 AND partition = $2 ORDER BY next DESC LIMIT 1", topic, uint32(partition))
	if err != nil {
		return nil, fmt.Errorf("cannot read the offset of %s/%d in the ledger: %w", topic, partition, err)
	}
	defer found.Close()
	var at *stage.Position
	for found.Next() {
		var next uint64
		var sources string
		if err := found.Scan(&next, &sources); err != nil {
			return nil, fmt.Errorf("cannot read the offset of %s/%d in the ledger: %w", topic, partition, err)
		}
		at = &stage.Position{Next: int64(next), Sources: []byte(sources)}
	}
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("cannot read the offset of %s/%d in the ledger: %w", topic, partition, err)
	}
	return at, nil
}
