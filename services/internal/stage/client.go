package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/flowledger/flowledger/services/internal/run"
	"github.com/flowledger/flowledger/services/internal/stage/wire"
)

// dialFunc makes connections.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

const (
	dialTimeout = 5 * time.Second
	// requestTimeout bounds every request; half of it is what the broker may take.
	requestTimeout = 10 * time.Second
	// metadataTTL bounds how long a moved partition or a new topic goes unnoticed.
	metadataTTL = 3 * time.Second
)

// client talks to the brokers. Close gives its connections back.
type client struct {
	kafka.Client
	transport *kafka.Transport
	// conns are for what goes in bulk.
	conns       wire.Conns
	compression wire.Codec
	cancel      context.CancelFunc
}

func (c *Config) client() *client {
	ctx, cancel := context.WithCancel(context.Background())
	t := &kafka.Transport{Dial: c.dialer(), DialTimeout: dialTimeout, ClientID: wire.ClientID, MetadataTTL: metadataTTL, Context: ctx}
	addr := kafka.TCP(c.Brokers...)
	return &client{
		Client:      kafka.Client{Addr: addr, Timeout: requestTimeout, Transport: t},
		transport:   t,
		conns:       wire.Conns{Transport: t, Addr: addr},
		compression: wire.Codecs[c.Compression],
		cancel:      cancel,
	}
}

func (c *Config) dialer() dialFunc {
	if c.dial != nil {
		return c.dial
	}
	return (&net.Dialer{Timeout: dialTimeout}).DialContext
}

// produce sends a request once, of some record batches that fill adds, of so many bytes
// in all. The error may be of a request that was carried out all the same.
func (c *client) produce(ctx context.Context, codec wire.Codec, batches, size int, fill func(*wire.Produce)) ([]wire.Written, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	request := requests.get()
	defer requests.put(request)
	request.Begin(codec, requestTimeout/2, batches, size)
	fill(request)
	return request.Send(ctx, &c.conns)
}

// insist writes one message alone, as often as it takes until the broker has it or the
// context ends. It may be there twice then. It returns the message's offset.
func (c *client) insist(ctx context.Context, topic string, partition int, codec wire.Codec, value []byte, fields []field, at time.Time, log *slog.Logger) (int64, error) {
	var headers []byte
	for _, f := range fields {
		headers = wire.AppendHeader(headers, f.key, f.value)
	}
	for attempt := 0; ; attempt++ {
		written, err := c.produce(ctx, codec, 1, len(value)+len(headers), func(r *wire.Produce) {
			r.Batch(topic, partition)
			r.Add(nil, value, headers, len(fields))
			r.End(at)
		})
		if err == nil {
			err = written[0].Err
		}
		switch {
		case err == nil:
			return written[0].Offset, nil
		case hopeless(err):
			return 0, cannotWrite(topic, partition, err)
		case attempt%10 == 3:
			log.Warn("cannot write, still trying", "topic", topic, "partition", partition, "attempt", attempt+1, "error", err)
		}
		if e := backoff(ctx, attempt); e != nil {
			return 0, cannotWrite(topic, partition, errors.Join(e, err))
		}
	}
}

// hopeless tells that no repetition gets a message written.
func hopeless(err error) bool {
	return errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.InvalidTopic)
}

func cannotWrite(topic string, partition int, err error) error {
	if errors.Is(err, kafka.MessageSizeTooLarge) {
		err = fmt.Errorf("%w; max.message.bytes of the topic must be at least 1 MiB", err)
	}
	return fmt.Errorf("cannot write to %s/%d: %w", topic, partition, err)
}

// fetch asks once.
func (c *client) fetch(ctx context.Context, f *wire.Fetch) (*wire.Fetched, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return f.Do(ctx, &c.conns)
}

func (c *client) close() {
	c.transport.CloseIdleConnections()
	c.cancel()
}

// partitionCounts asks for the partitions of topics; a topic that is not there
// has none.
func (c *client) partitionCounts(ctx context.Context, topics []string) (map[string]int, error) {
	res, err := c.Metadata(ctx, &kafka.MetadataRequest{Topics: topics})
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s for topics: %w", c.Addr, err)
	}
	counts := map[string]int{}
	for _, t := range res.Topics {
		if t.Error == nil {
			counts[t.Name] = len(t.Partitions)
		}
	}
	return counts, nil
}

// leaderPatience is for how long a partition may be without a leader: topics are
// created, and brokers restarted, under our eyes.
const leaderPatience = 10 * time.Second

// offsets are the first offset of a partition and the one behind its last
// message. It asks again while the broker says that things will be well soon, or has
// gone away in the middle.
func (c *client) offsets(ctx context.Context, topic string, partition int) (first, end int64, err error) {
	deadline := time.Now().Add(leaderPatience)
	for attempt := 0; ; attempt++ {
		first, end, err = c.askOffsets(ctx, topic, partition)
		if err == nil || !passes(err) || time.Now().After(deadline) {
			return first, end, err
		}
		if e := backoff(ctx, attempt); e != nil {
			return 0, 0, errors.Join(err, e)
		}
	}
}

// passes tells an error that goes away by itself, if all is well: the broker says so, or
// the connection broke.
func passes(err error) bool {
	var k kafka.Error
	var network net.Error
	switch {
	case errors.As(err, &k):
		return k.Temporary() || k == kafka.Unknown // as kafka-go calls it where one of several requests broke
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return true
	}
	return errors.As(err, &network)
}

func (c *client) askOffsets(ctx context.Context, topic string, partition int) (first, end int64, err error) {
	res, err := c.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{topic: {kafka.FirstOffsetOf(partition), kafka.LastOffsetOf(partition)}},
	})
	if err != nil {
		return 0, 0, fmt.Errorf("cannot ask for the offsets of %s/%d: %w", topic, partition, err)
	}
	for _, p := range res.Topics[topic] {
		if p.Partition != partition {
			continue
		}
		if p.Error != nil {
			return 0, 0, fmt.Errorf("cannot ask for the offsets of %s/%d: %w", topic, partition, p.Error)
		}
		return p.FirstOffset, p.LastOffset, nil
	}
	return 0, 0, fmt.Errorf("cannot ask for the offsets of %s/%d: the broker does not name it", topic, partition)
}

// backoff waits before the next attempt: 50 ms, doubling to 2 s. It returns the
// context's error if that ends first.
func backoff(ctx context.Context, attempt int) error {
	return run.Pause(ctx, min(2*time.Second, 50*time.Millisecond<<min(attempt, 6)))
}
