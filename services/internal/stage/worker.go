package stage

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// worker runs one partition of a stage through one generation of the group.
//
//	fetchers ─chunks─▶ loop: engine.accept, engine.step ─▶ lanes ─▶ Kafka
//	                     ╰─ now and then: snapshot ─ when all before it is acknowledged ─▶ state log ─▶ group offset
type worker struct {
	*stageRun
	plan   plan
	a      assignment
	log    *slog.Logger
	state  *stateLog
	engine *engine
	writer *writer
	// tokens let the fetchers of the inboxes go on.
	tokens   []chan struct{}
	withheld []int
	// asked is the tick for which the policies are being read, asking that they are;
	// ask lets their fetcher go on.
	asked  eventtime.Tick
	asking bool
	ask    chan struct{}
	// policyVersion is the policy that was told of.
	policyVersion int64
	// counted is what the metrics know already.
	counted tally
	// since counts records since the last snapshot; changed tells whether any
	// message came.
	since   int64
	changed bool
	// due tells that a snapshot is to be taken. storing is the one that is being
	// stored, nil if none is; giveUp ends it.
	due     bool
	storing chan storedState
	pace    pace
	giveUp  context.CancelFunc
}

// inboxChunk is what was read for an inbox, or of the policies.
type inboxChunk struct {
	inbox int
	chunk
}

// policyInbox stands for the log of policies.
const policyInbox = -1

const (
	// fetchAhead is how many chunks of an inbox may be under way.
	fetchAhead = 2
	// leastFetchBytes is what is read of a partition at a time where a process has many.
	leastFetchBytes = 64 << 10
	// aheadTicks and aheadBytes: an input that is this far (2 minutes) ahead of the
	// slowest, while so much waits, is not read on.
	aheadTicks = 240
	aheadBytes = 64 << 20
)

// run recovers, works until the generation ends, and lets go cleanly.
func (w *worker) run(ctx context.Context) error {
	if err := w.recover(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	w.cfg.Health.recovered(w.a.unit)
	w.metrics.recovered.Inc()
	w.counted = w.engine.tally
	w.writer = newWriter(w.client, w.writerPlan(), w.queueBytes(), w.metrics, w.log)

	var background sync.WaitGroup
	writing, stopWriting := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	background.Go(func() {
		report(failed, w.writer.run(writing))
	})
	fetching, stopFetching := context.WithCancel(ctx)
	chunks := make(chan inboxChunk)
	w.fetch(fetching, &background, chunks, failed)
	w.askPolicies() // what a snapshot holds back may need nothing else
	err := w.loop(ctx, chunks, failed)
	stopFetching()
	if err == nil {
		w.release(failed)
	}
	w.abandon()
	stopWriting()
	background.Wait()
	return err
}

// queueBytes is the partition's part of the process's queue, at least two requests.
func (w *worker) queueBytes() int64 {
	return max(2*requestBytes, int64(w.cfg.QueueBytes)/int64(max(1, w.a.share)))
}

// fetchBytes is the partition's part of what a process reads at a time: it would hold as
// much more memory as it has partitions.
func (w *worker) fetchBytes() int {
	return max(leastFetchBytes, fetchBytes/max(1, w.a.share))
}

func (w *worker) writerPlan() writerPlan {
	p := writerPlan{source: sourceName(w.plan.source(), w.plan.epoch)}
	for _, out := range w.plan.outputs {
		t := writerTopic{name: w.cfg.Topic(out.Topic), partitions: out.partitions, only: -1}
		if out.Aligned {
			t.only = w.plan.partition
		}
		p.topics = append(p.topics, t)
	}
	return p
}

// fetch starts one reader per inbox.
func (w *worker) fetch(ctx context.Context, wg *sync.WaitGroup, chunks chan<- inboxChunk, failed chan<- error) {
	w.withheld = make([]int, len(w.engine.inboxes))
	for i, in := range w.engine.inboxes {
		f := &fetcher{client: w.client, topic: w.cfg.Topic(in.topic), partition: in.partition, plain: in.plain, next: in.next, bytes: w.fetchBytes(), paged: true}
		tokens := make(chan struct{}, fetchAhead)
		for range fetchAhead {
			tokens <- struct{}{}
		}
		w.tokens = append(w.tokens, tokens)
		w.follow(ctx, wg, f, i, tokens, chunks, failed)
	}
	if p := w.engine.policies; p != nil {
		f := &fetcher{client: w.client, topic: w.cfg.Topic(Policy), next: p.next, atOnce: true}
		w.ask = make(chan struct{}, 1)
		w.follow(ctx, wg, f, policyInbox, w.ask, chunks, failed)
	}
}

// follow reads for an inbox beside the loop.
func (w *worker) follow(ctx context.Context, wg *sync.WaitGroup, f *fetcher, inbox int, tokens <-chan struct{}, chunks chan<- inboxChunk, failed chan<- error) {
	wg.Go(func() {
		err := f.run(ctx, w.log, tokens, func(c chunk) bool {
			select {
			case chunks <- inboxChunk{inbox, c}:
				return true
			case <-ctx.Done():
				return false
			}
		})
		report(failed, err)
	})
}

// report passes on the first error; one is enough to end everything.
func report(failed chan<- error, err error) {
	if err == nil {
		return
	}
	select {
	case failed <- err:
	default:
	}
}

// loop works until the context ends. The error is one that no repetition cures.
func (w *worker) loop(ctx context.Context, chunks <-chan inboxChunk, failed <-chan error) error {
	interval := time.NewTicker(w.cfg.SnapshotInterval)
	defer interval.Stop()
	for {
		in := chunks
		full, drained := w.writer.full()
		if full {
			in = nil
		} else {
			drained = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case c := <-in:
			began := time.Now()
			w.take(c)
			w.pace.busy += time.Since(began)
			if w.since >= int64(w.cfg.SnapshotRecords) && w.pace.worth() {
				w.snapshot()
			}
		case <-drained:
		case <-interval.C:
			if w.pace.due() {
				w.snapshot()
			}
		case memory := <-w.turn():
			w.takeSnapshot(memory)
		case s := <-w.storing:
			w.stored(s)
		}
	}
}

// take hands a chunk to the engine.
func (w *worker) take(c inboxChunk) {
	if c.inbox == policyInbox {
		w.takePolicies(c.chunk)
	} else {
		w.takeInput(c)
	}
	w.engine.step(w.writer.queue)
	w.writer.flush()
	w.engine.settle()
	w.observe(c)
	w.grant(c.inbox)
	w.askPolicies()
}

func (w *worker) takeInput(c inboxChunk) {
	in := w.engine.inboxes[c.inbox]
	if c.gap > 0 {
		w.lostOffsets(in.topic, in.partition, in.next, c.gap)
		in.skipTo(in.next + c.gap)
	}
	for i := range c.messages {
		w.changed = true
		w.engine.accept(c.inbox, &c.messages[i])
	}
}

func (w *worker) lostOffsets(topic string, partition int, from, count int64) {
	w.metrics.dataLoss.Add(float64(count))
	w.log.Error("offsets are gone before they were read: data is lost", "topic", topic, "partition", partition, "from", from, "count", count)
}

// grant lets fetchers go on: that of the inbox whose chunk was taken, unless it is
// far ahead, and those that were held back for that.
func (w *worker) grant(inbox int) {
	if inbox != policyInbox {
		w.withheld[inbox]++
	}
	slowest := min(w.engine.passed(false), w.engine.passed(true), w.engine.known())
	for i, n := range w.withheld {
		ahead := w.engine.bytes > aheadBytes && w.engine.inboxes[i].passed() > slowest+aheadTicks
		for ; n > 0 && !ahead; n-- {
			w.tokens[i] <- struct{}{}
			w.withheld[i]--
		}
	}
}

// observe moves the metrics.
func (w *worker) observe(c inboxChunk) {
	e, now := w.engine, w.engine.tally
	topic, partition, next := Policy, 0, int64(0)
	if c.inbox == policyInbox {
		next = e.policies.next
	} else {
		in := e.inboxes[c.inbox]
		topic, partition, next = in.topic, in.partition, in.next
	}
	w.since += now.records - w.counted.records
	w.metrics.add(now, w.counted)
	if lost := now.lost - w.counted.lost; lost > 0 {
		w.log.Error("records are missing between those that came: data is lost", "topic", topic, "count", lost)
	}
	if bad := now.malformed - w.counted.malformed; bad > 0 {
		w.log.Warn("messages cannot be read and were passed over; flows.dead has them", "topic", topic, "count", bad)
	}
	if refused := now.ended - w.counted.ended; refused > 0 {
		w.log.Error("records came after the end of the timeline; publish to another kafka.topic_prefix", "topic", topic, "count", refused)
	}
	w.observePolicy(now.refused - w.counted.refused)
	w.counted = now
	w.metrics.lag.WithLabelValues(topic, partitionLabel(partition)).Set(float64(max(0, c.end-next)))
	w.metrics.waiting.WithLabelValues(partitionLabel(w.plan.partition)).Set(float64(e.bytes))
	if e.told > 0 {
		w.metrics.streamLag.WithLabelValues(partitionLabel(w.plan.partition)).Set(time.Since(time.Unix(0, int64(e.told.Ns()))).Seconds())
	}
}
