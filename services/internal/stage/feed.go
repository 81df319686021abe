package stage

import (
	"errors"
	"sync"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// Feed is one goroutine's way into a Source. What feeds append belongs to the tick
// that EndTick ends next; within a partition it is numbered as it was appended within
// a feed, and between feeds as their batches are full, or in the order in which the
// feeds were made.
type Feed struct {
	source *Source

	mu   sync.Mutex
	open Open
	// told is the part of the bytes in open that the source has been told of.
	told int64
	// ask tells that much was appended since room was asked for.
	ask bool
}

// Open is the open tick as one who appends much at once sees it: see Feed.Batch.
type Open struct{ out *Output }

// askBytes is after how many bytes a feed asks whether there is still room: the
// answer costs a lock that all feeds share.
const askBytes = 16 << 10

// Partitions is the number of partitions of a topic, by index.
func (f *Feed) Partitions(topic int) int { return f.source.counts[topic] }

// Append adds a record to the open tick, with Source.Append's errors.
func (f *Feed) Append(topic, partition int, m flow.Message) error {
	return f.Batch(func(to *Open) error { return to.Append(topic, partition, m) })
}

// AppendMessage adds a record that is a message of its own, as Source.AppendMessage does.
func (f *Feed) AppendMessage(topic, partition int, key, value []byte, headers ...Header) error {
	return f.Batch(func(to *Open) error { return to.AppendMessage(topic, partition, key, value, headers...) })
}

// Batch has many records appended under one lock, all to the same tick: say says
// them. They should not be more than some hundred kilobytes, since whether there is
// room for them is asked once, before. The errors are Source.Append's, and say's.
func (f *Feed) Batch(say func(to *Open) error) error {
	if err := f.lock(); err != nil {
		return err
	}
	err := say(&f.open)
	if n := f.open.out.bytes; n-f.told >= askBytes {
		f.source.open.Add(n - f.told)
		f.told = n
		f.ask = true
	}
	cut := f.open.out.cut
	f.mu.Unlock()
	if cut {
		f.source.ship(f)
	}
	return err
}

// Partitions is the number of partitions of a topic, by index.
func (o *Open) Partitions(topic int) int { return o.out.Partitions(topic) }

// Append adds a record; there is no error.
func (o *Open) Append(topic, partition int, m flow.Message) error {
	o.out.Append(topic, partition, m)
	return nil
}

// AppendFlows adds flows that are written already, each to the partition of its
// conversation.
func (o *Open) AppendFlows(topic int, flows []flow.Encoded) { o.out.AppendFlows(topic, flows) }

// AppendMessage adds a record that is a message of its own, as Source.AppendMessage
// does; there is no error.
func (o *Open) AppendMessage(topic, partition int, key, value []byte, headers ...Header) error {
	o.out.AppendMessage(topic, partition, key, value)
	o.out.attach(topic, partition, headers)
	return nil
}

// lock locks the feed once a record can be taken, or tells why none can.
func (f *Feed) lock() error {
	for {
		f.mu.Lock()
		if !f.ask && !f.source.gone.Load() {
			return nil
		}
		changed, err := f.source.room()
		if err == nil {
			f.ask = false
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
	f.open.out.take(func(t, p int, b *outBatch, _ bool) { to[t][p] = append(to[t][p], *b) })
	f.source.open.Add(-f.told)
	f.told, f.ask = 0, false
}

// takeFull hands over the batches that are full.
func (f *Feed) takeFull(to func(t, p int, b *outBatch)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open.out.takeFull(to)
	n := f.open.out.bytes
	f.source.open.Add(n - f.told)
	f.told = n
}

func (f *Feed) anyOpen() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open.out.bytes > 0
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
