package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/flowledger/flowledger/services/internal/embedded/sessions"
	"github.com/flowledger/flowledger/services/internal/eventtime"
)

func TestMain(m *testing.M) {
	buffers.spoil = true
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what must come: a machine that has other work
// may take many times as long as one that has none.
const patience = 3 * time.Minute

// newBroker starts an embedded broker for one test.
func newBroker(t *testing.T) Config {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	stop, err := sessions.Keep(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	cfg := toyConfig(3, 2)
	cfg.Brokers = c.ListenAddrs()
	cfg.TopicPrefix = "test."
	cfg.SnapshotInterval = 100 * time.Millisecond
	cfg.SessionTimeout = 2 * time.Second
	cfg.RebalanceTimeout = 3 * time.Second
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func testLog(t *testing.T) *slog.Logger {
	if os.Getenv("STAGE_LOG") == "" {
		return slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, nil)).With("test", t.Name())
}

// network is a member's way to the broker, which can be cut: as kill -9 does, all
// connections end at once and none is made any more.
type network struct {
	mu    sync.Mutex
	conns []net.Conn
	cut   bool
}

var errCut = errors.New("the network is cut")

func (n *network) dial(ctx context.Context, kind, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, kind, address)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut {
		if err == nil {
			_ = c.Close()
		}
		return nil, errCut
	}
	if err == nil {
		n.conns = append(n.conns, c)
	}
	return c, err
}

func (n *network) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = true
	for _, c := range n.conns {
		_ = c.Close()
	}
}

// process is one member of a stage that a test can stop or kill.
type process struct {
	t      *testing.T
	net    *network
	health *Health
	cancel context.CancelFunc
	done   chan error
}

// startStage runs a stage beside the test.
func startStage(t *testing.T, cfg Config, spec Spec) *process {
	return start(t, cfg, func(ctx context.Context, cfg Config) error { return Run(ctx, cfg, spec, nil, testLog(t)) })
}

func start(t *testing.T, cfg Config, f func(context.Context, Config) error) *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{t: t, net: &network{}, health: &Health{}, cancel: cancel, done: make(chan error, 1)}
	cfg.dial, cfg.Health = p.net.dial, p.health
	go func() { p.done <- f(ctx, cfg) }()
	t.Cleanup(func() {
		p.kill()
		<-p.done
	})
	return p
}

// stop ends the process cleanly.
func (p *process) stop() {
	p.t.Helper()
	p.cancel()
	select {
	case err := <-p.done:
		p.done <- err
		if err != nil {
			p.t.Errorf("a clean stop gave %v", err)
		}
	case <-time.After(patience):
		p.t.Error("the process does not stop")
	}
}

// kill cuts the process off. It ends some time; whatever it still tries has no effect.
func (p *process) kill() {
	p.net.kill()
	p.cancel()
}

// await waits for a condition.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// readLogs copies topics out of the broker.
func readLogs(t *testing.T, cfg Config, topics ...string) map[string][][]stored {
	t.Helper()
	c := cfg.client()
	defer c.close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	logs := map[string][][]stored{}
	for _, topic := range topics {
		entry, _ := TopicNamed(topic)
		for p := range cfg.PartitionsOf(topic) {
			_, end, err := c.offsets(ctx, cfg.Topic(topic), p)
			if err != nil {
				t.Fatal(err)
			}
			f := fetcher{client: c, topic: cfg.Topic(topic), partition: p, plain: entry.Plain}
			log := []stored{}
			for f.next < end {
				got, err := f.fetch(ctx)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range got.messages {
					log = append(log, stored{fields: m.fields, key: m.key, value: m.value, ms: m.time.UnixMilli()})
				}
			}
			logs[topic] = append(logs[topic], log)
		}
	}
	return logs
}

// ended tells whether every partition of a topic carries the last word of a
// number of sources.
func ended(t *testing.T, cfg Config, topic string, sources int) bool {
	for _, log := range readLogs(t, cfg, topic)[topic] {
		over := map[string]bool{}
		for _, s := range log {
			m := message{fields: s.fields, value: s.value}
			if err := m.parse(false); err != nil {
				t.Fatal(err)
			}
			if m.bye == ByeEndOfInput {
				over[m.source] = true
			}
		}
		if len(over) < sources {
			return false
		}
	}
	return true
}

// feed publishes a script as one source, ticks at the pace of pause.
func feed(t *testing.T, cfg Config, s *script, pause func(eventtime.Tick)) {
	t.Helper()
	src, err := NewSource(cfg, "ingest/test", []string{FlowsRaw}, SourceOptions{Block: true}, nil, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- src.Run(ctx) }()
	for tick := eventtime.Tick(1); tick <= s.ticks; tick++ {
		for _, r := range s.records[0][tick] {
			if err := src.Append(0, int(r.key)%src.Partitions(0), &r); err != nil {
				t.Fatal(err)
			}
		}
		if err := src.EndTick(tick); err != nil {
			t.Fatal(err)
		}
		if pause != nil {
			pause(tick)
		}
	}
	if err := src.Close(ctx, ByeEndOfInput); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// written is a pause of feed: until the tick is in the log, so that what happens between
// two ticks happens amid the stream and not after it.
func written(t *testing.T, cfg Config) (pause func()) {
	t.Helper()
	c := cfg.client()
	t.Cleanup(c.close)
	before := int64(0)
	return func() {
		await(t, "the tick in the log", func() bool {
			_, end, err := c.offsets(t.Context(), cfg.Topic(FlowsRaw), 0)
			if err != nil {
				t.Fatal(err)
			}
			grown := end > before
			before = end
			return grown
		})
	}
}

// feedConfig has a queue so small that the source must wait.
func feedConfig(cfg Config) Config {
	cfg.QueueBytes = 1 << 20
	return cfg
}

func ensure(t *testing.T, cfg Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := EnsureTopics(ctx, cfg); err != nil {
		t.Fatal(fmt.Errorf("topics: %w", err))
	}
}

// dropLog does what retention does: everything that is in a topic is gone.
func dropLog(t *testing.T, cfg Config, topic string) {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req := kmsg.NewPtrDeleteRecordsRequest()
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rt.Topic = cfg.Topic(topic)
	for p := range cfg.PartitionsOf(topic) {
		rp := kmsg.NewDeleteRecordsRequestTopicPartition()
		rp.Partition, rp.Offset = int32(p), -1
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	if _, err := req.RequestWith(ctx, cl); err != nil {
		t.Fatal(err)
	}
}
