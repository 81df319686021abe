package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/flowledger/flowledger/services/ingest/files"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/ingest/vpc"
	"github.com/flowledger/flowledger/services/ingest/zeek"
	"github.com/flowledger/flowledger/services/internal/dispatch"
)

// logs reads log files beside the sockets. Their records go into whichever tick
// is open: what a line tells of is minutes old when it comes.
//
//	directory, bucket, queue ─▶ files.Watcher ─▶ logHandler ─▶ vpc.Parser, zeek.Parser ─▶ feed ─▶ stage.Source
type logs struct {
	cfg     *Config
	log     *slog.Logger
	metrics *metrics
	counts  *logMetrics
	clock   *clock
	// feed makes a way into the source for each reader, written waits until the
	// source is rid of what was appended.
	feed    func() dispatch.Sink
	written func(context.Context) error

	mu      sync.Mutex
	ended   bool
	reading sync.WaitGroup
	// signedOff is closed when the source has ended; then signOffErr says whether
	// Kafka has everything.
	signedOff  chan struct{}
	signOffErr error
}

func newLogs(in *ingester, reg prometheus.Registerer) *logs {
	return &logs{
		cfg: &in.cfg, log: in.log, metrics: in.metrics, counts: newLogMetrics(reg), clock: in.clock,
		feed: func() dispatch.Sink { return in.source }, written: in.source.Written, signedOff: make(chan struct{}),
	}
}

// run reads until the context ends and the files that are being read have been
// remembered or given up.
func (l *logs) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	start := func(kind string, p *LogPlaces, line func([]byte, uint64, *normalize.Result), begin func()) error {
		sources, err := l.sources(ctx, kind, p)
		if err != nil {
			return err
		}
		if len(sources) == 0 {
			return nil
		}
		// One after another: they share a parser.
		h := &logHandler{logs: l, kind: kind, line: line, begin: begin, feed: l.feed()}
		for _, s := range sources {
			w := &files.Watcher{Source: s, Handler: h, Interval: p.Interval, Log: l.log, Metrics: files.Metrics{
				Read:   func(files.File) { l.counts.files.WithLabelValues(kind).Inc() },
				Failed: func(reason string) { l.counts.failed.WithLabelValues(reason).Inc() },
			}}
			group.Go(func() error { return w.Run(ctx) })
		}
		return nil
	}
	v, z := vpc.New(l.cfg.VPC.Logs), zeek.New(l.cfg.Zeek.Logs)
	var before vpc.Statistics
	err := errors.Join(
		start("vpc", &l.cfg.VPC.LogPlaces, func(b []byte, ns uint64, out *normalize.Result) {
			_ = vpc.Lines(b, func(line []byte) error { v.Line(line, ns, out); return nil }) // has no error of its own
			now := v.Statistics()
			l.counts.status.WithLabelValues("nodata").Add(float64(now.NoData - before.NoData))
			l.counts.status.WithLabelValues("skipdata").Add(float64(now.SkipData - before.SkipData))
			before = now
		}, v.Begin),
		start("zeek", &l.cfg.Zeek.LogPlaces, func(b []byte, ns uint64, out *normalize.Result) { z.Line(b, ns, out) }, z.Begin),
	)
	if err != nil {
		group.Go(func() error { return err })
	}
	return group.Wait()
}

// enter lets a file be begun, unless the service is stopping.
func (l *logs) enter() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return files.ErrStop
	}
	l.reading.Add(1)
	return nil
}

// finish waits until the files that are being read have been handed over; no
// further one is begun.
func (l *logs) finish() {
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.reading.Wait()
}

// over says that the source has ended. Without an error Kafka has everything, and
// what was read may be remembered.
func (l *logs) over(err error) {
	l.signOffErr = err
	close(l.signedOff)
}
