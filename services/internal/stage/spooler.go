package stage

import (
	"context"
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
	// copied is on disk and in the lanes; it is set before wake is told.
	copied *spool.Segment

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
	sp.copyQueue()
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
		buffers.put(m.value)
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
