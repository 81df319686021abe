package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/flowledger/flowledger/services/internal/run"
	"github.com/flowledger/flowledger/services/internal/stage/wire"
)

// fetcher reads one partition from an offset on, without a group.
type fetcher struct {
	client    *client
	topic     string // full name
	partition int
	plain     bool
	// next is the offset to read next.
	next int64
	// bytes is how much to read at a time, about; 0: fetchBytes.
	bytes int
	// atOnce tells that an empty chunk is an answer: nothing is there now.
	atOnce bool
	// paged tells that the reader of the messages releases their pages, so that their
	// memory is used again; then they have no fields.
	paged    bool
	unpacker wire.Unpacker
	fields   []field
	// doubts counts batches that were not what their checksum says.
	doubts int
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
	fetchBytes = 512 << 10
	fetchWait  = 500 * time.Millisecond
	// fetchPace is how often a partition is asked whose log was read to its end: every
	// message by itself would cost its reader a wake-up, and its own readers a request.
	fetchPace = 100 * time.Millisecond
)

// errBeyond says that a position lies behind the end of its log.
var errBeyond = errors.New("position is behind the end of the log")

// fetch reads the next messages; an idle log gives an empty chunk after a while.
func (f *fetcher) fetch(ctx context.Context) (chunk, error) { return f.fetchWithin(ctx, fetchWait) }

// fetchWithin waits so long for something.
func (f *fetcher) fetchWithin(ctx context.Context, wait time.Duration) (chunk, error) {
	res, err := f.client.fetch(ctx, &wire.Fetch{
		Topic: f.topic, Partition: f.partition, Offset: f.next,
		MaxBytes: cmp.Or(f.bytes, fetchBytes), MaxWait: min(wait, requestTimeout/2), Buffer: f.buffer,
	})
	switch {
	case err != nil:
		return chunk{}, fmt.Errorf("cannot read %s/%d: %w", f.topic, f.partition, err)
	case errors.Is(res.Err, kafka.OffsetOutOfRange):
		return f.outOfRange(ctx)
	case res.Err != nil:
		return chunk{}, fmt.Errorf("cannot read %s/%d at offset %d: %w", f.topic, f.partition, f.next, res.Err)
	}
	c := chunk{end: res.End}
	err = f.read(res.Records, &c)
	if err != nil && len(c.messages) == 0 {
		return chunk{}, fmt.Errorf("cannot read %s/%d at offset %d: %w", f.topic, f.partition, f.next, err)
	}
	return c, nil
}

// maxDoubts is how often a batch is asked for again whose checksum is wrong: it may have
// been damaged on its way.
const maxDoubts = 5

// errDamaged is a record batch that cannot be read however often it is asked for.
var errDamaged = errors.New("cannot read the record batch")

// pass makes one message of a batch that cannot be read, or of what is left of it: to
// wait for it would stop the partition for good. What came before goes first.
func (f *fetcher) pass(set []byte, why error, c *chunk) error {
	first, last, batch, ok := wire.Span(set)
	if len(c.messages) > 0 || !ok || first > f.next || last < f.next || last >= c.end {
		return why
	}
	if errors.Is(why, wire.ErrChecksum) {
		if f.doubts++; f.doubts < maxDoubts {
			return why
		}
	}
	f.doubts = 0
	c.messages = append(c.messages, message{offset: f.next, more: last - f.next, value: slices.Clone(batch), err: fmt.Errorf("%w: %w", errDamaged, why)})
	f.next = last + 1
	return nil
}

// buffer gives room: such that is used again, if messages tell when they are done with.
func (f *fetcher) buffer(n int) []byte {
	if f.paged {
		return buffers.get(n)
	}
	return make([]byte, n)
}

// read takes the records of a response; it stops before a hole, which the next
// fetch will look at from its beginning, and before a batch that cannot be read.
func (f *fetcher) read(set []byte, c *chunk) error {
	f.unpacker.Buffer = f.buffer
	whole := f.page(set)
	defer whole.release()
	for {
		b, rest, ok, err := f.unpacker.Next(set)
		if err != nil {
			return f.pass(set, err, c)
		}
		if !ok {
			return nil
		}
		in := whole
		if b.Packed {
			in = f.page(b.Memory)
		}
		more, err := f.batch(&b, in, c)
		if b.Packed {
			in.release()
		}
		if err != nil {
			return f.pass(set, err, c)
		}
		if !more {
			return nil
		}
		set = rest
	}
}

// page is where messages lie, held until release; nil where they do not tell when they
// are done with.
func (f *fetcher) page(b []byte) *page {
	if !f.paged {
		return nil
	}
	p := &page{b: b}
	p.refs.Store(1)
	return p
}

// batch takes the records of one batch, which lie in a page; more is false at a hole.
func (f *fetcher) batch(b *wire.Batch, in *page, c *chunk) (more bool, err error) {
	for {
		r, ok, err := b.Next()
		switch {
		case err != nil:
			return false, err
		case !ok:
			return true, nil
		case r.Offset < f.next: // batches may begin before what was asked for
			continue
		case r.Offset > f.next && len(c.messages) > 0:
			return false, nil
		}
		c.gap += r.Offset - f.next
		m := message{offset: r.Offset, time: time.UnixMilli(r.Time), key: r.Key, value: r.Value, page: in}
		m.fields = f.headers(&r)
		_ = m.parse(f.plain) // the message keeps its error for the reader to count
		if f.paged {
			in.refs.Add(1)
			m.fields = nil // they are used again for the next
		}
		c.messages = append(c.messages, m)
		f.next = r.Offset + 1
	}
}

// headers are those of a record, valid until the next call where messages are paged.
func (f *fetcher) headers(r *wire.Record) []field {
	fields := f.fields[:0]
	if !f.paged {
		fields = make([]field, 0, r.HeaderCount())
	}
	r.EachHeader(func(key, value []byte) { fields = append(fields, field{headerName(key), value}) })
	if f.paged {
		f.fields = fields
	}
	return fields
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

// run fetches until the context ends: one chunk per token. The error is one that no
// repetition cures.
func (f *fetcher) run(ctx context.Context, log *slog.Logger, tokens <-chan struct{}, deliver func(chunk) bool) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tokens:
		}
		began := time.Now()
		c, err := f.some(ctx, log)
		if err != nil || !deliver(c) {
			return err
		}
		if f.atOnce || f.next < c.end {
			continue
		}
		if rest := fetchPace - time.Since(began); rest > 0 && run.Pause(ctx, rest) != nil {
			return nil
		}
	}
}

// some fetches until there is something, or the context ends; at once with what there
// is, if there is no waiting.
func (f *fetcher) some(ctx context.Context, log *slog.Logger) (chunk, error) {
	wait := fetchWait
	if f.atOnce {
		wait = 0
	}
	for attempt := 0; ; {
		c, err := f.fetchWithin(ctx, wait)
		switch {
		case ctx.Err() != nil:
			return chunk{}, nil
		case err == nil && (len(c.messages) > 0 || c.gap > 0 || f.atOnce):
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
