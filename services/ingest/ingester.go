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
	"github.com/flowledger/flowledger/services/internal/stage"
)

// ingester is the shell around a normalizer:
//
//	socket ─▶ listener ─╮
//	socket ─▶ listener ─┼─▶ queue (bounded, stamped) ─▶ decoder ─▶ stage.Source ─▶ Kafka
//	socket ─▶ listener ─╯
type ingester struct {
	cfg       Config
	log       *slog.Logger
	metrics   *metrics
	source    *stage.Source
	clock     *clock
	queue     *queue
	listeners []*listener
}

// newIngester opens the sockets; what arrives waits there until run.
func newIngester(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*ingester, error) {
	name := "ingest/" + bootID()
	src, err := stage.NewSource(cfg.Kafka, name, dispatch.Topics(), stage.SourceOptions{Block: true}, reg, log)
	if err != nil {
		return nil, err
	}
	c := &clock{start: time.Now(), offset: src.ClockOffset}
	in := &ingester{
		cfg: cfg, log: log.With("source", name), metrics: newMetrics(reg, cfg.MetricsExporters),
		source: src, clock: c, queue: newQueue(int(cfg.QueueBytes), c.ns),
	}
	watch(reg, in.queue)
	for _, addr := range cfg.Listen {
		l, err := listen(addr, &cfg, in.queue, in.metrics, in.log)
		if err != nil {
			in.close()
			return nil, err
		}
		in.listeners = append(in.listeners, l)
		in.log.Info("listening", "listen", l.conn.LocalAddr().String())
	}
	if allowList(cfg.Allow).open() {
		in.log.Warn("everybody may send flows: name your exporters in allow", "allow", cfg.Allow)
	}
	return in, nil
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
		return errors.Join(in.decode(ctx), in.signOff(sending))
	})
	return group.Wait()
}

// patience leaves the process a moment to end in order.
func (in *ingester) patience() time.Duration { return in.cfg.ShutdownTimeout * 9 / 10 }

// learnTime announces the source, in the tick before all others, and waits for
// the broker's time in the answer. No tick is named before: a wrong clock of this
// machine must neither rush nor stall the readers. Meanwhile datagrams wait in the
// sockets' buffers; what does not fit there is counted by the kernel.
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

// decode runs the readers until ctx is done and the decoder until all is decoded
// that they have read.
func (in *ingester) decode(ctx context.Context) error {
	d := newDecoder(in.queue, in.cfg.Normalize, in.source, in.clock, in.metrics)
	var readers sync.WaitGroup
	errs := make([]error, len(in.listeners))
	ctx, cancel := context.WithCancel(ctx)
	for i, l := range in.listeners {
		readers.Go(func() {
			if errs[i] = l.run(ctx); errs[i] != nil {
				cancel() // a socket is gone: stop in order and let the process be started again
			}
		})
	}
	ended := make(chan struct{})
	go func() { readers.Wait(); close(ended) }()
	err := d.run(ended)
	cancel()
	<-ended
	return errors.Join(append(errs, err)...)
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
