package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/capture"
	"github.com/flowledger/flowledger/services/internal/dispatch"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/pipeline"
	"github.com/flowledger/flowledger/services/internal/policy"
	"github.com/flowledger/flowledger/services/internal/stage"
)

const publishLong = `Read captures as ingest would and write what comes out to Kafka, with the
captures' own times as the clock, and the end of the captures as the end of the
timeline: everything open is closed. The services then reach the very same ledger
as "flowctl run" does without them.

One topic prefix is one timeline, so a prefix is used for one publication: where
flows.raw already holds messages, it refuses. Several captures make one timeline
when they are named together.`

const publishExample = `  flowctl topics --kafka.topic_prefix monday.
  flowctl publish --kafka.topic_prefix monday. monday.pcap.gz
  flowctl publish --kafka.topic_prefix week. mon.pcap.gz tue.pcap.gz wed.pcap.gz
  flowctl publish --kafka.topic_prefix friday. --policy policy.yaml friday.pcap.gz`

// publisher is one invocation of `flowctl publish`.
type publisher struct {
	input
	settings
	force  bool
	rate   float64
	policy policyFile

	normalizer *normalize.Normalizer
	source     *stage.Source
	result     normalize.Result
	tick       eventtime.Tick
	started    bool

	datagrams, records, flows uint64
}

func newPublishCommand() *cobra.Command {
	p := &publisher{}
	c := &cobra.Command{
		Use:     "publish FILE...",
		Short:   "Send captures through Kafka, with their own times",
		Long:    publishLong,
		Example: publishExample,
		Args:    needFiles,
		RunE: func(c *cobra.Command, args []string) error {
			p.files, p.stderr = args, c.ErrOrStderr()
			if err := p.load(); err != nil {
				return err
			}
			return p.run(c.Context())
		},
	}
	c.Flags().SortFlags = false
	c.Flags().BoolVar(&p.force, "force", false, "publish although the prefix holds a timeline already; what is open there meets times of the past")
	c.Flags().Float64Var(&p.rate, "rate", 0, "datagrams per second at most; 0 is as fast as it goes. The ledger is the same")
	p.policy.addFlag(c)
	p.settings.addFlags(c, kafkaFlags...)
	p.input.addFlags(c)
	return c
}

func (p *publisher) run(ctx context.Context) error {
	start := time.Now()
	declared, err := p.policy.load()
	if err != nil {
		return err
	}
	captures, err := p.open()
	if err != nil {
		return err
	}
	if err := p.begin(ctx, declared); err != nil {
		captures.Close()
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	written, err := p.start(ctx)
	if err != nil {
		captures.Close()
		return err
	}
	st, readErr := p.each(ctx, captures, func(d *capture.Datagram) error {
		if err := p.pace(ctx, start); err != nil {
			return err
		}
		return p.take(d)
	})
	if err := p.finish(ctx, readErr); err != nil {
		cancel()
		return errors.Join(err, <-written)
	}
	if err := <-written; err != nil {
		return err
	}
	p.report(st, time.Since(start))
	return readErr
}

// begin makes sure that the timeline has not begun, and makes a policy hold from its
// start.
func (p *publisher) begin(ctx context.Context, f *policy.File) error {
	if err := p.fresh(ctx); err != nil || f == nil {
		return err
	}
	log, all, err := p.policies(ctx)
	if err != nil {
		return err
	}
	defer log.Close()
	_, err = writePolicy(ctx, log, all, f, 0)
	return err
}

// fresh refuses a prefix that holds a timeline already.
func (p *publisher) fresh(ctx context.Context) error {
	peek := stage.NewPeek(p.cfg.Kafka)
	defer peek.Close()
	n, err := peek.Partitions(ctx, stage.FlowsRaw)
	if err != nil {
		return fmt.Errorf("%w; is Kafka there, and --kafka.brokers right?", err)
	}
	topic := p.cfg.Kafka.Topic(stage.FlowsRaw)
	if n == 0 {
		return fmt.Errorf("the brokers have no topic %s; make the timeline's topics first: flowctl topics --kafka.topic_prefix %q", topic, p.cfg.Kafka.TopicPrefix)
	}
	messages, err := held(ctx, peek, stage.FlowsRaw, n)
	if err != nil {
		return err
	}
	if messages > 0 && p.policy != "" {
		return fmt.Errorf("topic %s holds %s messages already: no policy can hold from the start of that timeline; choose another --kafka.topic_prefix, or leave out --policy", topic, count(messages))
	}
	if messages > 0 && !p.force {
		return fmt.Errorf("topic %s holds %s messages already, and one prefix is one timeline; choose another --kafka.topic_prefix (create its topics with flowctl topics), or give --force", topic, count(messages))
	}
	return nil
}

// start begins writing; the channel gets the writing's error once it has ended.
func (p *publisher) start(ctx context.Context) (<-chan error, error) {
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, fmt.Errorf("cannot name the source: %w", err)
	}
	var err error
	p.source, err = stage.NewSource(p.cfg.Kafka, "publish/"+hex.EncodeToString(id[:]), dispatch.Topics(),
		stage.SourceOptions{Block: true}, prometheus.NewRegistry(), slog.New(slog.NewTextHandler(p.stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return nil, err
	}
	p.normalizer = normalize.New(p.cfg.Ingest)
	written := make(chan error, 1)
	go func() { written <- p.source.Run(ctx) }()
	return written, nil
}

// pace waits until the next datagram is due.
func (p *publisher) pace(ctx context.Context, start time.Time) error {
	if p.rate <= 0 {
		return nil
	}
	due := start.Add(time.Duration(float64(p.datagrams) / p.rate * float64(time.Second)))
	p.datagrams++
	early := time.Until(due)
	if early < time.Millisecond {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(early):
		return nil
	}
}

// take reads one datagram; with the first of a new tick, the old one ends.
func (p *publisher) take(d *capture.Datagram) error {
	tick := eventtime.TickOf(d.Time)
	if !p.started {
		p.tick, p.started = tick, true
	}
	if tick > p.tick {
		if err := p.endTick(); err != nil {
			return err
		}
		p.tick = tick
	}
	p.normalizer.Datagram(pipeline.AsReceived(d), &p.result)
	return nil
}

// endTick sends what the open tick holds. Ticks without datagrams are not sent:
// a source may jump.
func (p *publisher) endTick() error {
	p.records += p.result.DataRecords
	p.flows += uint64(len(p.result.Flows))
	if err := dispatch.Send(&p.result, p.source); err != nil {
		return fmt.Errorf("cannot write to Kafka: %w", err)
	}
	p.result.Reset()
	return p.source.EndTick(p.tick)
}

// finish ends the timeline, unless it was interrupted: then it stays open, and
// the prefix is spoilt.
func (p *publisher) finish(ctx context.Context, readErr error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("the timeline is cut off; use another --kafka.topic_prefix next time: %w", ctx.Err())
	}
	if !p.started {
		return errors.Join(readErr, errors.New("there is nothing to publish"))
	}
	p.normalizer.End(&p.result)
	if err := p.endTick(); err != nil {
		return err
	}
	return p.source.Close(ctx, stage.ByeEndOfInput)
}

func (p *publisher) report(st capture.Stats, took time.Duration) {
	if p.quiet {
		return
	}
	fmt.Fprintf(p.stderr, "published %s: %s, %s data records, %s flows in %.1f s\n", plural(uint64(len(p.files)), "capture"),
		plural(st.Datagrams+st.Messages, "datagram"), count(p.records), count(p.flows), took.Seconds())
	for _, line := range remarks(st, p.files) {
		fmt.Fprintln(p.stderr, "note:", line)
	}
}
