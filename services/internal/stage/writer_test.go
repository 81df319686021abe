package stage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// newBrokers starts embedded brokers for one test, and topics on them.
func newBrokers(t *testing.T, n int) (*kfake.Cluster, Config) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(n))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cfg := toyConfig(8, 2)
	cfg.Brokers = c.ListenAddrs()
	cfg.TopicPrefix = "test."
	ensure(t, cfg)
	return c, cfg
}

// startSource makes a source of flows.raw, says its first tick, and only then runs it.
func startSource(t *testing.T, cfg Config) (src *Source, end func()) {
	t.Helper()
	src, err := NewSource(cfg, "ingest/test", []string{FlowsRaw}, SourceOptions{Block: true}, nil, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	sayEverywhere(t, src, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	done := make(chan error, 1)
	go func() { done <- src.Run(ctx) }()
	return src, func() {
		t.Helper()
		defer cancel()
		if err := src.Close(ctx, ByeStop); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// sayEverywhere says a record to each partition in a tick.
func sayEverywhere(t *testing.T, src *Source, tick eventtime.Tick) {
	t.Helper()
	for p := range src.Partitions(0) {
		if err := src.Append(0, p, text(fmt.Sprint(tick))); err != nil {
			t.Fatal(err)
		}
	}
	if err := src.EndTick(tick); err != nil {
		t.Fatal(err)
	}
}

// TestOneRequestPerBroker: what waits for the partitions of a broker goes to it in one
// request.
func TestOneRequestPerBroker(t *testing.T) {
	for _, brokers := range []int{1, 3} {
		c, cfg := newBrokers(t, brokers)
		var mu sync.Mutex
		requests, partitions := map[int32]int{}, 0
		c.ControlKey(int16(kmsg.Produce), func(r kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			mu.Lock()
			defer mu.Unlock()
			if partitions == cfg.Partitions.Conversations {
				return nil, nil, false // that is the farewell
			}
			requests[c.CurrentNode()]++
			for _, topic := range r.(*kmsg.ProduceRequest).Topics {
				partitions += len(topic.Partitions)
			}
			return nil, nil, false
		})
		src, end := startSource(t, cfg)
		if err := src.writer.reached(t.Context(), src.writer.positions()); err != nil {
			t.Fatal(err)
		}
		end()
		for node, n := range requests {
			if n != 1 {
				t.Errorf("of %d brokers %d got %d requests", brokers, node, n)
			}
		}
		if partitions != cfg.Partitions.Conversations {
			t.Errorf("%d partitions were written to in the first requests, %v", partitions, requests)
		}
	}
}

// TestLeadersMove: a partition whose leader is another one now is written there, while the
// others go on; all arrives in order, once.
func TestLeadersMove(t *testing.T) {
	c, cfg := newBrokers(t, 2)
	src, end := startSource(t, cfg)
	var want []string
	for tick := range eventtime.Tick(30) {
		if tick > 0 {
			sayEverywhere(t, src, 1+tick)
		}
		want = append(want, fmt.Sprint(1+tick))
		if err := src.writer.reached(t.Context(), src.writer.positions()); err != nil {
			t.Fatal(err)
		}
		if tick%10 == 5 {
			node := int32(tick/10) % 2
			for _, p := range []int32{0, 1, 5} {
				if err := c.MoveTopicPartition(cfg.Topic(FlowsRaw), p, node); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	end()
	for p, log := range readLogs(t, cfg, FlowsRaw)[FlowsRaw] {
		var got []string
		next := int64(0)
		for _, raw := range log {
			m := message{fields: raw.fields, value: raw.value}
			if err := m.parse(false); err != nil {
				t.Fatal(err)
			}
			if m.seq == next && m.count > 0 {
				got = append(got, texts(t, m.value)...)
				next += int64(m.count)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("partition %d (-want, +got)\n%s", p, diff)
		}
	}
}

// TestMarksOnTheirWay: a mark replaces one that waits, not one that is being written.
func TestMarksOnTheirWay(t *testing.T) {
	var l lane
	l.add(mark(0, 1))
	l.take()
	l.add(mark(0, 2))
	l.add(mark(0, 3))
	l.acknowledged()
	var left []string
	for _, m := range l.queue {
		left = append(left, fmt.Sprint(m.tick))
	}
	if got := strings.Join(left, " "); got != "3" || l.put-l.done != 1 {
		t.Errorf("ticks %q are left, of %d messages %d are written", got, l.put, l.done)
	}
}

// TestMemoryOfMessages: what was acknowledged gives its memory back, unless an attempt
// failed, which may still read it.
func TestMemoryOfMessages(t *testing.T) {
	for _, failed := range []bool{false, true} {
		const size = 8 << 20 // nobody else's
		l := &lane{}
		value := append(buffers.get(size), 1)
		l.add(outgoing{value: value, count: 1, pooled: true})
		l.take()
		if failed {
			l.failed()
			l.take()
		}
		l.acknowledged()
		again := append(buffers.get(size), 1)
		if given := &again[0] == &value[0]; given == failed {
			t.Errorf("failed %v: memory was given back: %v", failed, given)
		}
	}
}

// TestOffsetsOutliveAConnection: a broker that goes away while it is asked is asked again.
func TestOffsetsOutliveAConnection(t *testing.T) {
	brokers, cfg := newBrokers(t, 1)
	asked := 0
	brokers.ControlKey(int16(kmsg.ListOffsets), func(kmsg.Request) (kmsg.Response, error, bool) {
		brokers.KeepControl()
		if asked++; asked <= 3 {
			return nil, errors.New("the connection breaks"), true
		}
		return nil, nil, false
	})
	c := cfg.client()
	defer c.close()
	if _, end, err := c.offsets(t.Context(), cfg.Topic(FlowsRaw), 0); err != nil || end != 0 {
		t.Errorf("%d, %v", end, err)
	}
	if asked <= 3 {
		t.Errorf("asked %d times", asked)
	}
}
