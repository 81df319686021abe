package wire

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
)

// Produce is a produce request for one partition: one record batch. It is filled by
// Begin, Add and End, sent as often as it takes, and ended by Done; then it may be filled
// again.
type Produce struct {
	// Get gives memory with room for n bytes, Put takes it back. Nil: it is made, and
	// left to the collector.
	Get func(n int) []byte
	Put func(b []byte)

	topic     string
	partition int
	codec     Codec
	packer    packer
	// b is the whole request; records is where its record batch begins.
	b       []byte
	records int
	count   int32
	scratch []byte
}

// Written is a broker's answer to a produce request.
type Written struct {
	// Offset is that of the first record.
	Offset int64
	// AppendTime is the broker's clock when it wrote, in milliseconds since the epoch;
	// negative where the topic goes by producers' clocks.
	AppendTime int64
}

// Places in a record batch.
const (
	batchLength    = 8
	batchCRC       = 17
	batchAttribute = 21
	batchLast      = 23
	batchTime      = 27
	batchMaxTime   = 35
	batchCount     = 57
	batchHeader    = 61
	magic          = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Begin empties the request. Timeout is what the broker may take, size how many bytes
// will be added, about.
func (p *Produce) Begin(topic string, partition int, codec Codec, timeout time.Duration, size int) {
	p.topic, p.partition, p.codec, p.count = topic, partition, codec, 0
	if p.Get != nil {
		p.b = p.Get(requestRoom + roomFor(codec, size))
		if codec != None {
			p.packer.block = p.Get(min(size, packBlock))
		}
	}
	b := append(p.b[:0], 0, 0, 0, 0) // size, known at the end
	b = appendInt16(b, int16(protocol.Produce))
	b = appendInt16(b, 0) // version, known at the connection
	b = appendInt32(b, 0) // correlation id
	b = appendString(b, ClientID)
	b = appendInt16(b, -1) // no transaction
	b = appendInt16(b, -1) // all replicas acknowledge
	b = appendInt32(b, int32(timeout.Milliseconds()))
	b = appendInt32(b, 1)
	b = appendString(b, topic)
	b = appendInt32(b, 1)
	b = appendInt32(b, int32(partition))
	b = appendInt32(b, 0) // size of the record set
	p.records = len(b)
	p.b = append(b, make([]byte, batchHeader)...)
	p.packer.begin(codec)
}

// requestRoom is room for what a request has beside its records.
const requestRoom = 1 << 10

// Done gives the memory back, once the request was answered.
func (p *Produce) Done() {
	if p.Put != nil {
		p.Put(p.b)
		p.b = nil
	}
}

// Add adds a record. Headers are n of them, as AppendHeader writes them. A key or
// value that is nil is none.
func (p *Produce) Add(key, value, headers []byte, n int) {
	h := append(p.scratch[:0], 0, 0) // attributes, time
	h = binary.AppendVarint(h, int64(p.count))
	h = append(binary.AppendVarint(h, length(key)), key...)
	h = binary.AppendVarint(h, length(value))
	behind := len(h)
	h = binary.AppendVarint(h, int64(n))
	size := len(h) + len(value) + len(headers)
	var b [binary.MaxVarintLen64]byte
	p.write(b[:binary.PutVarint(b[:], int64(size))])
	p.write(h[:behind])
	p.write(value)
	p.write(h[behind:])
	p.write(headers)
	p.scratch = h
	p.count++
}

func (p *Produce) write(b []byte) { p.b = p.packer.write(p.b, b) }

// length is how long bytes are said to be: those that are not there, -1.
func length(b []byte) int64 {
	if b == nil {
		return -1
	}
	return int64(len(b))
}

// AppendHeader appends a record's header.
func AppendHeader(b []byte, key string, value []byte) []byte {
	b = append(binary.AppendVarint(b, int64(len(key))), key...)
	return append(binary.AppendVarint(b, int64(len(value))), value...)
}

// End closes the record batch: all its records are of one time.
func (p *Produce) End(now time.Time) {
	p.b = p.packer.end(p.b)
	if p.Put != nil && p.packer.block != nil {
		p.Put(p.packer.block)
		p.packer.block = nil
	}
	batch := p.b[p.records:]
	put32 := func(at int, n int32) { binary.BigEndian.PutUint32(batch[at:], uint32(n)) }
	put64 := func(at int, n int64) { binary.BigEndian.PutUint64(batch[at:], uint64(n)) }
	put64(0, 0)
	put32(batchLength, int32(len(batch)-batchLength-4))
	put32(batchLength+4, -1) // leader epoch
	batch[batchLength+8] = magic
	binary.BigEndian.PutUint16(batch[batchAttribute:], uint16(p.codec))
	put32(batchLast, p.count-1)
	put64(batchTime, now.UnixMilli())
	put64(batchMaxTime, now.UnixMilli())
	put64(batchMaxTime+8, -1) // producer id
	binary.BigEndian.PutUint16(batch[batchMaxTime+16:], 0xffff)
	put32(batchMaxTime+18, -1) // base sequence
	put32(batchCount, p.count)
	put32(batchCRC, int32(crc32.Checksum(batch[batchAttribute:], castagnoli)))
	binary.BigEndian.PutUint32(p.b[p.records-4:], uint32(len(batch)))
	binary.BigEndian.PutUint32(p.b, uint32(len(p.b)-4))
}

// Send sends the request once. Errors may be of a request that was carried out all
// the same; those that the broker answers with are kafka.Errors.
func (p *Produce) Send(ctx context.Context, c *Conns) (*Written, error) {
	b := p.b
	m, err := c.exchange(ctx, &exchange{
		route: &produce.Request{Topics: []produce.RequestTopic{{Topic: p.topic, Partitions: []produce.RequestPartition{{Partition: int32(p.partition)}}}}},
		run: func(conn io.ReadWriter, version int16) (protocol.Message, error) {
			return exchangeProduce(conn, version, b)
		},
	})
	if err == nil {
		w := m.(*written)
		if err = w.err; err == nil {
			return &w.Written, nil
		}
	}
	p.b = slices.Clone(b) // whoever has given up may still be sending the former
	return nil, fmt.Errorf("cannot produce: %w", err)
}

// written is the answer as it passes through kafka-go.
type written struct {
	Written
	err error
}

// ApiKey makes it a message.
func (*written) ApiKey() protocol.ApiKey { return protocol.Produce }

func exchangeProduce(conn io.ReadWriter, version int16, request []byte) (protocol.Message, error) {
	if version < produceLeast {
		return nil, errOld
	}
	binary.BigEndian.PutUint16(request[6:], uint16(version))
	if _, err := conn.Write(request); err != nil {
		return nil, fmt.Errorf("cannot send a request: %w", err)
	}
	a := newAnswer(conn)
	var w written
	if a.one() {
		a.string()
	}
	if a.one() {
		a.int32()
		w.err = codeError(a.int16())
		w.Offset, w.AppendTime = a.int64(), a.int64()
	}
	return &w, a.end()
}
