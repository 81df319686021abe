package wire

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
)

// Fetch asks for the records of one partition from an offset on.
type Fetch struct {
	Topic     string
	Partition int
	Offset    int64
	// MaxBytes bounds the answer, but for its first batch; MaxWait is how long the
	// broker waits for something.
	MaxBytes int
	MaxWait  time.Duration
	// Buffer gives room for so many bytes. It is called by another goroutine.
	Buffer func(n int) []byte
}

// Fetched is a broker's answer to a fetch request.
type Fetched struct {
	// End is the offset behind the last record of the log.
	End int64
	// Records are the record batches as they came, in room that Buffer gave; the last
	// one may be cut off. nil if there are none.
	Records []byte
	// Err is what the broker answers with: a kafka.Error.
	Err error
}

// ApiKey makes it a message.
func (*Fetched) ApiKey() protocol.ApiKey { return protocol.Fetch }

// Do makes the request.
func (f *Fetch) Do(ctx context.Context, c *Conns) (*Fetched, error) {
	own := *f
	m, err := c.exchange(ctx, &exchange{
		route: &fetch.Request{Topics: []fetch.RequestTopic{{Topic: f.Topic, Partitions: []fetch.RequestPartition{{Partition: int32(f.Partition)}}}}},
		run:   own.exchange,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot fetch: %w", err)
	}
	return m.(*Fetched), nil
}

func (f *Fetch) exchange(conn io.ReadWriter, version int16) (protocol.Message, error) {
	if version < fetchLeast {
		return nil, errOld
	}
	if _, err := conn.Write(f.request(version)); err != nil {
		return nil, fmt.Errorf("cannot send a request: %w", err)
	}
	a := newAnswer(conn)
	var res Fetched
	a.int32() // throttled
	if version >= 7 {
		res.Err = codeError(a.int16())
		a.int32() // session
	}
	if res.Err == nil {
		f.partition(a, version, &res)
	}
	return &res, a.end()
}

// request is the request in a version from 4 to 11.
func (f *Fetch) request(version int16) []byte {
	b := make([]byte, 4, 128+len(f.Topic))
	b = appendInt16(b, int16(protocol.Fetch))
	b = appendInt16(b, version)
	b = appendInt32(b, 0) // correlation id
	b = appendString(b, ClientID)
	b = appendInt32(b, -1) // no replica
	b = appendInt32(b, int32(f.MaxWait.Milliseconds()))
	b = appendInt32(b, 1) // least bytes
	b = appendInt32(b, int32(f.MaxBytes))
	b = append(b, 0) // uncommitted records too: there are no others
	if version >= 7 {
		b = appendInt32(b, 0) // no session
		b = appendInt32(b, -1)
	}
	b = appendInt32(b, 1)
	b = appendString(b, f.Topic)
	b = appendInt32(b, 1)
	b = appendInt32(b, int32(f.Partition))
	if version >= 9 {
		b = appendInt32(b, -1) // leader epoch
	}
	b = appendInt64(b, f.Offset)
	if version >= 5 {
		b = appendInt64(b, -1) // log start, of replicas
	}
	b = appendInt32(b, int32(f.MaxBytes))
	if version >= 7 {
		b = appendInt32(b, 0) // nothing forgotten
	}
	if version >= 11 {
		b = appendString(b, "") // rack
	}
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// partition reads the part of the answer that is about the partition.
func (f *Fetch) partition(a *answer, version int16, res *Fetched) {
	if a.one() {
		a.string()
	}
	if !a.one() {
		return
	}
	a.int32() // partition
	res.Err = codeError(a.int16())
	res.End = a.int64()
	a.int64() // last stable offset
	if version >= 5 {
		a.int64() // log start
	}
	for n := a.int32(); n > 0 && a.err == nil; n-- { // aborted transactions
		a.int64()
		a.int64()
	}
	if version >= 11 {
		a.int32() // preferred replica
	}
	size := int(a.int32())
	if size <= 0 || a.err != nil {
		return
	}
	if size > a.left {
		a.err = errAnswer
		return
	}
	res.Records = f.Buffer(size)[:size]
	a.into(res.Records)
}
