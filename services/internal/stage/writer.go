package stage

import (
	"context"
	"log/slog"
	"sync"

	"golang.org/x/sync/errgroup"
)

// writer is all the lanes of one source: of one partition of a stage, or of one
// ingester. Lanes go in parallel; each keeps its order.
type writer struct {
	lanes   [][]*lane // [topic][partition], nil where the source never writes
	metrics *metrics
	limit   int64

	mu     sync.Mutex
	queued int64
	// changed is closed, and replaced, whenever something was acknowledged.
	changed chan struct{}
	heard   func(ack)
}

// writerPlan says what a source writes to.
type writerPlan struct {
	source string // with its epoch
	topics []writerTopic
}

type writerTopic struct {
	name       string // full name
	partitions int
	only       int // the one partition that is written to; negative: all
}

func newWriter(c *client, p writerPlan, limit int64, m *metrics, log *slog.Logger) *writer {
	w := &writer{metrics: m, limit: limit, changed: make(chan struct{})}
	for _, t := range p.topics {
		lanes := make([]*lane, t.partitions)
		for i := range lanes {
			if t.only >= 0 && t.only != i {
				continue
			}
			lanes[i] = &lane{client: c, topic: t.name, partition: i, source: []byte(p.source),
				metrics: m, log: log, acked: w.acked, wake: make(chan struct{}, 1)}
		}
		w.lanes = append(w.lanes, lanes)
	}
	return w
}

// put queues a message.
func (w *writer) put(topic, partition int, m outgoing) {
	w.mu.Lock()
	grown := w.lanes[topic][partition].add(m)
	w.queued += grown
	w.metrics.queueBytes.Add(float64(grown))
	w.mu.Unlock()
}

func (w *writer) acked(a ack) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queued -= a.bytes
	w.metrics.queueBytes.Sub(float64(a.bytes))
	close(w.changed)
	w.changed = make(chan struct{})
	if w.heard != nil {
		w.heard(a)
	}
}

// full tells whether more is queued than should be, and what to wait for.
func (w *writer) full() (bool, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queued >= w.limit, w.changed
}

// would tells whether the queue would be too full with so many bytes more.
func (w *writer) would(more int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.queued+more >= w.limit
}

// positions are the places behind all that is queued now.
func (w *writer) positions() (at []int64) {
	for _, lanes := range w.lanes {
		for _, l := range lanes {
			if l != nil {
				at = append(at, l.position())
			}
		}
	}
	return at
}

// reached waits until everything before the positions is acknowledged.
func (w *writer) reached(ctx context.Context, at []int64) error {
	for {
		w.mu.Lock()
		changed := w.changed
		w.mu.Unlock()
		if w.has(at) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (w *writer) has(at []int64) bool {
	i := 0
	for _, lanes := range w.lanes {
		for _, l := range lanes {
			if l == nil {
				continue
			}
			if !l.reached(at[i]) {
				return false
			}
			i++
		}
	}
	return true
}

// run writes until the context ends, or until a message can never be written.
func (w *writer) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, lanes := range w.lanes {
		for _, l := range lanes {
			if l != nil {
				g.Go(func() error { return l.run(ctx) })
			}
		}
	}
	return g.Wait()
}

// awaitRoom waits while too much is queued.
func (w *writer) awaitRoom(ctx context.Context) error {
	for {
		full, changed := w.full()
		if !full {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}
