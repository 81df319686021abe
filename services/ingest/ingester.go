package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/flowledger/flowledger/services/internal/dispatch"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// ingester is the shell around a normalizer:
//
//	socket ─▶ listener ─╮ by exporter ╭─▶ queue ─▶ decoder ─╮ in step
//	socket ─▶ listener ─┼─────────────┤                     ├─▶ stage.Source ─▶ Kafka
//	socket ─▶ listener ─╯             ╰─▶ queue ─▶ decoder ─╯
type ingester struct {
	cfg       Config
	name      string
	log       *slog.Logger
	metrics   *metrics
	source    *stage.Source
	clock     *clock
	queues    *queues
	gate      *gate
	listeners []*listener
	streams   *streams
	logs      *logs
	kept      *kept
}

// newIngester opens the sockets; what arrives waits there until run.
func newIngester(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*ingester, error) {
	name := "ingest/" + bootID()
	src, err := stage.NewSource(cfg.Kafka, name, dispatch.Topics(), stage.SourceOptions{Block: true, Spool: cfg.spool()}, reg, log)
	if err != nil {
		return nil, err
	}
	c := &clock{start: time.Now(), offset: src.ClockOffset}
	in := &ingester{
		cfg: cfg, name: name, log: log.With("source", name), metrics: newMetrics(reg, cfg.MetricsExporters),
		source: src, clock: c, queues: newQueues(cfg.decoders(), int64(cfg.QueueBytes), c.ns),
	}
	watch(reg, in.queues)
	if in.kept, err = openKept(&cfg.Spool); err != nil {
		return nil, err
	}
	in.logs = newLogs(in, reg)
	in.gate = newGate(cfg.Allow, cfg.Limits, cfg.Normalize.MaxExporters/2, in.metrics, reg)
	in.streams = newStreams(cfg.Streams, in.gate, in.queues, in.metrics, reg, in.log)
	for _, addr := range cfg.Listen {
		if err := in.listen(addr); err != nil {
			in.close()
			return nil, err
		}
	}
	if everybody(cfg.Allow) {
		in.log.Warn("everybody may send flows: name your exporters in allow", "allow", cfg.Allow)
	}
	return in, nil
}

// listen opens the sockets of an address.
func (in *ingester) listen(text string) error {
	e, err := parseEndpoint(text)
	if err != nil {
		return err
	}
	if e.transport != overUDP {
		return in.streams.listen(e)
	}
	addr := e.addr
	for i := range in.cfg.Readers {
		l, err := listen(addr, &in.cfg, in.gate, in.queues, in.metrics, in.log)
		if err != nil {
			return err
		}
		in.listeners = append(in.listeners, l)
		addr = l.conn.LocalAddr().String() // the kernel may have chosen the port
		if i == 0 {
			in.log.Info("listening", "listen", addr)
		}
	}
	return nil
}

// bootID names this start of the process; the numbers of its records begin at 0.
func bootID() string {
	var id [8]byte
	_, _ = rand.Read(id[:]) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(id[:])
}

func (in *ingester) close() {
	for _, l := range in.listeners {
		l.conn.Close()
	}
	in.streams.close()
	in.kept.close()
}

// run works until ctx is done: then it takes what the sockets hold, hands it to
// Kafka, signs off and returns. If that takes longer than the shutdown timeout,
// what Kafka has not got is lost and the error says so.
func (in *ingester) run(ctx context.Context) error {
	defer in.close()
	sending, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	group, ctx := errgroup.WithContext(ctx)
	context.AfterFunc(ctx, func() { time.AfterFunc(in.patience(), abandon) })

	group.Go(func() error { return in.source.Run(sending) })
	group.Go(func() error {
		if err := in.learnTime(ctx); err != nil {
			return errors.Join(err, in.signOff(sending))
		}
		group.Go(func() error { return in.logs.run(ctx) })
		err := in.decode(ctx)
		in.logs.finish()
		err = errors.Join(err, in.signOff(sending))
		in.logs.over(err)
		return err
	})
	return group.Wait()
}

// patience leaves the process a moment to end in order.
func (in *ingester) patience() time.Duration { return in.cfg.ShutdownTimeout * 9 / 10 }

// learnTime announces the source, in the tick before all others, and waits for
// the broker's time in the answer. No tick is named before: a wrong clock of this
// machine must neither rush nor stall the readers. Meanwhile datagrams wait in the
// sockets' buffers; what does not fit there is counted by the kernel. With a spool
// that wait has an end, since there is where to put what comes.
func (in *ingester) learnTime(ctx context.Context) error {
	if err := in.source.EndTick(0); err != nil {
		return fmt.Errorf("cannot announce the source: %w", err)
	}
	check := time.NewTicker(5 * time.Millisecond)
	defer check.Stop()
	for {
		if in.ready() == nil {
			in.reportTime()
			return nil
		}
		if in.cfg.Spool.Dir != "" && time.Since(in.clock.start) > in.cfg.Spool.After {
			in.log.Warn("Kafka has not answered yet: receiving into the spool, by this machine's clock")
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // decode then takes what is there, and ends
		case <-check.C:
		}
	}
}

func (in *ingester) reportTime() {
	ahead, known := in.clock.offset()
	if !known {
		in.log.Warn("Kafka does not tell its time, so ticks go by this machine's clock: give the topics message.timestamp.type=LogAppendTime (flowctl topics does)")
		return
	}
	in.log.Info("receiving", "clock_offset", ahead.String())
}

// decode runs the readers until ctx is done and the decoders until all is decoded
// that they have read.
func (in *ingester) decode(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	decoders := in.newDecoders()
	errs := make([]error, len(in.listeners)+len(decoders)+1)
	var reading, decoding sync.WaitGroup
	streams := &errs[len(errs)-1]
	reading.Go(func() {
		if *streams = in.streams.run(ctx); *streams != nil {
			cancel()
		}
	})
	for i, l := range in.listeners {
		reading.Go(func() {
			if errs[i] = l.run(ctx); errs[i] != nil {
				cancel() // a socket is gone: stop in order and let the process be started again
			}
		})
	}
	ended := make(chan struct{})
	go func() { reading.Wait(); close(ended) }()
	f, stopFollowing := in.follow(ctx, decoders)
	for i, d := range decoders {
		decoding.Go(func() {
			if err := d.run(ended, f.caught); err != nil {
				errs[len(in.listeners)+i] = err
				d.ticks.fail(err)
				cancel()
			}
		})
	}
	decoding.Wait()
	cancel()
	<-ended
	stopFollowing()
	return errors.Join(errs...)
}

// follow has the decoders learn what others tell of their exporters, until stop.
func (in *ingester) follow(ctx context.Context, decoders []*decoder) (f *follower, stop func()) {
	f = &follower{
		peek: stage.NewPeek(in.cfg.Kafka), partitions: in.cfg.Kafka.PartitionsOf(stage.Exporters), self: in.name,
		decoders: decoders, queues: in.queues, kept: in.kept, log: in.log, learnt: in.metrics.factsLearnt, failures: in.metrics.followErrors,
		caught: make(chan struct{}),
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); f.run(ctx) }()
	return f, func() { cancel(); <-done }
}

// newDecoders makes one for each queue, each with a feed of its own.
func (in *ingester) newDecoders() (decoders []*decoder) {
	n := len(in.queues.each)
	t := newTicks(n, eventtime.TickOf(in.clock.ns()), in.source, in.metrics)
	for i, q := range in.queues.each {
		d := newDecoder(q, in.cfg.Normalize, in.source.Feed(), t, i, in.clock, in.metrics)
		d.kept = in.kept
		decoders = append(decoders, d)
	}
	return decoders
}

func (in *ingester) signOff(ctx context.Context) error {
	if err := in.source.Close(ctx, stage.ByeStop); err != nil {
		return fmt.Errorf("cannot sign off: %w", err)
	}
	return nil
}

// ready tells whether Kafka has answered: from then on datagrams are received.
// An ingester that loses Kafka later stays ready: nobody else would do better.
func (in *ingester) ready() error {
	if !in.source.Connected(in.clock.start) {
		return errors.New("waiting for Kafka")
	}
	return nil
}
