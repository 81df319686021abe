package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/segmentio/kafka-go"
)

// fetcher reads one partition from an offset on, without a group.
type fetcher struct {
	client    *client
	topic     string // full name
	partition int
	plain     bool
	// next is the offset to read next.
	next int64
}

// chunk is what one fetch brought, in log order and without a hole.
type chunk struct {
	messages []message
	// gap is how many offsets are missing before the first message: retention, or a
	// topic that was tampered with.
	gap int64
	// end is the offset behind the last message of the log.
	end int64
}

const (
	fetchBytes = 2 << 20
	fetchWait  = 500 * time.Millisecond
)

// errBeyond says that a position lies behind the end of its log.
var errBeyond = errors.New("position is behind the end of the log")

// fetch reads the next messages; an idle log gives an empty chunk after a while.
func (f *fetcher) fetch(ctx context.Context) (chunk, error) {
	res, err := f.client.Fetch(ctx, &kafka.FetchRequest{
		Topic: f.topic, Partition: f.partition, Offset: f.next,
		MinBytes: 1, MaxBytes: fetchBytes, MaxWait: fetchWait,
	})
	switch {
	case err != nil:
		return chunk{}, fmt.Errorf("cannot fetch %s/%d: %w", f.topic, f.partition, err)
	case errors.Is(res.Error, kafka.OffsetOutOfRange):
		return f.outOfRange(ctx)
	case res.Error != nil:
		return chunk{}, fmt.Errorf("cannot fetch %s/%d: %w", f.topic, f.partition, res.Error)
	}
	c := chunk{end: res.HighWatermark}
	err = f.read(res.Records, &c)
	if err != nil && len(c.messages) == 0 {
		return chunk{}, fmt.Errorf("cannot read %s/%d at offset %d: %w", f.topic, f.partition, f.next, err)
	}
	return c, nil
}

// read takes the records of a response; it stops before a hole, which the next
// fetch will look at from its beginning.
func (f *fetcher) read(records kafka.RecordReader, c *chunk) error {
	stopped := false
	for {
		r, err := records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		m, err := f.message(r)
		switch {
		case err != nil:
			return err
		case stopped, m.offset < f.next: // batches may begin before what was asked for
			continue
		case m.offset > f.next && len(c.messages) > 0:
			stopped = true
			continue
		}
		c.gap += m.offset - f.next
		_ = m.parse(f.plain) // the message keeps its error for the reader to count
		c.messages = append(c.messages, m)
		f.next = m.offset + 1
	}
}

// message copies a record out of the response's pages.
func (f *fetcher) message(r *kafka.Record) (m message, err error) {
	m.offset, m.time = r.Offset, r.Time
	if m.key, err = take(r.Key); err != nil {
		return m, err
	}
	if m.value, err = take(r.Value); err != nil {
		return m, err
	}
	m.fields = make([]field, len(r.Headers))
	for i, h := range r.Headers {
		m.fields[i] = field{h.Key, h.Value}
	}
	return m, nil
}

func take(b kafka.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	defer b.Close()
	return kafka.ReadAll(b)
}

// outOfRange goes on at the first offset that is left, and says what is missing.
func (f *fetcher) outOfRange(ctx context.Context) (chunk, error) {
	first, end, err := f.client.offsets(ctx, f.topic, f.partition)
	if err != nil {
		return chunk{}, err
	}
	if f.next > end {
		return chunk{}, fmt.Errorf("%w: %s/%d ends at %d, wanted is %d; was the topic deleted and made anew? Start with a new kafka.topic_prefix, or restore the topic",
			errBeyond, f.topic, f.partition, end, f.next)
	}
	c := chunk{end: end}
	if first > f.next {
		c.gap, f.next = first-f.next, first
	}
	return c, nil
}

// run fetches until the context ends: one chunk per token, empty ones do not count.
// The error is one that no repetition cures.
func (f *fetcher) run(ctx context.Context, log *slog.Logger, tokens <-chan struct{}, deliver func(chunk) bool) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tokens:
		}
		c, err := f.some(ctx, log)
		if err != nil || !deliver(c) {
			return err
		}
	}
}

// some fetches until there is something, or the context ends.
func (f *fetcher) some(ctx context.Context, log *slog.Logger) (chunk, error) {
	for attempt := 0; ; {
		c, err := f.fetch(ctx)
		switch {
		case ctx.Err() != nil:
			return chunk{}, nil
		case err == nil && (len(c.messages) > 0 || c.gap > 0):
			return c, nil
		case err == nil:
			attempt = 0
			continue
		}
		if attempt++; errors.Is(err, errBeyond) && attempt > 20 {
			return chunk{}, err
		}
		if attempt%10 == 3 {
			log.Warn("cannot read, still trying", "topic", f.topic, "partition", f.partition, "attempt", attempt, "error", err)
		}
		if backoff(ctx, attempt) != nil {
			return chunk{}, nil
		}
	}
}
