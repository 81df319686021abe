package kafkatest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// Run tells the story to the broker at addr: topics with settings, explicit
// partitions, append times, offsets, and two members of a group who read what
// was written and commit it.
func Run(t *testing.T, addr string) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := New(addr)
	c.CreateTopic(t, "story", 4,
		kafka.ConfigEntry{ConfigName: "message.timestamp.type", ConfigValue: "LogAppendTime"},
		kafka.ConfigEntry{ConfigName: "retention.ms", ConfigValue: "-1"},
		kafka.ConfigEntry{ConfigName: "max.message.bytes", ConfigValue: "8388608"})
	if n := c.Partitions(t, "story"); n != 4 {
		t.Errorf("%d partitions, want 4", n)
	}
	before := time.Now().Add(-time.Minute)
	c.Produce(t, "story", 2, "a", "b")
	answer := c.Produce(t, "story", 2, "c")
	if answer.BaseOffset != 2 || !answer.LogAppendTime.IsZero() && answer.LogAppendTime.Before(before) {
		t.Errorf("produced at offset %d, time %v; want 2 and, if the broker tells, about now", answer.BaseOffset, answer.LogAppendTime)
	}
	c.Produce(t, "story", 0, string(make([]byte, 4<<20)))
	if first, last := c.Ends(t, "story", 2); first != 0 || last != 3 {
		t.Errorf("offsets %d to %d, want 0 to 3", first, last)
	}
	if first, last := c.Ends(t, "story", 3); first != 0 || last != 0 {
		t.Errorf("offsets of an empty partition %d to %d, want 0 to 0", first, last)
	}
	refuseTopics(t, c)
	readByGroup(ctx, t, c)
}

func refuseTopics(t *testing.T, c *Client) {
	t.Helper()
	answer, err := c.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{Topic: "story", NumPartitions: 1, ReplicationFactor: 1}}})
	if err != nil || !errors.Is(answer.Errors["story"], kafka.TopicAlreadyExists) {
		t.Errorf("a topic twice: %v, %v", err, answer.Errors)
	}
	metadata, err := c.Metadata(t.Context(), &kafka.MetadataRequest{Topics: []string{"nope"}})
	if err != nil || !errors.Is(metadata.Topics[0].Error, kafka.UnknownTopicOrPartition) {
		t.Errorf("a topic that does not exist: %v, %+v", err, metadata.Topics)
	}
}

// readByGroup runs two members until each partition was assigned and its
// records read and committed, then lets a third find the commits.
func readByGroup(ctx context.Context, t *testing.T, c *Client) {
	t.Helper()
	seen := &tally{want: 4, done: make(chan struct{})}
	var members sync.WaitGroup
	memberCtx, stop := context.WithCancel(ctx)
	for range 2 {
		members.Go(func() { member(memberCtx, t, c, seen) })
	}
	select {
	case <-seen.done:
	case <-ctx.Done():
		t.Error("the group does not read all")
	}
	stop()
	members.Wait()
	for partition, want := range map[int]int64{0: 1, 2: 3} {
		if got := c.Offset(t, "story.group", "story", partition); got != want {
			t.Errorf("committed offset of partition %d: %d, want %d", partition, got, want)
		}
	}
}

// tally counts records that a group has read and committed.
type tally struct {
	mu   sync.Mutex
	n    int
	want int
	done chan struct{}
}

func (s *tally) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n += n; s.n >= s.want && s.n-n < s.want {
		close(s.done)
	}
}

func member(ctx context.Context, t *testing.T, c *Client, seen *tally) {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: "story.group", Brokers: []string{c.addr}, Topics: []string{"story"},
		HeartbeatInterval: 200 * time.Millisecond, SessionTimeout: 6 * time.Second,
		RebalanceTimeout: 5 * time.Second, JoinGroupBackoff: 100 * time.Millisecond, StartOffset: kafka.FirstOffset,
	})
	if err != nil {
		t.Errorf("join the group: %v", err)
		return
	}
	defer group.Close()
	for {
		generation, err := group.Next(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			continue // no coordinator yet, or a failed join: kafka-go tries again after its backoff
		}
		for _, assigned := range generation.Assignments["story"] {
			generation.Start(func(ctx context.Context) { readPartition(ctx, t, c, generation, assigned, seen) })
		}
	}
}

func readPartition(ctx context.Context, t *testing.T, c *Client, generation *kafka.Generation, assigned kafka.PartitionAssignment, seen *tally) {
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{c.addr}, Topic: "story", Partition: assigned.ID, MaxBytes: 10 << 20, MaxWait: 100 * time.Millisecond})
	defer reader.Close()
	if err := reader.SetOffset(assigned.Offset); err != nil {
		t.Errorf("seek to %d: %v", assigned.Offset, err)
		return
	}
	for {
		m, err := reader.ReadMessage(ctx)
		if err != nil {
			return // the generation has ended
		}
		if len(m.Headers) != 1 || m.Headers[0].Key != "seq" || m.Time.IsZero() {
			t.Errorf("message %d/%d without its header or time: %+v", m.Partition, m.Offset, m.Headers)
		}
		if err := generation.CommitOffsets(map[string]map[int]int64{"story": {assigned.ID: m.Offset + 1}}); err != nil {
			return // a rebalance got between; the record is read again
		}
		seen.add(1)
	}
}
