package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/cespare/xxhash/v2"
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

// logMetrics are the metrics of log files. Lines that become records are counted
// with those of datagrams.
type logMetrics struct {
	files  *prometheus.CounterVec
	failed *prometheus.CounterVec
	status *prometheus.CounterVec
}

func newLogMetrics(r prometheus.Registerer) *logMetrics {
	vec := func(name, label, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "flowledger", Subsystem: "ingest", Name: name, Help: help}, []string{label})
		r.MustRegister(c)
		return c
	}
	m := &logMetrics{
		files:  vec("log_files_total", "kind", "Log files read: vpc, zeek."),
		failed: vec("log_failures_total", "reason", "Log files that could not be opened (open), were gone (gone) or broke off (read), and looks for files that failed (poll)."),
		status: vec("vpc_status_total", "status", "Intervals without data that VPC flow logs tell of: nodata (no traffic), skipdata (AWS lost records)."),
	}
	for _, s := range []string{"nodata", "skipdata"} {
		m.status.WithLabelValues(s)
	}
	return m
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
			v.Line(b, ns, out)
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

// sources are the places that are named.
func (l *logs) sources(ctx context.Context, kind string, p *LogPlaces) (out []files.Source, err error) {
	if !p.used() {
		return nil, nil
	}
	if err := p.stateDir(); err != nil {
		return nil, fmt.Errorf("%s.state_dir: %w", kind, err)
	}
	add := func(s files.Source, err error) error {
		if err != nil {
			return fmt.Errorf("cannot read %s logs: %w", kind, err)
		}
		out = append(out, s)
		return nil
	}
	if p.Dir != "" {
		d, err := files.NewDirectory(p.Dir, p.cursor(kind, "dir", p.Dir))
		if err := add(d, err); err != nil {
			return nil, err
		}
	}
	if p.S3.Bucket != "" {
		c, err := s3Client(ctx, p.S3.Region, p.S3.Endpoint)
		if err != nil {
			return nil, err
		}
		b, err := files.NewBucket(c, p.S3.Bucket, p.S3.Prefix, p.S3.Since, p.cursor(kind, "s3", p.S3.Bucket+"/"+p.S3.Prefix))
		if err := add(b, err); err != nil {
			return nil, err
		}
	}
	if p.SQS.QueueURL != "" {
		q, err := p.queue(ctx, kind)
		if err := add(q, err); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (p *LogPlaces) queue(ctx context.Context, kind string) (*files.Queue, error) {
	objects, err := s3Client(ctx, p.SQS.Region, p.SQS.S3Endpoint)
	if err != nil {
		return nil, err
	}
	c, err := awsConfig(ctx, p.SQS.Region)
	if err != nil {
		return nil, err
	}
	messages := sqs.NewFromConfig(c, func(o *sqs.Options) { o.BaseEndpoint = optional(p.SQS.Endpoint) })
	return files.NewQueue(objects, messages, p.SQS.QueueURL, p.SQS.Invisible, p.cursor(kind, "sqs", p.SQS.QueueURL))
}

// cursor is the file that remembers what has been read of a place.
func (p *LogPlaces) cursor(kind, sort, place string) string {
	return filepath.Join(p.StateDir, kind+"-"+sort+"-"+strconv.FormatUint(xxhash.Sum64String(place), 16)+".json")
}

// awsConfig is what the environment says: credentials by variables, files, or the
// role of the machine.
func awsConfig(ctx context.Context, region string) (aws.Config, error) {
	var opts []func(*awsconfig.LoadOptions) error
	if region != "" {
		opts = append(opts, awsconfig.WithRegion(region))
	}
	c, err := awsconfig.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return c, fmt.Errorf("cannot set up the client of AWS: %w", err)
	}
	return c, nil
}

func s3Client(ctx context.Context, region, endpoint string) (*s3.Client, error) {
	c, err := awsConfig(ctx, region)
	if err != nil {
		return nil, err
	}
	return s3.NewFromConfig(c, func(o *s3.Options) {
		o.BaseEndpoint = optional(endpoint)
		o.DisableLogOutputChecksumValidationSkipped = true // a line per file, on standard error
		o.UsePathStyle = endpoint != ""                    // what is not AWS has no name per bucket
	}), nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
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

// resultLines is after how many lines their records are handed over.
const resultLines = 256

// logHandler takes the lines of one file at a time.
type logHandler struct {
	logs  *logs
	kind  string
	line  func([]byte, uint64, *normalize.Result)
	begin func()
	feed  dispatch.Sink

	mu     sync.Mutex
	result normalize.Result
	lines  int
}

// Begin implements files.Handler. Watchers of several places take turns: the file
// of one is read to its end before that of another.
func (h *logHandler) Begin(f files.File) error {
	h.mu.Lock()
	if err := h.logs.enter(); err != nil {
		h.mu.Unlock()
		return err
	}
	h.begin()
	h.logs.log.Debug("reading", "file", f.Name, "kind", h.kind)
	return nil
}

// Line implements files.Handler.
func (h *logHandler) Line(line []byte) error {
	h.line(line, h.logs.clock.ns(), &h.result)
	if h.lines++; h.lines%resultLines != 0 {
		return nil
	}
	err := h.hand()
	if err != nil {
		h.leave()
	}
	return err
}

// leave lets the next file be begun, and the service stop.
func (h *logHandler) leave() {
	h.mu.Unlock()
	h.logs.reading.Done()
}

func (h *logHandler) hand() error {
	h.logs.metrics.count(&h.result)
	err := dispatch.Send(&h.result, h.feed)
	h.result.Reset()
	if err != nil {
		return fmt.Errorf("cannot hand records over: %w", err)
	}
	return nil
}

// Safe implements files.Handler. When the service stops, everything is safe once
// it has signed off.
func (h *logHandler) Safe(ctx context.Context) error {
	err := h.hand()
	h.leave()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	written := make(chan error, 1)
	go func() { written <- h.logs.written(ctx) }()
	select {
	case err = <-written:
		cancel()
	case <-h.logs.signedOff:
		cancel()
		<-written //nolint:errcheck // only its end matters: the sign-off has settled the rest
		return h.logs.signOffErr
	}
	if err == nil {
		return nil
	}
	<-h.logs.signedOff // the source has ended before it was asked
	return h.logs.signOffErr
}
