package main

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/run"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// follower reads what all ingesters tell of exporters, this one before its start
// among them, so that any decodes any exporter's next datagram. What was kept on
// this machine's disk comes first: Kafka may be away.
//
//	kept, exporters ─▶ follower ─ by exporter ─▶ decoder.facts ─▶ Normalizer.Learn
type follower struct {
	peek       *stage.Peek
	partitions int
	self       string // what this process tells, it knows
	decoders   []*decoder
	queues     *queues
	kept       *kept
	log        *slog.Logger
	learnt     prometheus.Counter
	failures   prometheus.Counter

	behind sync.WaitGroup // partitions whose past has not been read
	// caught is closed when the topic has been read to where it ended at the start.
	caught chan struct{}
}

const (
	// followWait is how long a read waits for something new.
	followWait = time.Second
	// followPause is how long after an error the next attempt is made.
	followPause = time.Second
	// factsAhead is how many facts may wait for a decoder.
	factsAhead = 1024
)

// run tells what was kept, then follows the topic until ctx is done.
func (f *follower) run(ctx context.Context) {
	defer f.peek.Close()
	_ = f.kept.each(func(batch []byte) error { // it errs when ctx is done
		_, err := f.learn(ctx, batch)
		return err
	})
	f.behind.Add(f.partitions)
	var all sync.WaitGroup
	for p := range f.partitions {
		all.Go(func() { f.follow(ctx, p) })
	}
	all.Go(func() { f.behind.Wait(); close(f.caught) })
	all.Wait()
}

func (f *follower) follow(ctx context.Context, partition int) {
	var once sync.Once
	defer once.Do(f.behind.Done)
	next, end, known := int64(0), int64(0), false
	for ctx.Err() == nil {
		var err error
		if !known {
			next, end, err = f.peek.Offsets(ctx, stage.Exporters, partition)
			known = err == nil
		}
		if known && next >= end {
			once.Do(f.behind.Done)
		}
		if err == nil {
			next, err = f.peek.Read(ctx, stage.Exporters, partition, next, followWait, func(m *stage.Message) error { return f.tell(ctx, m) })
		}
		if err != nil && ctx.Err() == nil {
			f.failures.Inc()
			f.log.Debug("cannot follow the topic of exporters, still trying", "partition", partition, "error", err)
			_ = run.Pause(ctx, followPause) // the loop asks the context
		}
	}
}

// tell hands on, and keeps, what others say.
func (f *follower) tell(ctx context.Context, m *stage.Message) error {
	if m.Source == f.self {
		return nil
	}
	learnt, err := f.learn(ctx, m.Value)
	f.kept.addBatch(m.Value, learnt)
	return err
}

// learn hands facts to the decoders whose exporters they are about. A fact that
// cannot be read is left: it is of use to nobody.
func (f *follower) learn(ctx context.Context, batch []byte) (learnt int, err error) {
	for rest := batch; len(rest) > 0; {
		b, after, err := flow.Next(rest)
		if err != nil {
			return learnt, nil
		}
		rest = after
		fact := &flowv1.ExporterFact{}
		if fact.UnmarshalVT(b) != nil {
			continue
		}
		addr, _ := netip.AddrFromSlice(fact.SamplerAddress)
		select {
		case f.decoders[f.queues.index(addr.Unmap())].facts <- fact:
			f.learnt.Inc()
			learnt++
		case <-ctx.Done():
			return learnt, ctx.Err()
		}
	}
	return learnt, nil
}
