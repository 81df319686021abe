package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/embedded"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/run"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/sink/rows"
)

// newKafka starts a broker with all topics.
func newKafka(t *testing.T) stage.Config {
	t.Helper()
	broker, err := embedded.StartBroker(t.Context(), embedded.BrokerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	cfg := stage.Default()
	cfg.Brokers = []string{broker.Addr()}
	cfg.TopicPrefix = "t."
	cfg.Partitions = stage.Partitions{Conversations: 2, Hosts: 2, Exporters: 1}
	if err := stage.EnsureTopics(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// publish writes ticks of flows, conversations and alerts, and ends the timeline.
func publish(t *testing.T, cfg stage.Config, ticks, perTick int) {
	t.Helper()
	topics := []string{stage.FlowsDeduped, stage.Biflows, stage.Alerts}
	source, err := stage.NewSource(cfg, "stitch/0", topics, stage.SourceOptions{Block: true}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = source.Run(ctx) })
	defer wg.Wait()
	defer stop()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	id := uint64(0)
	for i := range ticks {
		tick := eventtime.TickOf(1789725600e9) + eventtime.Tick(i)
		for range perTick {
			id++
			client := []byte{10, 0, byte(id >> 8), byte(id)}
			must(source.Append(0, int(id%2), &flowv1.Flow{TimeReceivedNs: tick.Ns(), SrcAddr: client, Bytes: id}))
			must(source.Append(1, flow.Partition(flow.HostHash(client), 2), &flowv1.Biflow{
				FlowId: id, Version: 1, ClientAddr: client, ServerAddr: []byte{192, 0, 2, 1}, TimeOpenedNs: tick.Ns(), ClientBytes: id}))
		}
		must(source.AppendMessage(2, i%2, []byte("10.0.0.1"), fmt.Appendf(nil, `{"time":%d,"finding_info":{"uid":"f%d"}}`, i, i)))
		must(source.EndTick(tick))
	}
	must(source.Close(ctx, stage.ByeEndOfInput))
}

// caughtUp waits until all that the log holds is in the ledger.
func caughtUp(t *testing.T, cfg stage.Config, l *ledger) {
	t.Helper()
	peek := stage.NewPeek(cfg)
	defer peek.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, topic := range rows.Topics() {
		for p := range cfg.PartitionsOf(topic) {
			_, end, err := peek.Offsets(ctx, topic, p)
			if err != nil {
				t.Fatal(err)
			}
			for end > 0 {
				at, err := l.position(ctx, cfg.Topic(topic), p)
				if err != nil {
					t.Fatalf("%s/%d is not written up to %d: %v", topic, p, end, err)
				}
				if at != nil && at.Next >= end {
					break
				}
				if run.Pause(ctx, 20*time.Millisecond) != nil {
					t.Fatalf("%s/%d is written up to %v, not %d", topic, p, at, end)
				}
			}
		}
	}
}

// runSink runs a drain into the ledger until stop is called.
func runSink(t *testing.T, cfg stage.Config, l *ledger) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		log := slog.New(slog.DiscardHandler)
		dst := &destination{ledger: l, prefix: cfg.TopicPrefix, cut: Default().Cut, metrics: newMetrics(prometheus.NewRegistry()), log: log}
		if err := stage.Drain(ctx, cfg, "sink", rows.Topics(), dst, prometheus.NewRegistry(), log); err != nil {
			t.Errorf("the drain ended: %v", err)
		}
	})
	return func() { cancel(); wg.Wait() }
}

// From the log into the ledger, by sinks that come and go.
func TestDrainIntoTheLedger(t *testing.T) {
	l, cfg := newLedger(t), newKafka(t)
	const ticks, perTick = 40, 25
	first := runSink(t, cfg, l)
	publish(t, cfg, ticks, perTick)
	second := runSink(t, cfg, l)
	defer second()
	first()
	caughtUp(t, cfg, l)
	n := ticks * perTick
	want := fmt.Sprintf("%d\t%d\t%d\t%d\t%d\t%d\t%d", n, n*(n+1)/2, n, n*(n+1)/2, 2*n, n, ticks)
	got := ask(t, l.conn, `SELECT (SELECT count() FROM flows), (SELECT sum(bytes) FROM flows), (SELECT count() FROM biflows), (SELECT sum(client_bytes) FROM biflows),
		(SELECT count() FROM host_biflows), (SELECT uniqExact(client_addr) FROM first_seen), (SELECT count() FROM alerts)`)
	if len(got) != 1 || got[0] != want {
		t.Errorf("the ledger holds %v, want %s", got, want)
	}
}
