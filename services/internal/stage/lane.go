package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/flowledger/flowledger/services/internal/stage/wire"
)

// lane writes to one partition: one request in flight, repeated until it succeeds,
// so that order is kept and nothing is left out. Repetitions may write a message
// twice; readers know it by its number.
type lane struct {
	client    *client
	topic     string // full name
	partition int
	source    []byte
	metrics   *metrics
	log       *slog.Logger
	// acked is told of every request that succeeded.
	acked func(ack)
	// fields and headers are of the message that is put into a request.
	fields  []field
	headers []byte

	mu    sync.Mutex
	queue []outgoing
	// put counts the messages that were ever queued, done those acknowledged.
	put, done int64
	wake      chan struct{} // holds one token while there may be something to write
}

// ack is the broker's answer to one request.
type ack struct {
	bytes int64
	// at is the broker's clock when it wrote, zero if it does not tell; sent and
	// answered are ours around it.
	at, sent, answered time.Time
}

// requestBytes bounds what goes into one request; brokers refuse batches above
// 1 MiB by default, and a message is at most maxBatchBytes.
const requestBytes = 900 << 10

// headerBytes is about how much a message's headers take.
const headerBytes = 128

// add queues a message and tells by how many bytes the queue has grown. A mark
// that is still waiting is replaced by a newer one.
func (l *lane) add(m outgoing) (grown int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.queue); n > 0 && m.count == 0 && l.queue[n-1].count == 0 &&
		l.queue[n-1].bye == "" && l.queue[n-1].seq == m.seq {
		l.queue[n-1] = m
		return 0
	}
	l.queue = append(l.queue, m)
	l.put++
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return m.size()
}

// position is the number of messages queued so far; wait for it with reached.
func (l *lane) position() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.put
}

func (l *lane) reached(position int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done >= position
}

// run writes what is queued until the context ends. The error is of a message
// that can never be written.
func (l *lane) run(ctx context.Context) error {
	for {
		batch := l.next()
		if len(batch) == 0 {
			select {
			case <-ctx.Done():
				return nil
			case <-l.wake:
			}
			continue
		}
		if err := l.write(ctx, batch); err != nil {
			if ctx.Err() != nil {
				l.putBack(batch)
				return nil
			}
			return err
		}
	}
}

// putBack queues a request again that was given up, for whoever asks what is left.
func (l *lane) putBack(batch []outgoing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(batch, l.queue...)
}

// next takes the messages of one request off the queue.
func (l *lane) next() []outgoing {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, size := 0, int64(0)
	for n < len(l.queue) && (n == 0 || size+l.queue[n].size() <= requestBytes) {
		size += l.queue[n].size()
		n++
	}
	if n == len(l.queue) {
		batch := l.queue
		l.queue = nil
		return batch
	}
	batch := l.queue[:n:n]
	l.queue = l.queue[n:]
	return batch
}

// write repeats a request until the broker has it.
func (l *lane) write(ctx context.Context, batch []outgoing) error {
	request := requests.get()
	l.fill(request, batch)
	for attempt := 0; ; attempt++ {
		sent := time.Now()
		res, err := l.client.produce(ctx, request)
		if err == nil {
			requests.put(request)
			l.finish(batch, ack{at: time.UnixMilli(res.AppendTime), sent: sent, answered: time.Now()})
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.InvalidTopic) {
			return fmt.Errorf("cannot write to %s/%d: %w; max.message.bytes of the topic must be at least 1 MiB", l.topic, l.partition, err)
		}
		l.metrics.retries.Inc()
		if attempt%10 == 3 {
			l.log.Warn("cannot write, still trying", "topic", l.topic, "partition", l.partition, "attempt", attempt+1, "error", err)
		}
		if err := backoff(ctx, attempt); err != nil {
			return err
		}
	}
}

// fill writes messages into a request.
func (l *lane) fill(request *wire.Produce, batch []outgoing) {
	size := 0
	for i := range batch {
		size += int(batch[i].size()) + headerBytes
	}
	request.Begin(l.topic, l.partition, l.client.compression, requestTimeout/2, size)
	for i := range batch {
		m := &batch[i]
		l.fields = append(m.appendFields(l.fields[:0], l.source), m.fields...)
		l.headers = l.headers[:0]
		for _, f := range l.fields {
			l.headers = wire.AppendHeader(l.headers, f.key, f.value)
		}
		request.Add(m.key, m.value, l.headers, len(l.fields))
	}
	request.End(time.Now())
}

// finish counts what was written.
func (l *lane) finish(batch []outgoing, a ack) {
	count := 0
	for i := range batch {
		a.bytes += batch[i].size()
		count += batch[i].count
		if batch[i].pooled {
			buffers.put(batch[i].value)
		}
	}
	l.metrics.recordsOut.Add(float64(count))
	l.mu.Lock()
	l.done += int64(len(batch))
	l.mu.Unlock()
	l.acked(a)
}
