package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/flowledger/flowledger/services/internal/embedded"
	"github.com/flowledger/flowledger/services/internal/embedded/realkafka"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/sink/schema"
)

// cluster is Kafka, ClickHouse and two replicas of every stage.
type cluster struct {
	o        *options
	broker   *realkafka.Broker // nil if it is another's, or embedded
	kafka    stage.Config
	ledger   schema.Config
	db       driver.Conn
	replicas []*process
	killed   int
	closers  []func()
}

func startCluster(ctx context.Context, o *options) (c *cluster, err error) {
	c = &cluster{o: o, kafka: stage.Default(), ledger: schema.Default()}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	if err := c.startBroker(ctx); err != nil {
		return c, err
	}
	l, err := embedded.StartLedger(ctx, embedded.LedgerConfig{Bin: o.bin})
	if err != nil {
		return c, err
	}
	c.closers = append(c.closers, func() { _ = l.Close() })
	c.ledger.Addr = []string{l.HTTPAddr()}
	if _, err := schema.Migrate(ctx, c.ledger, slog.New(slog.NewTextHandler(io.Discard, nil))); err != nil {
		return c, err
	}
	if c.db, err = schema.Connect(ctx, c.ledger); err != nil {
		return c, err
	}
	c.closers = append(c.closers, func() { _ = c.db.Close() })
	c.kafka.Partitions.Conversations, c.kafka.Partitions.Hosts = o.partitions, o.partitions
	if err := stage.EnsureTopics(ctx, c.kafka); err != nil {
		return c, err
	}
	return c, c.startReplicas()
}

func (c *cluster) startBroker(ctx context.Context) error {
	switch c.o.broker {
	case "kafka":
		b, err := realkafka.Start(ctx, realkafka.Options{})
		if err != nil {
			return err
		}
		c.closers = append(c.closers, b.Stop)
		c.broker = b
		c.kafka.Brokers = []string{b.Addr()}
	case "kfake":
		b, err := embedded.StartBroker(ctx, embedded.BrokerConfig{})
		if err != nil {
			return err
		}
		c.closers = append(c.closers, func() { _ = b.Close() })
		c.kafka.Brokers = []string{b.Addr()}
	default:
		c.kafka.Brokers = []string{c.o.broker}
	}
	return nil
}

// kafkaArgs are the flags that every service takes.
func (c *cluster) kafkaArgs() []string {
	return []string{
		"--kafka.brokers", strings.Join(c.kafka.Brokers, ","),
		"--kafka.partitions.conversations", strconv.Itoa(c.kafka.Partitions.Conversations),
		"--kafka.partitions.hosts", strconv.Itoa(c.kafka.Partitions.Hosts),
	}
}

// startReplicas starts two of each stage. Members that were killed are given up
// soon, and snapshots are neither so rare nor so frequent that kills meet nothing
// to replay.
func (c *cluster) startReplicas() error {
	for _, name := range []string{"dedup", "stitch", "detect", "sink"} {
		for n := range 2 {
			args := append([]string{filepath.Join(c.o.bin, name)}, c.kafkaArgs()...)
			args = append(args, "--http.addr", "127.0.0.1:0", "--kafka.session_timeout", "6s", "--kafka.snapshot_interval", "3s")
			if name == "sink" {
				args = append(args, "--clickhouse.addr", c.ledger.Addr[0])
			}
			p := &process{
				name: fmt.Sprintf("%s-%d", name, n+1),
				log:  filepath.Join(c.o.evidence, fmt.Sprintf("%s-%d.log", name, n+1)),
				args: args,
			}
			if err := p.start(); err != nil {
				return err
			}
			c.replicas = append(c.replicas, p)
		}
	}
	return nil
}

// meanPause is the mean time between two kills.
const meanPause = 1600 * time.Millisecond

// publish starts sending the capture, at a pace that leaves something to do
// until the last kill.
func (c *cluster) publish(capture string, datagrams int) (*process, error) {
	rate := 0.0
	if c.o.kills > 0 {
		rate = float64(datagrams) / (time.Duration(c.o.kills) * meanPause).Seconds()
	}
	p := &process{name: "publish", log: filepath.Join(c.o.evidence, "publish.log"), args: []string{
		filepath.Join(c.o.bin, "flowctl"), "publish", capture,
		"--rate", fmt.Sprint(rate), "--kafka.brokers", strings.Join(c.kafka.Brokers, ","),
		"--set", fmt.Sprintf("kafka.partitions.conversations=%d", c.kafka.Partitions.Conversations),
		"--set", fmt.Sprintf("kafka.partitions.hosts=%d", c.kafka.Partitions.Hosts), "--policy", c.o.policy,
	}}
	return p, p.start()
}

// killAtRandom kills random replicas, and the broker, at random moments, and starts each again.
func (c *cluster) killAtRandom(ctx context.Context, kills, brokerKills int, seed uint64) error {
	if brokerKills > 0 && c.broker == nil {
		return errors.New("--broker-kills: only a Kafka of this test's own can be killed (--broker kafka)")
	}
	rng := rand.New(rand.NewPCG(seed, 0x6b696c6c))
	for c.killed < kills || brokerKills > 0 {
		pause := meanPause/8 + time.Duration(rng.Int64N(int64(2*meanPause-meanPause/4)))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		if left := kills - c.killed; brokerKills > 0 && rng.IntN(left+brokerKills) >= left {
			brokerKills--
			say("kill of the broker")
			if err := c.broker.Crash(ctx); err != nil {
				return err
			}
			continue
		}
		p := c.replicas[rng.IntN(len(c.replicas))]
		if err, gone := p.exited(); gone {
			return fmt.Errorf("%s ended by itself (%v), see %s", p.name, err, p.log)
		}
		p.kill()
		c.killed++
		var rows uint64
		if err := c.db.QueryRow(ctx, "SELECT count() FROM flows").Scan(&rows); err != nil {
			return fmt.Errorf("cannot count flows: %w", err)
		}
		say("kill %d of %d: %s, with %d flows in the ledger", c.killed, kills, p.name, rows)
		if err := p.start(); err != nil {
			return err
		}
	}
	return nil
}

// settle waits until the ledger is as it should be and stays so, or until
// nothing has moved for as long as patience lasts.
func (c *cluster) settle(ctx context.Context, want *ledger, patience time.Duration) (*differences, error) {
	const stable = 5
	var last string
	moved, equal := time.Now(), 0
	for {
		got, err := online(ctx, c.db)
		if err != nil {
			return nil, err
		}
		at, done, err := c.positions(ctx)
		if err != nil {
			return nil, err
		}
		d := compare(want, got)
		if now := d.String() + at; now != last {
			last, moved, equal = now, time.Now(), 0
			say("%s", d)
		}
		if equal++; d.none() && done && equal >= stable {
			return d, nil
		}
		if time.Since(moved) > patience {
			return d, nil
		}
		for _, p := range c.replicas {
			if err, gone := p.exited(); gone {
				return nil, fmt.Errorf("%s ended by itself (%v), see %s", p.name, err, p.log)
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

// positions tells where every log ends, and whether the sink has written all of them.
func (c *cluster) positions(ctx context.Context) (string, bool, error) {
	peek := stage.NewPeek(c.kafka)
	defer peek.Close()
	var at strings.Builder
	done := true
	for _, topic := range []string{stage.FlowsRaw, stage.FlowsDeduped, stage.Biflows, stage.Alerts} {
		for p := range c.kafka.PartitionsOf(topic) {
			_, end, err := peek.Offsets(ctx, topic, p)
			if err != nil {
				return "", false, err
			}
			fmt.Fprintf(&at, " %s/%d:%d", topic, p, end)
			if topic == stage.FlowsRaw {
				continue
			}
			var next uint64
			if err := c.db.QueryRow(ctx, `SELECT max(next) FROM offsets WHERE topic = $1 AND partition = $2`, c.kafka.Topic(topic), p).Scan(&next); err != nil {
				return "", false, errors.Join(errors.New("cannot read the ledger's offsets"), err)
			}
			done = done && next >= uint64(end)
		}
	}
	return at.String(), done, nil
}

// stop ends everything, replicas first.
func (c *cluster) stop() {
	for _, p := range c.replicas {
		p.kill()
	}
	for i := len(c.closers) - 1; i >= 0; i-- {
		c.closers[i]()
	}
}
