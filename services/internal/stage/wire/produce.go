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

// Produce is a produce request: a record batch for each of some partitions of one leader.
// It is filled by Begin, and for each partition Batch, Add and End; the partitions of a
// topic follow each other. It is sent, and ended by Done; then it may be filled again.
type Produce struct {
	// Get gives memory with room for n bytes, Put takes it back. Nil: it is made, and
	// left to the collector.
	Get func(n int) []byte
	Put func(b []byte)

	codec  Codec
	packer packer
	// b is the whole request; topics, partitions and records are where it has the number
	// of topics, that of the last topic's partitions, and the open record batch.
	b                           []byte
	topics, partitions, records int
	parts                       []part
	count                       int32
	scratch                     []byte
	// lent are the values that stand between the bytes of b, and lentBytes their lengths:
	// in the request, and in the open record batch.
	lent                   []lent
	lentBytes, lentInBatch int
}

// lent is a value of the caller's that stands before b[at:].
type lent struct {
	at    int
	value []byte
}

// part is a partition that a request writes to.
type part struct {
	topic     string
	partition int32
}

// Written is a broker's answer about one partition of a produce request.
type Written struct {
	// Err is what the broker refused the record batch with: a kafka.Error.
	Err error
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

// Begin empties the request. Timeout is what the broker may take; so many record batches
// will be added, of size bytes in all, about, beside what is lent.
func (p *Produce) Begin(codec Codec, timeout time.Duration, batches, size int) {
	p.codec, p.parts = codec, p.parts[:0]
	clear(p.lent)
	p.lent, p.lentBytes = p.lent[:0], 0
	if p.Get != nil {
		p.b = p.Get(requestRoom*batches + roomFor(codec, size))
	}
	b := append(p.b[:0], 0, 0, 0, 0) // size, known at the end
	b = appendInt16(b, int16(protocol.Produce))
	b = appendInt16(b, 0) // version, known at the connection
	b = appendInt32(b, 0) // correlation id
	b = appendString(b, ClientID)
	b = appendInt16(b, -1) // no transaction
	b = appendInt16(b, -1) // all replicas acknowledge
	b = appendInt32(b, int32(timeout.Milliseconds()))
	p.topics = len(b)
	p.b = appendInt32(b, 0)
}

// requestRoom is room for what a request has, for each record batch, beside its records.
const requestRoom = 1 << 10

// Batch opens the record batch of a partition.
func (p *Produce) Batch(topic string, partition int) {
	if n := len(p.parts); n == 0 || p.parts[n-1].topic != topic {
		increment(p.b[p.topics:])
		p.b = appendString(p.b, topic)
		p.partitions = len(p.b)
		p.b = appendInt32(p.b, 0)
	}
	increment(p.b[p.partitions:])
	p.parts = append(p.parts, part{topic, int32(partition)})
	p.b = appendInt32(p.b, int32(partition))
	p.b = appendInt32(p.b, 0) // size of the record set
	p.records = len(p.b)
	p.b = append(p.b, make([]byte, batchHeader)...)
	p.count, p.lentInBatch = 0, 0
	if p.Get != nil && p.codec != None {
		p.packer.block = p.Get(packBlock)
	}
	p.packer.begin(p.codec)
}

// increment adds one to a number.
func increment(b []byte) { binary.BigEndian.PutUint32(b, binary.BigEndian.Uint32(b)+1) }

// Done gives the memory back.
func (p *Produce) Done() {
	if p.Put != nil && p.b != nil {
		p.Put(p.b)
		p.b = nil
	}
}

// Add adds a record. Headers are n of them, as AppendHeader writes them. A key or
// value that is nil is none.
func (p *Produce) Add(key, value, headers []byte, n int) { p.add(key, value, headers, n, false) }

// Lend is Add of a record whose value is not copied where Lent says so. It must stay as
// it is until Send has returned, and for ever if Send returned an error: the request may
// still be on its way then.
func (p *Produce) Lend(key, value, headers []byte, n int) {
	p.add(key, value, headers, n, Lent(p.codec, len(value)))
}

// Lent tells that values of so many bytes are sent from where they are. What is compressed
// is copied by that, and small ones cost less to copy than to send alone.
func Lent(codec Codec, size int) bool { return codec == None && size >= lentLeast }

const lentLeast = 32 << 10

func (p *Produce) add(key, value, headers []byte, n int, lend bool) {
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
	if lend {
		p.lent = append(p.lent, lent{len(p.b), value})
		p.lentBytes += len(value)
		p.lentInBatch += len(value)
	} else {
		p.write(value)
	}
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

// End closes the open record batch: all its records are of one time.
func (p *Produce) End(now time.Time) {
	p.b = p.packer.end(p.b)
	if p.Put != nil && p.packer.block != nil {
		p.Put(p.packer.block)
		p.packer.block = nil
	}
	batch := p.b[p.records:]
	length := len(batch) + p.lentInBatch
	put32 := func(at int, n int32) { binary.BigEndian.PutUint32(batch[at:], uint32(n)) }
	put64 := func(at int, n int64) { binary.BigEndian.PutUint64(batch[at:], uint64(n)) }
	put64(0, 0)
	put32(batchLength, int32(length-batchLength-4))
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
	sum := uint32(0)
	for _, piece := range p.pieces(p.records + batchAttribute) {
		sum = crc32.Update(sum, castagnoli, piece)
	}
	put32(batchCRC, int32(sum))
	binary.BigEndian.PutUint32(p.b[p.records-4:], uint32(length))
	binary.BigEndian.PutUint32(p.b, uint32(len(p.b)-4+p.lentBytes))
}

// pieces are the bytes of the request that follow each other, from b[from:] on.
func (p *Produce) pieces(from int) (all [][]byte) {
	for _, l := range p.lent {
		if l.at >= from {
			all = append(all, p.b[from:l.at], l.value)
			from = l.at
		}
	}
	return append(all, p.b[from:])
}

// Send sends the request once, and tells about each record batch in the order in which
// they were added. An error may be of a request that was carried out all the same; it may
// still be on its way, so that it has to be filled anew to be repeated.
func (p *Produce) Send(ctx context.Context, c *Conns) ([]Written, error) {
	pieces, parts := p.pieces(0), slices.Clone(p.parts)
	route := &produce.Request{Topics: make([]produce.RequestTopic, len(parts))}
	for i, part := range parts {
		route.Topics[i] = produce.RequestTopic{Topic: part.topic, Partitions: []produce.RequestPartition{{Partition: part.partition}}}
	}
	m, err := c.exchange(ctx, &exchange{route: route, run: func(conn io.ReadWriter, version int16) (protocol.Message, error) {
		return exchangeProduce(conn, version, pieces, parts)
	}})
	if err != nil {
		p.b = nil
		return nil, fmt.Errorf("cannot produce: %w", err)
	}
	return m.(*written).all, nil
}

// written is the answer as it passes through kafka-go.
type written struct{ all []Written }

// ApiKey makes it a message.
func (*written) ApiKey() protocol.ApiKey { return protocol.Produce }

func exchangeProduce(conn io.ReadWriter, version int16, request [][]byte, parts []part) (protocol.Message, error) {
	if version < produceLeast {
		return nil, errOld
	}
	binary.BigEndian.PutUint16(request[0][6:], uint16(version))
	for _, piece := range request {
		if _, err := conn.Write(piece); err != nil {
			return nil, fmt.Errorf("cannot send a request: %w", err)
		}
	}
	a := newAnswer(conn)
	w := written{make([]Written, len(parts))}
	left := len(parts)
	for topics := a.int32(); topics > 0 && a.err == nil; topics-- {
		topic := a.string()
		for n := a.int32(); n > 0 && a.err == nil; n-- {
			i := slices.Index(parts, part{topic, a.int32()})
			if i < 0 {
				a.fail()
				break
			}
			w.all[i] = a.written(version)
			left--
		}
	}
	if left != 0 {
		a.fail()
	}
	return &w, a.end()
}

// written reads what a broker says about one partition.
func (a *answer) written(version int16) (w Written) {
	if err := codeError(a.int16()); err != nil {
		w.Err = fmt.Errorf("cannot produce: %w", err)
	}
	w.Offset, w.AppendTime = a.int64(), a.int64()
	if version >= 5 {
		a.int64() // log start
	}
	if version >= 8 {
		for n := a.int32(); n > 0 && a.err == nil; n-- { // wrong records
			a.int32()
			a.string()
		}
		a.string() // why
	}
	return w
}
