package main

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/flowledger/flowledger/services/internal/dispatch"
	"github.com/flowledger/flowledger/services/internal/embedded"
	"github.com/flowledger/flowledger/services/internal/embedded/port"
	"github.com/flowledger/flowledger/services/internal/stage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker is a Kafka broker in this process that can go away and come back.
type broker struct {
	*embedded.Broker
	cfg embedded.BrokerConfig
}

func startBroker(t *testing.T) *broker {
	t.Helper()
	addr, release, err := port.Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	b := &broker{cfg: embedded.BrokerConfig{Dir: t.TempDir()}}
	_, number, _ := strings.Cut(addr, ":")
	b.cfg.Port, _ = strconv.Atoi(number)
	b.start(t)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func (b *broker) start(t *testing.T) {
	t.Helper()
	var err error
	if b.Broker, err = embedded.StartBroker(t.Context(), b.cfg); err != nil {
		t.Fatal(err)
	}
}

// patience is how long a test waits for what must come: a machine that has other work
// may take many times as long as one that has none.
const patience = 3 * time.Minute

// testConfig is ingest on a loopback port of the kernel's choice.
func testConfig(t *testing.T, b *broker) Config {
	t.Helper()
	cfg := Default()
	cfg.Listen = []string{"127.0.0.1:0"}
	cfg.Kafka.Brokers = []string{b.Addr()}
	cfg.Kafka.Partitions.Exporters = 2
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := stage.EnsureTopics(ctx, cfg.Kafka); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// record is one message as the broker has it.
type record struct {
	topic   string
	part    int32
	headers map[string]string
	value   []byte
}

func (r *record) number(t *testing.T, header string) int64 {
	n, err := strconv.ParseInt(r.headers[header], 10, 64)
	if err != nil {
		t.Fatalf("%s/%d: header %s: %v", r.topic, r.part, header, err)
	}
	return n
}

// readAll reads every topic that ingest writes, from the beginning to the end.
func readAll(t *testing.T, cfg *Config) (records []record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Kafka.Brokers...), kgo.ConsumeTopics(dispatch.Topics()...),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	left := 0
	for _, n := range endOffsets(ctx, t, client) {
		left += n
	}
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got := record{topic: r.Topic, part: r.Partition, headers: map[string]string{}, value: r.Value}
			for _, h := range r.Headers {
				got.headers[h.Key] = string(h.Value)
			}
			records = append(records, got)
			left--
		})
	}
	return records
}

// endOffsets is the number of messages in every partition.
func endOffsets(ctx context.Context, t *testing.T, client *kgo.Client) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, topic := range dispatch.Topics() {
		entry, _ := stage.TopicNamed(topic)
		parts := map[stage.Class]int{stage.ByConversation: 4, stage.ByExporter: 2}[entry.Class]
		req := kmsg.NewPtrListOffsetsRequest()
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic = topic
		for p := range parts {
			rp := kmsg.NewListOffsetsRequestTopicPartition()
			rp.Partition, rp.Timestamp = int32(p), -1
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
		res, err := req.RequestWith(ctx, client)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range res.Topics[0].Partitions {
			counts[topic] += int(p.Offset)
		}
	}
	return counts
}

// await polls until the condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}
