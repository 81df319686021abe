package stage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/run"
)

// Errors of a Source.
var (
	// ErrQueueFull says that Kafka does not take records as fast as they come; the
	// record was not taken, and is the caller's to count.
	ErrQueueFull = errors.New("the queue to Kafka is full")
	// ErrClosed says that the source has said goodbye.
	ErrClosed = errors.New("the source is closed")
)

// SourceOptions are what sources differ in.
type SourceOptions struct {
	// Block makes Append and AppendMessage wait while the queue is full, instead
	// of refusing.
	Block bool
	// Spool is where records go that Kafka does not take; then neither happens.
	Spool SpoolOptions
}

// Source writes records that come from outside (ingest, flowctl publish) as the
// source of one timeline: numbered, in ticks, in order.
//
//	feed: Append … Append ─╮
//	feed: Append … Append ─┼─▶ EndTick(t) ─▶ numbered batches of tick t, marks where nothing was said ─▶ lanes
//
// It is safe for concurrent use; records that are appended while EndTick runs
// belong to the one tick or the other.
type Source struct {
	cfg   Config
	name  string
	block bool

	client  *client
	writer  *writer
	m       *metrics
	log     *slog.Logger
	clock   clock
	plan    writerPlan
	started time.Time
	spooler *spooler // nil without a spool

	topics []string // catalogue names
	counts []int    // partitions per topic
	own    *Feed
	open   atomic.Int64 // bytes in the open tick, to within askBytes per feed
	// gone tells that nothing is taken any more: Close was called or Run has ended.
	gone atomic.Bool

	mu     sync.Mutex
	feeds  []*Feed
	sealed [][][]outBatch // of the tick that is being sealed, by topic and partition
	seqs   [][]int64
	plain  []bool // topics of plain messages get no marks
	tick   eventtime.Tick
	// begun is the open tick where OpenTick has named it, else beforeAll; shipped tells
	// that some of it is queued.
	begun   eventtime.Tick
	shipped bool
	closed  bool
	// stopped is closed when Run has ended: nobody writes any more.
	stopped chan struct{}
	// bye is closed when the last word, which is last, is queued.
	bye      chan struct{}
	last     string
	farewell time.Duration
	runErr   atomic.Pointer[error] // why Run has ended
}

// NewSource makes a source. The name must be new for every start, since its
// numbers begin at 0: ingest/<boot id>. Topics are named as in the catalogue;
// Append speaks of them by their index. Run must be running for anything to be written.
func NewSource(cfg Config, name string, topics []string, opts SourceOptions, reg prometheus.Registerer, log *slog.Logger) (*Source, error) {
	plan := writerPlan{source: name}
	var counts []int
	var plain []bool
	for _, t := range topics {
		n := cfg.PartitionsOf(t)
		if n == 0 {
			return nil, fmt.Errorf("cannot write to topic %q: it is not in the catalogue", t)
		}
		counts = append(counts, n)
		entry, _ := TopicNamed(t)
		plain = append(plain, entry.Plain)
		plan.topics = append(plan.topics, writerTopic{name: cfg.Topic(t), partitions: n, only: -1})
	}
	s := &Source{cfg: cfg, name: name, block: opts.Block, client: cfg.client(), m: newMetrics(reg, "source"),
		log: log, plan: plan, started: time.Now(), topics: topics, counts: counts, plain: plain, tick: beforeAll, begun: beforeAll, stopped: make(chan struct{}), bye: make(chan struct{}),
		farewell: farewell}
	for _, n := range counts {
		s.seqs = append(s.seqs, make([]int64, n))
		s.sealed = append(s.sealed, make([][]outBatch, n))
	}
	s.own = s.Feed()
	s.writer = newWriter(s.client, plan, int64(cfg.QueueBytes), s.m, log)
	s.writer.heard = func(a ack) { s.clock.add(a, s.m) }
	if opts.Spool.Dir != "" {
		var err error
		if s.spooler, err = newSpooler(s, opts.Spool, reg, log); err != nil {
			s.client.close()
			return nil, err
		}
	}
	return s, nil
}

// Partitions is the number of partitions of a topic, by index.
func (s *Source) Partitions(topic int) int { return s.counts[topic] }

// Append adds a record to the open tick. The errors are ErrQueueFull (only if the
// source does not block) and ErrClosed, or why Run has ended.
func (s *Source) Append(topic, partition int, m flow.Message) error {
	return s.own.Append(topic, partition, m)
}

// AppendMessage adds a record that is a message of its own (a dead letter), with
// headers that say what it is. Key and value are the source's from now on.
func (s *Source) AppendMessage(topic, partition int, key, value []byte, headers ...Header) error {
	return s.own.AppendMessage(topic, partition, key, value, headers...)
}

// Header is a message header of the caller's.
type Header struct{ Key, Value string }

// Feed makes another way into the source, so that several goroutines can append
// without waiting for each other.
func (s *Source) Feed() *Feed {
	f := &Feed{source: s, open: Open{NewOutput(s.counts...)}}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.feeds = append(s.feeds, f)
	return f
}

// OpenTick names the tick to which belongs what is appended from now on, up to its
// EndTick. Then batches that are full need not wait for its end: the tick takes less
// memory, and Kafka gets it piece by piece.
func (s *Source) OpenTick(tick eventtime.Tick) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if tick <= s.tick {
		panic(fmt.Sprintf("BUG: tick %d is opened after tick %d", tick, s.tick))
	}
	s.begun = tick
}

// ship queues what is full of the open tick.
func (s *Source) ship(f *Feed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.begun == beforeAll || s.closed {
		return // then it goes with the end of the tick
	}
	defer s.writer.flush()
	put := s.way()
	s.shipped = true
	f.takeFull(func(t, p int, b *outBatch) { put(t, p, s.number(t, p, s.begun, b)) })
}

// way is where messages go now: to their lanes, or into the spool.
func (s *Source) way() func(t, p int, m outgoing) {
	if s.spooler != nil {
		if s.spooler.consider(); s.spooler.on {
			return s.spooler.put
		}
	}
	return s.writer.queue
}

// number makes a batch the next message of a partition.
func (s *Source) number(t, p int, tick eventtime.Tick, b *outBatch) outgoing {
	m := outgoing{header: header{seq: s.seqs[t][p], tick: tick}, key: b.key, value: b.value, count: b.count, fields: b.fields, pooled: !b.plain}
	s.seqs[t][p] += int64(b.count)
	return m
}

// EndTick seals the open tick: its records are numbered and queued, every
// partition of every topic that got none is told of the tick. Ticks must rise;
// one that does not is a mistake of the caller. It does not wait, and takes the
// tick however full the queue is.
func (s *Source) EndTick(tick eventtime.Tick) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if tick <= s.tick {
		return fmt.Errorf("BUG: tick %d does not come after tick %d", tick, s.tick)
	}
	s.seal(tick, "")
	return nil
}

// seal queues the open tick. Topics of plain messages (dead letters) get no marks:
// nobody waits for them.
func (s *Source) seal(tick eventtime.Tick, bye string) {
	first := s.tick == beforeAll
	s.tick, s.begun, s.shipped = tick, beforeAll, false
	for _, f := range s.feeds {
		f.take(s.sealed)
	}
	defer s.writer.flush()
	put := s.writer.queue
	if !first { // the announcement waits for nobody
		put = s.way()
	}
	if s.spooler != nil {
		defer s.spooler.flush()
	}
	for t := range s.sealed {
		for p, batches := range s.sealed[t] {
			s.queue(t, p, tick, bye, batches, put)
			clear(batches)
			s.sealed[t][p] = batches[:0]
		}
	}
}

// queue numbers what was said to one partition and hands it on.
func (s *Source) queue(t, p int, tick eventtime.Tick, bye string, batches []outBatch, put func(t, p int, m outgoing)) {
	if s.plain[t] {
		bye = ""
	}
	for i := range batches {
		m := s.number(t, p, tick, &batches[i])
		if m.end = i == len(batches)-1; m.end {
			m.bye = bye
		}
		put(t, p, m)
	}
	if len(batches) == 0 && !s.plain[t] {
		m := mark(s.seqs[t][p], tick)
		m.bye = bye
		put(t, p, m)
	}
}

// Close says goodbye on every partition (ByeStop or ByeEndOfInput), with what the
// open tick holds, and waits until Kafka has everything or the context ends. Run
// returns then. With a spool, what Kafka has not got when Run ends is kept there.
func (s *Source) Close(ctx context.Context, bye string) error {
	if err := s.sayBye(bye); err != nil {
		return err
	}
	select {
	case <-s.stopped:
	case <-ctx.Done():
		if s.spooler == nil {
			return fmt.Errorf("cannot say goodbye to Kafka: %w", ctx.Err())
		}
		<-s.stopped // Run's context ends with ours: it has only to spool
	}
	return *s.runErr.Load()
}

func (s *Source) sayBye(bye string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.closed = true
	s.gone.Store(true)
	tick := s.tick
	if s.anyOpen() || s.shipped || tick == beforeAll {
		tick = max(tick+1, s.begun, 1)
	}
	s.seal(tick, bye)
	s.last = bye
	close(s.bye)
	return nil
}

// anyOpen tells whether anything was appended since the last tick.
func (s *Source) anyOpen() bool {
	return slices.ContainsFunc(s.feeds, (*Feed).anyOpen)
}

// Run writes what is queued until Close has been said and written, or the context
// ends. It first waits for the topics to be there with the right partitions.
func (s *Source) Run(ctx context.Context) (err error) {
	defer func() {
		err = errors.Join(err, s.keepRest())
		s.runErr.Store(&err)
		s.gone.Store(true)
		close(s.stopped)
		s.client.close()
	}()
	if reached, err := s.check(ctx); !reached {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group.Go(func() error { return s.writer.run(ctx) })
	if s.spooler != nil {
		group.Go(func() error { return s.spooler.run(ctx) })
	}
	group.Go(func() error {
		defer cancel()
		return s.lastWord(ctx)
	})
	return group.Wait()
}

// lastWord returns when Close was said and Kafka has everything, or the context
// has ended.
func (s *Source) lastWord(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.bye:
	}
	if s.spooler != nil {
		var cancel context.CancelFunc
		ctx, cancel = s.spooler.whileAnswering(ctx)
		defer cancel()
		if s.spooler.empty(ctx) != nil {
			return nil
		}
	}
	_ = s.writer.reached(ctx, s.writer.positions()) // else the context has ended
	return nil
}

// keepRest spools what has not been written when nobody writes any more.
func (s *Source) keepRest() error {
	if s.spooler == nil {
		return nil
	}
	defer s.spooler.spool.Close()
	bytes, err := s.spooler.keep()
	if err != nil {
		return err
	}
	if bytes > 0 {
		s.log.Warn("Kafka has not taken everything: the rest waits in the spool for the next start", "bytes", bytes)
	}
	return nil
}

// check waits for Kafka and its topics, until the context ends, or a stop is said and
// Kafka, which has never answered, still does not: only without a spool is that an
// error, since what was said is lost.
func (s *Source) check(ctx context.Context) (reached bool, err error) {
	ctx, cancel := s.whileWanted(ctx)
	defer cancel()
	for {
		err := awaitTopics(ctx, s.client, &s.cfg, s.writer.topics)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(context.Cause(ctx), errNeverReached) && s.spooler == nil:
			return false, errNeverReached
		case ctx.Err() != nil:
			return false, nil
		case s.spooler == nil || wrongPartitions(err):
			return false, err
		}
		s.log.Warn("cannot reach Kafka, still trying", "error", err)
	}
}

// errNeverReached ends the wait for a Kafka that has not answered since the start.
var errNeverReached = errors.New("cannot reach Kafka: what was received since the start is lost")

// farewell is for how long a Kafka that has never answered is waited for once a stop
// is said: it may have come up just now.
const farewell = 3 * time.Second

// whileWanted is a context that ends a while after a stop is said.
func (s *Source) whileWanted(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-ctx.Done():
			return
		case <-s.bye:
		}
		if s.last == ByeStop && run.Pause(ctx, s.farewell) == nil {
			cancel(errNeverReached)
		}
	}()
	return ctx, func() { cancel(nil) }
}

// ClockOffset is the broker's clock minus ours, by its answers of the last
// requests, the quickest of which tells best. Ours is the wall clock at the start
// of the process moved on by the monotonic one, so add it to a time that came
// about in the same way. ok is false until an answer tells
// the time: the embedded broker's never does.
func (s *Source) ClockOffset() (offset time.Duration, ok bool) { return s.clock.offset() }

// QueuedBytes is how much waits to be acknowledged.
func (s *Source) QueuedBytes() int64 {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	return s.writer.queued
}

// Connected tells whether Kafka answered lately: after the given time.
func (s *Source) Connected(since time.Time) bool { return s.clock.answeredAfter(since) }
