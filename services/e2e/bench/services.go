package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/flowledger/flowledger/services/internal/stage"
)

// cluster is a fresh broker, and a ledger if the sink is measured, in a process
// of its own, whose cost is nobody's.
type cluster struct {
	*bench
	dev               *process
	kafka, clickhouse string
}

// Patience with starts, and with a service that goes through its input.
const (
	devPatience     = 5 * time.Minute // the first start may fetch the ledger's engine
	servicePatience = time.Minute
	workPatience    = time.Hour
	stillPatience   = time.Minute // nothing has moved
)

// services measures the chosen services: stages one after the other, so that
// none waits for a CPU that another has, each with all of its input there.
func (b *bench) services(ctx context.Context, in *input, t *table) error {
	last := -1
	for i, name := range stages {
		if b.chosen(name) {
			last = i
		}
	}
	if last < 0 && !b.chosen(systemIngest) {
		return nil
	}
	c, err := b.startCluster(ctx)
	if err != nil {
		return err
	}
	defer c.dev.kill()
	if last >= 0 {
		if err := c.stages(ctx, in, t, stages[:last+1], compressed); err != nil {
			return err
		}
	}
	// What stands beside the floor is to do no more than that does.
	if n := min(last+1, len(floored)); n > 0 && b.chosen(systemFloor) {
		if err := c.stages(ctx, in, t, stages[:n], uncompressed); err != nil {
			return err
		}
	}
	if b.chosen(systemIngest) {
		// nfcapd is measured both ways, too.
		if err := c.ingest(ctx, in, t, systemIngest, "none"); err != nil {
			return err
		}
		if err := c.ingest(ctx, in, t, lineCompressed, stage.Default().Compression); err != nil {
			return err
		}
	}
	return c.dev.stop()
}

func (b *bench) startCluster(ctx context.Context) (c *cluster, err error) {
	ready := filepath.Join(b.dir, "ready.json")
	if err := os.Remove(ready); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	args := []string{"dev", "--kafka-port", "0", "--clickhouse-port", "0", "--ready-file", ready}
	if !b.chosen("sink") {
		args = append(args, "--no-clickhouse")
	}
	c = &cluster{bench: b, dev: b.command("dev", "flowctl", args...)}
	if err := c.dev.start(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			c.dev.kill()
		}
	}()
	return c, c.dev.until(ctx, devPatience, "broker and ledger were ready", func(context.Context) (bool, error) {
		text, err := os.ReadFile(ready)
		if err != nil {
			return false, err
		}
		var at struct{ Kafka, ClickHouse string }
		err = json.Unmarshal(text, &at)
		c.kafka, c.clickhouse = at.Kafka, at.ClickHouse
		return err == nil, err
	})
}

// transport is how records go through the broker: on topics of their own, compressed or not.
type transport struct {
	prefix, codec string
	// aside goes behind the name of the system.
	aside string
}

// By default records are compressed; the floor does not compress.
var (
	compressed   = transport{codec: stage.Default().Compression}
	uncompressed = transport{prefix: "uncompressed.", codec: "none", aside: asideUncompressed}
)

// stages publishes the capture and lets the stages go through it. Each takes
// exactly as much as the one before it wrote, or the measurement is void.
func (c *cluster) stages(ctx context.Context, in *input, t *table, names []string, by transport) error {
	where := []string{"--kafka.topic_prefix", by.prefix}
	if _, err := c.finish(ctx, c.command("topics", "flowctl", slices.Concat([]string{"topics", "--kafka.brokers", c.kafka}, where)...)); err != nil {
		return err
	}
	if _, err := c.finish(ctx, c.command("publish", "flowctl", slices.Concat([]string{"publish", "--quiet", "--kafka.brokers", c.kafka,
		"--set", "kafka.compression=" + by.codec}, where, []string{in.path})...)); err != nil {
		return err
	}
	takes, deduped := in.Flows, uint64(0)
	for _, name := range names {
		args := append(where, "--kafka.compression", by.codec)
		finished := func(m metrics) bool { return m.recordsIn == takes }
		if name == "sink" {
			args = append(args, "--clickhouse.addr", c.clickhouse)
			// Of the versions of a conversation that fall into one insert, it writes the last.
			finished = func(m metrics) bool { return m.rows["flows"] == deduped && m.read["biflows"] == takes }
		}
		s, err := c.startService(ctx, name, args...)
		if err != nil {
			return err
		}
		at, err := s.finished(ctx, finished)
		if err = errors.Join(err, s.stop()); err != nil {
			return err
		}
		if c.chosen(name) {
			t.add(name+by.aside, s.cost)
		}
		switch name {
		case "dedup":
			deduped, takes = at.recordsOut, at.recordsOut
		case "stitch":
			takes = at.recordsOut
		case "detect":
			// It reads what the sink reads: the conversations.
		}
	}
	return nil
}

// ingest sends the capture over UDP, on topics of its own.
func (c *cluster) ingest(ctx context.Context, in *input, t *table, line, compression string) error {
	return patiently(func(slower int) error {
		prefix := "ingest." + compression + strconv.Itoa(slower) + "."
		if _, err := c.finish(ctx, c.command("topics", "flowctl", "topics", "--kafka.brokers", c.kafka, "--kafka.topic_prefix", prefix)); err != nil {
			return err
		}
		port, err := freePort("udp")
		if err != nil {
			return err
		}
		s, err := c.startService(ctx, systemIngest, "--listen", fmt.Sprintf("%s:%d", localhost, port), "--kafka.topic_prefix", prefix,
			"--receive_buffer", strconv.Itoa(receiveBuffer), "--kafka.compression", compression)
		if err != nil {
			return err
		}
		defer s.kill()
		udp := c.sender(port, slower)
		lost, err := udp.send(ctx, in.path)
		if err != nil {
			return err
		}
		at, err := s.finished(ctx, func(m metrics) bool { return m.decoded == in.DataRecords || m.dropped > 0 })
		if err = errors.Join(err, s.stop()); err != nil {
			return err
		}
		if lost+at.dropped > 0 {
			return fmt.Errorf("ingest: %w: %d of %d", errLost, lost+at.dropped, udp.sent)
		}
		t.add(line, s.cost)
		return nil
	})
}

// service is a process with metrics.
type service struct {
	*process
	url string
}

func (c *cluster) startService(ctx context.Context, name string, args ...string) (*service, error) {
	port, err := freePort("tcp")
	if err != nil {
		return nil, err
	}
	addr := fmt.Sprintf("%s:%d", localhost, port)
	s := &service{process: c.command(name, name, slices.Concat([]string{"--kafka.brokers", c.kafka, "--http.addr", addr}, args)...), url: "http://" + addr}
	if err := s.start(); err != nil {
		return nil, err
	}
	err = s.until(ctx, servicePatience, "it was ready", func(ctx context.Context) (bool, error) {
		_, err := get(ctx, s.url+"/readyz")
		return err == nil, err
	})
	if err != nil {
		s.kill()
	}
	return s, err
}

// finished waits until the service has done its work and written what came of
// it: everything is taken in, nothing waits, and nothing moves any more.
func (s *service) finished(ctx context.Context, worked func(metrics) bool) (now metrics, err error) {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	moved, asked := time.Now(), 0
	err = s.until(ctx, workPatience, "it had done its work", func(ctx context.Context) (bool, error) {
		// Asking costs the service CPU: little, and rarely.
		if asked++; asked%4 != 0 {
			return false, nil
		}
		text, err := get(ctx, s.url+"/metrics")
		if err != nil {
			return false, err
		}
		before := now
		now = readMetrics(text)
		switch {
		case !reflect.DeepEqual(before, now):
			moved = time.Now()
			return false, nil
		case worked(now) && now.lag == 0 && now.queued == 0:
			return true, nil
		case time.Since(moved) > stillPatience:
			giveUp(fmt.Errorf("nothing has moved for %s", stillPatience))
		}
		return false, nil
	})
	if err != nil {
		err = fmt.Errorf("%w\nit stood at %+v", err, now)
	}
	return now, err
}
