package stage

import (
	"errors"
	"sync"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// Feed is one goroutine's way into a Source. What feeds append belongs to the tick
// that EndTick ends next; within a partition it is numbered feed by feed, in the
// order in which the feeds were made, and within a feed as it was appended.
type Feed struct {
	source *Source

	mu  sync.Mutex
	out *Output
	// open is the bytes in out, unasked those of them since room was asked for.
	open, unasked int64
}

// askBytes is after how many bytes a feed asks whether there is still room: the
// answer costs a lock that all feeds share.
const askBytes = 16 << 10

// Partitions is the number of partitions of a topic, by index.
func (f *Feed) Partitions(topic int) int { return f.source.counts[topic] }

// Append adds a record to the open tick, with Source.Append's errors.
func (f *Feed) Append(topic, partition int, m flow.Message) error {
	if err := f.lock(); err != nil {
		return err
	}
	defer f.mu.Unlock()
	before := f.out.batchBytes(topic, partition)
	f.out.Append(topic, partition, m)
	f.grown(f.out.batchBytes(topic, partition), before)
	return nil
}

// AppendMessage adds a record that is a message of its own, as Source.AppendMessage does.
func (f *Feed) AppendMessage(topic, partition int, key, value []byte, headers ...Header) error {
	if err := f.lock(); err != nil {
		return err
	}
	defer f.mu.Unlock()
	f.out.AppendMessage(topic, partition, key, value)
	f.out.attach(topic, partition, headers)
	f.grown(len(key)+len(value)+messageBytes, 0)
	return nil
}

// messageBytes is what a message counts for beside its key and value.
const messageBytes = 64

// batchBytes is how long the last batch of a partition is.
func (o *Output) batchBytes(topic, partition int) int {
	batches := o.topics[topic][partition].batches
	if len(batches) == 0 {
		return 0
	}
	return len(batches[len(batches)-1].value)
}

// grown counts what was appended: to the batch that had been so long before, or
// to a new one.
func (f *Feed) grown(now, before int) {
	n := int64(now)
	if now > before {
		n -= int64(before)
	}
	f.open += n
	if f.unasked += n; f.unasked >= askBytes {
		f.source.open.Add(f.unasked)
	}
}

// lock locks the feed once a record can be taken, or tells why none can.
func (f *Feed) lock() error {
	for {
		f.mu.Lock()
		if f.unasked < askBytes && !f.source.gone.Load() {
			return nil
		}
		changed, err := f.source.room()
		if err == nil {
			f.unasked = 0
			return nil
		}
		f.mu.Unlock()
		if !errors.Is(err, ErrQueueFull) {
			return err
		}
		if !f.source.block {
			f.source.m.dropped.Inc()
			return err
		}
		select {
		case <-changed:
		case <-f.source.stopped:
		}
	}
}

// take hands over what was appended, by topic and partition.
func (f *Feed) take(to [][][]outBatch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.out.take(func(t, p int, b *outBatch, _ bool) { to[t][p] = append(to[t][p], *b) })
	if f.unasked < askBytes {
		f.source.open.Add(f.unasked)
	}
	f.source.open.Add(-f.open)
	f.open, f.unasked = 0, 0
}

func (f *Feed) anyOpen() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open > 0
}

// room tells why no record can be taken, and what to wait for.
func (s *Source) room() (changed <-chan struct{}, err error) {
	if s.gone.Load() {
		return nil, s.ended()
	}
	if s.spooler != nil {
		return nil, nil
	}
	full, changed := s.writer.full()
	// The open tick counts too, but a blocking source must be let to end its tick.
	if full || !s.block && s.writer.would(s.open.Load()) {
		return changed, ErrQueueFull
	}
	return nil, nil
}

func (s *Source) ended() error {
	if err := s.runErr.Load(); err != nil && *err != nil {
		return *err
	}
	return ErrClosed
}
