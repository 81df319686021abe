package kafkatest

import (
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// Client is kafka-go on one broker, failing the test on every error.
type Client struct {
	addr string
	kafka.Client
}

// New returns a client of the broker at addr.
func New(addr string) *Client {
	return &Client{addr: addr, Client: kafka.Client{Addr: kafka.TCP(addr)}}
}

// CreateTopic creates a topic.
func (c *Client) CreateTopic(t testing.TB, topic string, partitions int, config ...kafka.ConfigEntry) {
	t.Helper()
	answer, err := c.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{
		{Topic: topic, NumPartitions: partitions, ReplicationFactor: 1, ConfigEntries: config},
	}})
	if err == nil {
		err = answer.Errors[topic]
	}
	if err != nil {
		t.Fatalf("create topic %s: %v", topic, err)
	}
	c.awaitLeaders(t, topic, partitions)
}

// retryPoll is how often a broker is asked again.
const retryPoll = 20 * time.Millisecond

// awaitLeaders waits until each partition of a new topic can be written to: a
// real broker answers a creation before that.
func (c *Client) awaitLeaders(t testing.TB, topic string, partitions int) {
	t.Helper()
	for partition := range partitions {
		for {
			answer, err := c.ListOffsets(t.Context(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: {kafka.LastOffsetOf(partition)}}})
			if err == nil {
				err = answer.Topics[topic][0].Error
			}
			if err == nil {
				break
			}
			select {
			case <-t.Context().Done():
				t.Fatalf("partition %d of %s has no leader: %v", partition, topic, err)
			case <-time.After(retryPoll):
			}
		}
	}
}

// Produce writes values to a partition and waits for all replicas.
func (c *Client) Produce(t testing.TB, topic string, partition int, values ...string) *kafka.ProduceResponse {
	t.Helper()
	records := make([]kafka.Record, len(values))
	for i, value := range values {
		records[i] = kafka.Record{
			Value:   kafka.NewBytes([]byte(value)),
			Headers: []kafka.Header{{Key: "seq", Value: []byte("7")}},
		}
	}
	answer, err := c.Client.Produce(t.Context(), &kafka.ProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafka.RequireAll,
		Compression: kafka.Zstd, Records: kafka.NewRecordReader(records...),
	})
	if err == nil {
		err = answer.Error
	}
	if err != nil {
		t.Fatalf("produce to %s/%d: %v", topic, partition, err)
	}
	return answer
}

// Values reads the first n values of a partition.
func (c *Client) Values(t testing.TB, topic string, partition, n int) []string {
	t.Helper()
	reader := kafka.NewReader(kafka.ReaderConfig{Brokers: []string{c.addr}, Topic: topic, Partition: partition, MaxBytes: 10 << 20, MaxWait: 100 * time.Millisecond})
	defer reader.Close()
	values := make([]string, 0, n)
	for len(values) < n {
		m, err := reader.ReadMessage(t.Context())
		if err != nil {
			t.Fatalf("read %s/%d after %d messages: %v", topic, partition, len(values), err)
		}
		values = append(values, string(m.Value))
	}
	return values
}

// CommitOffset commits a group's offset outside of any generation.
func (c *Client) CommitOffset(t testing.TB, group, topic string, partition int, offset int64) {
	t.Helper()
	answer, err := c.OffsetCommit(t.Context(), &kafka.OffsetCommitRequest{
		GroupID: group, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: partition, Offset: offset}}},
	})
	if err == nil {
		err = answer.Topics[topic][0].Error
	}
	if err != nil {
		t.Fatalf("commit %s of %s/%d: %v", group, topic, partition, err)
	}
}

// Offset is what a group has committed.
func (c *Client) Offset(t testing.TB, group, topic string, partition int) int64 {
	t.Helper()
	answer, err := c.OffsetFetch(t.Context(), &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: {partition}}})
	if err == nil {
		err = answer.Error
	}
	if err != nil {
		t.Fatalf("fetch the offset of %s in %s/%d: %v", group, topic, partition, err)
	}
	return answer.Topics[topic][0].CommittedOffset
}

// Partitions is how many partitions a topic has.
func (c *Client) Partitions(t testing.TB, topic string) int {
	t.Helper()
	answer, err := c.Metadata(t.Context(), &kafka.MetadataRequest{Topics: []string{topic}})
	if err == nil {
		err = answer.Topics[0].Error
	}
	if err != nil {
		t.Fatalf("metadata of %s: %v", topic, err)
	}
	return len(answer.Topics[0].Partitions)
}

// Ends are the first offset and the one behind the last of a partition.
func (c *Client) Ends(t testing.TB, topic string, partition int) (first, last int64) {
	t.Helper()
	answer, err := c.ListOffsets(t.Context(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{
		topic: {kafka.FirstOffsetOf(partition), kafka.LastOffsetOf(partition)},
	}})
	if err == nil {
		err = answer.Topics[topic][0].Error
	}
	if err != nil {
		t.Fatalf("list offsets of %s/%d: %v", topic, partition, err)
	}
	return answer.Topics[topic][0].FirstOffset, answer.Topics[topic][0].LastOffset
}
