package stage

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flowledger/flowledger/services/internal/stage/wire"
)

// writer is all the lanes of one source: of one partition of a stage, or of one
// ingester. What waits at a moment for partitions of one broker goes in one request.
//
//	lane ─╮
//	lane ─┼─ by leader ─▶ request ─▶ broker
//	lane ─╯
type writer struct {
	client  *client
	source  []byte    // with its epoch
	topics  []string  // full names
	lanes   [][]*lane // [topic][partition], nil where the source never writes
	metrics *metrics
	log     *slog.Logger
	limit   int64
	// wake holds a token while there may be something to write.
	wake chan struct{}

	mu     sync.Mutex // of the lanes, too
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

// ack is the broker's answer to one request.
type ack struct {
	// at is the broker's clock when it wrote, zero if it does not tell; sent and
	// answered are ours around it.
	at, sent, answered time.Time
}

// sendBytes bounds the messages of one request, for several partitions.
const sendBytes = 4 << 20

func newWriter(c *client, p writerPlan, limit int64, m *metrics, log *slog.Logger) *writer {
	w := &writer{client: c, source: []byte(p.source), metrics: m, log: log, limit: limit,
		wake: make(chan struct{}, 1), changed: make(chan struct{})}
	for _, t := range p.topics {
		lanes := make([]*lane, t.partitions)
		for i := range lanes {
			if t.only < 0 || t.only == i {
				lanes[i] = &lane{topic: t.name, partition: i}
			}
		}
		w.topics = append(w.topics, t.name)
		w.lanes = append(w.lanes, lanes)
	}
	return w
}

// queue queues a message, which may wait until flush.
func (w *writer) queue(topic, partition int, m outgoing) {
	w.mu.Lock()
	grown := w.lanes[topic][partition].add(m)
	w.queued += grown
	w.metrics.queueBytes.Add(float64(grown))
	w.mu.Unlock()
}

// flush has sent what is queued.
func (w *writer) flush() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// put sends a message.
func (w *writer) put(topic, partition int, m outgoing) {
	w.queue(topic, partition, m)
	w.flush()
}

// run writes until the context ends, or until a message can never be written.
func (w *writer) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for {
		for _, boxes := range w.requests(ctx) {
			group.Go(func() error { return w.send(ctx, boxes) })
		}
		select {
		case <-ctx.Done():
			return group.Wait()
		case <-w.wake:
		}
	}
}

// requests takes what can be sent now: by the leaders of its partitions, a request each.
func (w *writer) requests(ctx context.Context) (all [][]outbox) {
	boxes := w.ready()
	if len(boxes) == 0 {
		return nil
	}
	leaders := w.client.conns.Leaders(ctx, w.topics)
	type open struct {
		at   int // index into all
		size int64
	}
	filling := map[int32]*open{}
	for _, b := range boxes {
		leader := leaders.Of(b.topic, b.partition)
		o := filling[leader]
		if o == nil || o.size+b.size > sendBytes {
			o = &open{at: len(all)}
			filling[leader] = o
			all = append(all, nil)
		}
		all[o.at] = append(all[o.at], b)
		o.size += b.size
	}
	return all
}

// ready takes what can be sent from each lane that sends nothing.
func (w *writer) ready() (boxes []outbox) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.each(func(l *lane) {
		if !l.busy && len(l.queue) > 0 {
			size := l.take()
			boxes = append(boxes, outbox{lane: l, batch: l.queue[:l.sent:l.sent], size: size})
		}
	})
	return boxes
}

// send makes a request. What the broker does not take waits a little, and may then go
// again. The error is of a message that can never be written.
func (w *writer) send(ctx context.Context, boxes []outbox) error {
	a := ack{sent: time.Now()}
	written, err := w.client.produce(ctx, w.client.compression, len(boxes), sizeOf(w.client.compression, boxes), func(r *wire.Produce) {
		for i := range boxes {
			boxes[i].fill(r, w.source)
		}
	})
	a.answered = time.Now()
	var done, failed []*lane
	attempts := 0
	for i, b := range boxes {
		refused := err
		if err == nil {
			refused = written[i].Err
		}
		switch {
		case refused == nil:
			done = append(done, b.lane)
			a.at = time.UnixMilli(written[i].AppendTime)
			continue
		case ctx.Err() != nil:
			continue
		case hopeless(refused):
			return cannotWrite(b.topic, b.partition, refused)
		}
		w.metrics.retries.Inc()
		if b.attempts%10 == 3 {
			w.log.Warn("cannot write, still trying", "topic", b.topic, "partition", b.partition, "attempt", b.attempts+1, "error", refused)
		}
		attempts = max(attempts, b.attempts)
		failed = append(failed, b.lane)
	}
	if len(done) > 0 {
		w.acknowledged(done, a)
	}
	if len(failed) > 0 && backoff(ctx, attempts) == nil {
		w.again(failed)
	}
	w.flush()
	return nil
}

// sizeOf is about what a request copies.
func sizeOf(codec wire.Codec, boxes []outbox) (size int) {
	for i := range boxes {
		size += int(boxes[i].size) + headerBytes*len(boxes[i].batch)
		for k := range boxes[i].batch {
			if n := len(boxes[i].batch[k].value); wire.Lent(codec, n) {
				size -= n
			}
		}
	}
	return size
}

// acknowledged counts what was written.
func (w *writer) acknowledged(lanes []*lane, a ack) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range lanes {
		bytes, records := l.acknowledged()
		w.queued -= bytes
		w.metrics.queueBytes.Sub(float64(bytes))
		w.metrics.recordsOut.Add(float64(records))
	}
	close(w.changed)
	w.changed = make(chan struct{})
	if w.heard != nil {
		w.heard(a)
	}
}

// again lets lanes send what was not taken.
func (w *writer) again(lanes []*lane) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range lanes {
		l.failed()
	}
}

// each visits the lanes by topic and partition.
func (w *writer) each(f func(l *lane)) {
	for _, lanes := range w.lanes {
		for _, l := range lanes {
			if l != nil {
				f(l)
			}
		}
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
	w.mu.Lock()
	defer w.mu.Unlock()
	w.each(func(l *lane) { at = append(at, l.put) })
	return at
}

// reached waits until everything before the positions is acknowledged.
func (w *writer) reached(ctx context.Context, at []int64) error {
	for {
		has, changed := w.has(at)
		if has {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

func (w *writer) has(at []int64) (has bool, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := 0
	has = true
	w.each(func(l *lane) {
		has = has && l.done >= at[i]
		i++
	})
	return has, w.changed
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
