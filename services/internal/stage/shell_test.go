package stage

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// busyScript says a few hundred records over some seconds.
func busyScript(ticks eventtime.Tick) *script {
	rng := rand.New(rand.NewPCG(7, 7))
	s := &script{sources: 1, ticks: ticks, records: [][][]toyRecord{make([][]toyRecord, ticks+1)}}
	for t := eventtime.Tick(1); t <= ticks; t++ {
		for range rng.IntN(6) {
			key := rng.Uint64N(40)
			s.records[0][t] = append(s.records[0][t], toyRecord{id: rng.Uint64(), key: key, group: key % 7, n: 1 + rng.Uint64N(99)})
		}
	}
	return s
}

// verify holds what is in the broker against an ideal run over the same input.
func verify(t *testing.T, cfg Config) {
	t.Helper()
	logs := readLogs(t, cfg, append([]string{FlowsRaw, Policy}, toyTopics...)...)
	rng := rand.New(rand.NewPCG(1, 1))
	ideal := newModel(t, rng, cfg, map[string][][]stored{FlowsRaw: logs[FlowsRaw], Policy: logs[Policy]})
	ideal.settle()
	real := newModel(t, rng, cfg, logs)
	for _, topic := range toyTopics {
		want, got := ideal.seen(topic), real.seen(topic)
		if !reflect.DeepEqual(want, got) {
			t.Errorf("%s differs (-ideal, +real):\n%s", topic, cmp.Diff(want, got))
		}
		if len(want) == 0 {
			t.Errorf("%s is empty: the test shows nothing", topic)
		}
	}
}

func TestStagesThroughKafka(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	var all []*process
	for _, spec := range toyChain() {
		all = append(all, startStage(t, cfg, spec))
	}
	feed(t, feedConfig(cfg), busyScript(120), nil)
	await(t, "the end of input", func() bool { return ended(t, cfg, Activity, 2) })
	for _, p := range all {
		await(t, "a stage to be ready", func() bool { return p.health.Ready() == nil }) // it may have been given up for being slow
		p.stop()
	}
	verify(t, cfg)
}

// Two members of each stage, one of which is killed or stopped again and again:
// nothing is lost, nothing is there twice.
func TestKillsAndRebalances(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	specs := toyChain()
	members := map[int][]*process{}
	for range 2 {
		for i := range specs {
			members[i] = append(members[i], startStage(t, cfg, specs[i]))
		}
	}
	rng := rand.New(rand.NewPCG(3, 3))
	written := written(t, cfg)
	pause := func(tick eventtime.Tick) {
		written()
		if tick%20 != 0 {
			return
		}
		i, k := rng.IntN(len(specs)), rng.IntN(2)
		if rng.IntN(3) > 0 {
			members[i][k].kill()
		} else {
			members[i][k].stop()
		}
		members[i][k] = startStage(t, cfg, specs[i])
	}
	feed(t, feedConfig(cfg), busyScript(120), pause)
	await(t, "the end of input", func() bool { return ended(t, cfg, Activity, 2) })
	for i := range specs {
		for _, p := range members[i] {
			p.stop()
		}
	}
	verify(t, cfg)
}

// A clean stop stores the state: whoever comes next reads nothing twice.
func TestCleanStopReplaysNothing(t *testing.T) {
	cfg := newBroker(t)
	cfg.SnapshotInterval = time.Hour
	cfg.SessionTimeout = patience // who is given up for being slow does not stop cleanly
	ensure(t, cfg)
	spec := toyChain()[0]
	first := startStage(t, cfg, spec)
	feed(t, cfg, busyScript(30), nil)
	await(t, "the end of input", func() bool { return ended(t, cfg, FlowsDeduped, 1) })
	first.stop()
	before := readLogs(t, cfg, FlowsDeduped)
	second := startStage(t, cfg, spec)
	await(t, "recovery", func() bool { return second.health.Ready() == nil })
	second.stop()
	if after := readLogs(t, cfg, FlowsDeduped); !reflect.DeepEqual(before, after) {
		t.Errorf("the second member wrote something again")
	}
}

func TestOtherPartitionCountIsRefused(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	cfg.Partitions.Conversations = 5
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var wrong *PartitionError
	for name, f := range map[string]func() error{
		"topics": func() error { return EnsureTopics(ctx, cfg) },
		"stage":  func() error { return Run(ctx, cfg, toyChain()[0], nil, testLog(t)) },
		"drain":  func() error { return Drain(ctx, cfg, "sink", []string{FlowsDeduped}, nil, nil, testLog(t)) },
	} {
		err := f()
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "kafka.partitions.conversations") {
			t.Errorf("%s: with another number of partitions: %v", name, err)
		}
	}
}

// Who is started before Kafka, and before the topics, waits, says for what, and
// begins when they are there.
func TestStartBeforeKafka(t *testing.T) {
	cfg := newBroker(t)
	for name, f := range map[string]func(context.Context, Config) error{
		"stage": func(ctx context.Context, cfg Config) error { return Run(ctx, cfg, toyChain()[0], nil, testLog(t)) },
		"drain": func(ctx context.Context, cfg Config) error {
			return Drain(ctx, cfg, "sink", []string{FlowsDeduped}, newTable(), nil, testLog(t))
		},
	} {
		cfg.TopicPrefix = name + "."
		var there atomic.Bool
		p := start(t, cfg, func(ctx context.Context, cfg Config) error {
			dial := cfg.dial
			cfg.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				if !there.Load() {
					return nil, errCut
				}
				return dial(ctx, network, address)
			}
			return f(ctx, cfg)
		})
		says := func(what string) func() bool {
			return func() bool {
				err := p.health.Ready()
				return err != nil && strings.Contains(err.Error(), what)
			}
		}
		await(t, name+" to miss Kafka", says(errCut.Error()))
		there.Store(true)
		await(t, name+" to miss the topics", says("topics are missing"))
		ensure(t, cfg)
		await(t, name+" to begin", func() bool { return p.health.Ready() == nil })
		p.stop()
	}
}

// Without its snapshots a stage must not begin anew in silence.
func TestLostStateIsRefused(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	spec := toyChain()[0]
	p := startStage(t, cfg, spec)
	feed(t, cfg, busyScript(30), nil)
	await(t, "the end of input", func() bool { return ended(t, cfg, FlowsDeduped, 1) })
	p.stop()
	dropLog(t, cfg, StateTopic("dedup"))
	p = startStage(t, cfg, spec)
	err := <-p.done
	p.done <- err
	if err == nil || !strings.Contains(err.Error(), "the state is lost") {
		t.Errorf("got %v", err)
	}
}

// What retention took away is counted and said, and life goes on.
func TestMissingOffsetsAreDataLoss(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	feed(t, cfg, busyScript(30), nil)
	dropLog(t, cfg, FlowsRaw)
	c := cfg.client()
	defer c.close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	f := fetcher{client: c, topic: cfg.Topic(FlowsRaw), next: 1}
	got, err := f.fetch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if got.gap <= 0 || f.next != 1+got.gap || got.end != f.next {
		t.Errorf("got a gap of %d up to %d of %d", got.gap, f.next, got.end)
	}
	f.next = got.end + 1
	if _, err := f.fetch(ctx); !errors.Is(err, errBeyond) {
		t.Errorf("behind the end of the log: %v", err)
	}
}
