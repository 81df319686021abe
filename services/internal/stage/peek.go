package stage

import (
	"context"
	"time"
)

// Peek looks into topics for people and tools: it joins no group, keeps no
// position and checks no sequences.
type Peek struct {
	cfg    Config
	client *client
}

// NewPeek makes a Peek. Close it when done.
func NewPeek(cfg Config) *Peek { return &Peek{cfg: cfg, client: cfg.client()} }

// Close gives the connections back.
func (p *Peek) Close() { p.client.close() }

// Partitions is the number of partitions that a topic of the catalogue has on
// the brokers, 0 where it is not there.
func (p *Peek) Partitions(ctx context.Context, topic string) (int, error) {
	name := p.cfg.Topic(topic)
	counts, err := p.client.partitionCounts(ctx, []string{name})
	return counts[name], err
}

// Offsets are the first offset of a partition and the one behind its last message.
func (p *Peek) Offsets(ctx context.Context, topic string, partition int) (first, end int64, err error) {
	return p.client.offsets(ctx, p.cfg.Topic(topic), partition)
}

// Read calls f with the messages of a partition from an offset on, as far as one
// answer of the broker goes; it waits for the first up to the given time. It
// returns the offset to go on from. A message without our headers comes with its
// value alone. The message is f's during the call.
func (p *Peek) Read(ctx context.Context, topic string, partition int, from int64, wait time.Duration, f func(*Message) error) (next int64, err error) {
	entry, _ := TopicNamed(topic)
	reader := fetcher{client: p.client, topic: p.cfg.Topic(topic), partition: partition, plain: entry.Plain, next: from}
	chunk, err := reader.fetchWithin(ctx, wait)
	if err != nil {
		return from, err
	}
	for i := range chunk.messages {
		if err := f(chunk.messages[i].exported(topic, partition)); err != nil {
			return chunk.messages[i].next(), err
		}
	}
	return reader.next, nil
}

// exported is the message as others see it.
func (m *message) exported(topic string, partition int) *Message {
	out := &Message{
		Topic: topic, Partition: partition, Offset: m.offset, Time: m.time,
		Source: m.source, Seq: m.seq, Tick: m.tick, TickEnd: m.end, Bye: m.bye,
		Headers: make(map[string]string, len(m.fields)), Key: m.key, Value: m.value, Count: m.count,
	}
	for _, f := range m.fields {
		out.Headers[f.key] = string(f.value)
	}
	return out
}
