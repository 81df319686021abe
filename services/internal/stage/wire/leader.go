package wire

import (
	"context"
	"slices"

	"github.com/segmentio/kafka-go/protocol/metadata"
)

// Leaders tells which broker leads a partition, as kafka-go knows it: no broker is asked.
type Leaders struct{ topics []metadata.ResponseTopic }

// Leaders are those of the partitions of topics.
func (c *Conns) Leaders(ctx context.Context, topics []string) (l Leaders) {
	m, err := c.Transport.RoundTrip(ctx, c.Addr, &metadata.Request{TopicNames: topics})
	if err == nil {
		l.topics = m.(*metadata.Response).Topics
	}
	return l
}

// Of is the leader's id, negative where none is known.
func (l Leaders) Of(topic string, partition int) int32 {
	for i := range l.topics {
		if t := &l.topics[i]; t.Name == topic {
			if p, ok := slices.BinarySearchFunc(t.Partitions, int32(partition), func(p metadata.ResponsePartition, id int32) int {
				return int(p.PartitionIndex - id)
			}); ok {
				return t.Partitions[p].LeaderID
			}
		}
	}
	return -1
}
