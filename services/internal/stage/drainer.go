package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// drain is a running Drain.
type drain struct {
	cfg     Config
	dst     Destination
	client  *client
	metrics *metrics
	log     *slog.Logger
	plain   map[string]bool // by catalogue name
}

// work leads one partition to the destination for one generation. Whatever fails
// is begun again at the stored position.
func (d *drain) work(ctx context.Context, a assignment) error {
	p := a.partitions[0]
	w := &drainWorker{drain: d, a: a, topic: strings.TrimPrefix(p.topic, d.cfg.TopicPrefix), partition: p.partition,
		log: d.log.With("topic", p.topic, "partition", p.partition)}
	for attempt := 0; ; attempt++ {
		progress, err := w.session(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errBeyond) {
			return err
		}
		if progress {
			attempt = 0
		}
		d.metrics.storeErrors.Inc()
		d.cfg.Health.pend(a.unit)
		w.log.Warn("the destination failed; going on from what it has stored", "error", err)
		if backoff(ctx, attempt) != nil {
			return nil
		}
	}
}

// drainWorker leads one partition.
type drainWorker struct {
	*drain
	a         assignment
	topic     string // catalogue name
	partition int
	log       *slog.Logger
	reader    *reader
	counted   tally
}

// session opens the destination and leads until something fails. progress tells
// whether a position was stored.
func (w *drainWorker) session(ctx context.Context) (progress bool, err error) {
	dst, pos, err := w.dst.Open(ctx, w.topic, w.partition)
	if err != nil {
		return false, fmt.Errorf("cannot open the destination: %w", err)
	}
	defer dst.Close()
	if err := w.begin(ctx, pos); err != nil {
		return false, err
	}
	w.cfg.Health.recovered(w.a.unit)
	fetching, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	f := &fetcher{client: w.client, topic: w.cfg.Topic(w.topic), partition: w.partition, plain: w.plain[w.topic], next: w.reader.next}
	chunks, tokens, failed := make(chan chunk), make(chan struct{}, fetchAhead), make(chan error, 1)
	for range fetchAhead {
		tokens <- struct{}{}
	}
	wg.Go(func() {
		if err := f.run(fetching, w.log, tokens, func(c chunk) bool {
			select {
			case chunks <- c:
				return true
			case <-fetching.Done():
				return false
			}
		}); err != nil {
			failed <- err
		}
	})
	for {
		select {
		case <-ctx.Done():
			return progress, ctx.Err()
		case err := <-failed:
			return progress, err
		case c := <-chunks:
			stored, err := w.lead(ctx, dst, &c)
			progress = progress || stored
			if err != nil {
				return progress, err
			}
			tokens <- struct{}{}
		}
	}
}

// begin makes the reader of a position.
func (w *drainWorker) begin(ctx context.Context, pos *Position) error {
	w.counted = tally{}
	w.reader = newReader()
	if pos != nil {
		return w.reader.restore(pos)
	}
	first, _, err := w.client.offsets(ctx, w.cfg.Topic(w.topic), w.partition)
	if err != nil {
		return err
	}
	if first > 0 {
		w.reader.skipTo(first)
	}
	return nil
}

// lead hands the messages of a chunk over; stored tells whether a position was
// stored among them. The group's offset follows the last one.
func (w *drainWorker) lead(ctx context.Context, dst Writer, c *chunk) (stored bool, err error) {
	r := w.reader
	if c.gap > 0 {
		w.metrics.dataLoss.Add(float64(c.gap))
		w.log.Error("offsets are gone before they were read: data is lost", "from", r.next, "count", c.gap)
		r.skipTo(r.next + c.gap)
	}
	next := int64(-1)
	for i := range c.messages {
		m := r.take(&c.messages[i])
		if m == nil {
			continue
		}
		m.Topic, m.Partition = w.topic, w.partition
		at := int64(-1)
		err = dst.Write(ctx, m, func() Position {
			at = r.next
			return r.position()
		})
		if err != nil {
			break
		}
		next = max(next, at)
	}
	w.observe(c)
	if next >= 0 {
		if e := w.a.generation.commit(map[string]map[int]int64{w.cfg.Topic(w.topic): {w.partition: next}}); e != nil {
			w.log.Info("the group did not take the offset", "error", e)
		}
	}
	return next >= 0, err
}

func (w *drainWorker) observe(c *chunk) {
	now := w.reader.tally
	w.metrics.add(now, w.counted)
	if lost := now.lost - w.counted.lost; lost > 0 {
		w.log.Error("records are missing between those that came: data is lost", "count", lost)
	}
	if bad := now.malformed - w.counted.malformed; bad > 0 {
		w.log.Warn("messages are none of ours and were passed over", "count", bad)
	}
	w.counted = now
	w.metrics.lag.WithLabelValues(w.topic, partitionLabel(w.partition)).Set(float64(max(0, c.end-w.reader.next)))
}
