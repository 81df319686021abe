package stage

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/internal/spool"
)

// SpoolOptions say where a source keeps what Kafka does not take. The zero value
// is no spool.
type SpoolOptions struct {
	Dir      string
	MaxBytes int64
	// After is for how long Kafka may leave everything unanswered before what comes
	// next is safer on disk.
	After time.Duration
}

// spooler is a source's way to Kafka by disk: once Kafka stalls, all that the
// source says goes to the spool, and from there to the lanes, in order, until the
// spool is empty. What a former process left there goes first, under its name.
//
//	seal ─┬──────── usual ────────▶ lanes
//	      ╰─▶ spool ─▶ drain ─▶ lanes (ours, or of a former process)
type spooler struct {
	source *Source
	spool  *spool.Spool
	after  time.Duration
	log    *slog.Logger

	spooledRecords prometheus.Counter

	// The following belong to Source.mu.
	on      bool
	began   time.Time
	frame   []byte
	records int
	// marks are the last words about ticks in which nothing was said, one per
	// partition: the next ones replace them.
	marks [][]*outgoing

	mu sync.Mutex
	// wake holds a token when the spool has come into use.
	wake chan struct{}
	// idle is closed while the spool is not in use.
	idle chan struct{}
}

// spoolFrame is after how many bytes a frame is written.
const spoolFrame = 1 << 20

func newSpooler(s *Source, o SpoolOptions, reg prometheus.Registerer, log *slog.Logger) (*spooler, error) {
	r := registry{reg, prometheus.Labels{"stage": "source"}}
	lost := r.counter("spool_lost_records_total", "Records dropped, oldest first, because the spool or the disk was full. They are gaps to the readers (lost_total).")
	sp := &spooler{source: s, after: o.After, log: log, wake: make(chan struct{}, 1), idle: make(chan struct{}),
		spooledRecords: r.counter("spooled_records_total", "Records that went by disk, because Kafka did not take them.")}
	var err error
	sp.spool, err = spool.Open(spool.Options{Dir: o.Dir, MaxBytes: o.MaxBytes, Owner: s.name, Log: log,
		Lost: func(n int64, _ string) { lost.Add(float64(n)) }})
	if err != nil {
		return nil, err
	}
	register(reg, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: "spool_bytes",
		Help: "What waits on disk.", ConstLabels: r.labels}, func() float64 { return float64(sp.spool.Bytes()) }))
	for _, n := range s.counts {
		sp.marks = append(sp.marks, make([]*outgoing, n))
	}
	if !sp.spool.Empty() {
		log.Info("a former process left records for Kafka: they go first", "bytes", sp.spool.Bytes())
		sp.begin()
	} else {
		close(sp.idle)
	}
	return sp, nil
}

func (sp *spooler) begin() {
	sp.on, sp.began = true, time.Now()
	sp.wake <- struct{}{}
}

// consider begins to spool where Kafka has stalled. Source.mu is held.
func (sp *spooler) consider() {
	s := sp.source
	if sp.on {
		return
	}
	full, _ := s.writer.full()
	if !full && (s.QueuedBytes() == 0 || !sp.stalled(s.started)) {
		return
	}
	sp.mu.Lock()
	sp.idle = make(chan struct{})
	sp.mu.Unlock()
	sp.begin()
	sp.log.Warn("Kafka does not take records: they go to the spool", "queued", s.QueuedBytes())
}

// put takes a message instead of its lane. Source.mu is held.
func (sp *spooler) put(t, p int, m outgoing) {
	if m.count == 0 && m.bye == "" {
		sp.marks[t][p] = &m
		return
	}
	sp.marks[t][p] = nil // this message tells of its tick itself
	if m.bye != "" {
		sp.spillMarks()
	}
	sp.add(t, p, &m)
	if m.pooled {
		putBuffer(m.value)
	}
}

func (sp *spooler) add(t, p int, m *outgoing) {
	sp.frame = (&spooled{topic: sp.source.topics[t], partition: p, outgoing: *m}).append(sp.frame)
	sp.records += m.count
	if len(sp.frame) >= spoolFrame {
		sp.flush()
	}
}

// flush writes what was put. Source.mu is held.
func (sp *spooler) flush() {
	if len(sp.frame) > 0 {
		sp.spool.Append(sp.frame, sp.records)
		sp.spooledRecords.Add(float64(sp.records))
	}
	sp.frame, sp.records = sp.frame[:0], 0
}

// spillMarks has the marks that wait written with the next frame.
func (sp *spooler) spillMarks() {
	for t := range sp.marks {
		for p, m := range sp.marks[t] {
			if m != nil {
				sp.marks[t][p] = nil
				sp.add(t, p, m)
			}
		}
	}
}

// run leads what is spooled to the lanes, until the context ends.
func (sp *spooler) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sp.wake:
		}
		if err := sp.drain(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// drain empties the spool, then lets the source speak to its lanes again.
func (sp *spooler) drain(ctx context.Context) error {
	var old *former
	defer func() { old.close() }()
	for {
		seg := sp.spool.Take()
		if seg == nil {
			if sp.end() {
				return nil
			}
			continue
		}
		put, reached := sp.source.putSpooled, sp.source.writer
		if seg.Owner != sp.source.name {
			if old == nil || old.name != seg.Owner {
				old.close()
				old = sp.source.former(ctx, seg.Owner)
			}
			put, reached = old.put, old.writer
		}
		if err := sp.send(ctx, seg, put, reached); err != nil {
			return err
		}
		if old != nil && old.name == seg.Owner && !sp.spool.More(seg.Owner) {
			old.sayBye()
		}
		if err := reached.reached(ctx, reached.positions()); err != nil {
			return err
		}
		if _, err := sp.spool.Remove(seg); err != nil {
			return err
		}
	}
}

// send puts a segment's messages into their lanes as these have room.
func (sp *spooler) send(ctx context.Context, seg *spool.Segment, put func(*spooled) error, w *writer) error {
	err := seg.Each(func(frame []byte) error {
		for len(frame) > 0 {
			m, rest, err := nextSpooled(frame)
			if err != nil {
				return err
			}
			if err := w.awaitRoom(ctx); err != nil {
				return err
			}
			if err := put(&m); err != nil {
				return err
			}
			frame = rest
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		sp.log.Error("part of the spool is lost", "error", err)
		return nil
	}
	return err
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

// end closes the detour if nothing was spooled meanwhile.
func (sp *spooler) end() bool {
	s := sp.source
	s.mu.Lock()
	defer s.mu.Unlock()
	sp.flush()
	if !sp.spool.Empty() {
		return false
	}
	for t := range sp.marks {
		for p, m := range sp.marks[t] {
			if m != nil {
				s.writer.put(t, p, *m)
				sp.marks[t][p] = nil
			}
		}
	}
	sp.on = false
	close(sp.idle)
	sp.log.Info("Kafka has all that was spooled", "after", time.Since(sp.began).Round(time.Millisecond).String())
	return true
}

// stalled tells whether Kafka has not answered for long, since the given time.
func (sp *spooler) stalled(since time.Time) bool {
	return time.Since(since) > sp.after && !sp.source.clock.answeredAfter(time.Now().Add(-sp.after))
}

// whileAnswering is a context that ends when Kafka has stalled: who has a spool
// need not wait for it to come back.
func (sp *spooler) whileAnswering(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	from := time.Now()
	go func() {
		defer cancel()
		check := time.NewTicker(max(sp.after/10, time.Millisecond))
		defer check.Stop()
		for !sp.stalled(from) {
			select {
			case <-ctx.Done():
				return
			case <-check.C:
			}
		}
	}()
	return ctx, cancel
}

// empty waits until the spool is not in use.
func (sp *spooler) empty(ctx context.Context) error {
	sp.mu.Lock()
	idle := sp.idle
	sp.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-idle:
		return nil
	}
}

// putSpooled puts a message of this process's own into its lane.
func (s *Source) putSpooled(m *spooled) error {
	t, err := s.indexOf(m.topic)
	if err != nil {
		return err
	}
	if m.partition >= s.counts[t] {
		return fmt.Errorf("%w: %s has no partition %d", errSpooled, m.topic, m.partition)
	}
	s.writer.put(t, m.partition, m.outgoing)
	return nil
}
