package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/fetch"
	"github.com/segmentio/kafka-go/protocol/produce"
)

// plain is a record as both implementations tell it.
type plain struct {
	Offset, Time int64
	Key, Value   text
	Headers      []kafka.Header
}

// text is bytes that may not be there.
type text struct {
	Bytes string
	Nil   bool
}

func textOf(b []byte) text { return text{string(b), b == nil} }

func (s text) bytes() []byte {
	if s.Nil {
		return nil
	}
	return []byte(s.Bytes)
}

// someRecords are records of all kinds: nothing in them, much, headers, keys.
func someRecords() (all []plain) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 40 {
		p := plain{Offset: int64(i), Time: 1700000000123, Key: text{Nil: true}}
		switch i % 4 {
		case 0:
			p.Value.Nil = true
		case 1:
			p.Value.Bytes = strings.Repeat(string(rune('a'+i)), r.IntN(200_000))
		case 2:
			p.Key = text{Bytes: "key"}
			value := make([]byte, r.IntN(3000))
			for j := range value {
				value[j] = byte(r.Uint32())
			}
			p.Value.Bytes = string(value)
		}
		for range i % 3 {
			p.Headers = append(p.Headers, kafka.Header{Key: "name", Value: bytes.Repeat([]byte("v"), r.IntN(300))})
		}
		all = append(all, p)
	}
	return all
}

// filled is a request with records for one partition.
func filled(codec Codec, records []plain) *Produce {
	p := &Produce{}
	fill(p, codec, records)
	return p
}

func fill(p *Produce, codec Codec, records []plain) {
	p.Begin(codec, 5*time.Second, 1, 1000)
	addBatch(p, "topic", 3, records)
}

func addBatch(p *Produce, topic string, partition int, records []plain) {
	p.Batch(topic, partition)
	for _, r := range records {
		var headers []byte
		for _, h := range r.Headers {
			headers = AppendHeader(headers, h.Key, h.Value)
		}
		p.Add(r.Key.bytes(), r.Value.bytes(), headers, len(r.Headers))
	}
	p.End(time.UnixMilli(1700000000123))
}

func unpackAll(t testing.TB, set []byte) (all []plain) {
	t.Helper()
	u := Unpacker{Buffer: func(n int) []byte { return make([]byte, n) }}
	for len(set) > 0 {
		b, rest, ok, err := u.Next(set)
		if err != nil || !ok {
			t.Fatalf("a record batch cannot be read: %v", err)
		}
		set = rest
		for {
			r, ok, err := b.Next()
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			p := plain{Offset: r.Offset, Time: r.Time, Key: textOf(r.Key), Value: textOf(r.Value)}
			r.EachHeader(func(k, v []byte) { p.Headers = append(p.Headers, kafka.Header{Key: string(k), Value: v}) })
			all = append(all, p)
		}
	}
	return all
}

// theirs reads a record set with kafka-go.
func theirs(t testing.TB, records protocol.RecordReader) (all []plain) {
	t.Helper()
	for {
		r, err := records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		p := plain{Offset: r.Offset, Time: r.Time.UnixMilli(), Headers: r.Headers}
		key, _ := protocol.ReadAll(r.Key)
		value, _ := protocol.ReadAll(r.Value)
		p.Key, p.Value = textOf(key), textOf(value)
		all = append(all, p)
	}
}

// TestRecords writes records with each codec; kafka-go and we read them. The request
// is used again.
func TestRecords(t *testing.T) {
	want := someRecords()
	var p Produce
	for name, codec := range Codecs {
		fill(&p, codec, want)
		if diff := cmp.Diff(want, unpackAll(t, p.b[p.records:])); diff != "" {
			t.Errorf("%s (-want, +got)\n%s", name, diff)
		}
		var set protocol.RecordSet
		if _, err := set.ReadFrom(bytes.NewReader(p.b[p.records-4:])); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, theirs(t, set.Records)); diff != "" {
			t.Errorf("%s, read by kafka-go (-want, +got)\n%s", name, diff)
		}
	}
}

// theirSet is a record set that kafka-go writes.
func theirSet(codec Codec, records []plain) protocol.RecordSet {
	var rs []protocol.Record
	for _, r := range records {
		rs = append(rs, protocol.Record{Time: time.UnixMilli(r.Time), Key: protocol.NewBytes(r.Key.bytes()), Value: protocol.NewBytes(r.Value.bytes()), Headers: r.Headers})
	}
	return protocol.RecordSet{Version: 2, Attributes: protocol.Attributes(codec), Records: protocol.NewRecordReader(rs...)}
}

// TestTheirRecords reads what kafka-go writes with each codec.
func TestTheirRecords(t *testing.T) {
	want := someRecords()
	for name, codec := range Codecs {
		set := theirSet(codec, want)
		var b bytes.Buffer
		if _, err := set.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, unpackAll(t, b.Bytes()[4:])); diff != "" {
			t.Errorf("%s (-want, +got)\n%s", name, diff)
		}
	}
}

// TestDamage finds every flipped byte of a batch but those of its offset and leader
// epoch, which brokers write.
func TestDamage(t *testing.T) {
	p := filled(Snappy, []plain{{Key: text{Bytes: "a"}, Value: text{Bytes: strings.Repeat("value", 100)}}, {Value: text{Bytes: "b"}}})
	set := p.b[p.records:]
	u := Unpacker{Buffer: func(n int) []byte { return make([]byte, n) }}
	for i := range set {
		if i < batchLength || i >= batchLength+4 && i < batchLength+8 {
			continue
		}
		set[i] ^= 0x40
		if _, _, ok, err := u.Next(set); ok && err == nil {
			t.Fatalf("byte %d of %d is wrong, and nobody notices", i, len(set))
		}
		set[i] ^= 0x40
	}
	for n := range len(set) {
		if _, _, ok, err := u.Next(set[:n]); ok || err != nil {
			t.Fatalf("of %d bytes %d make a batch (%v)", len(set), n, err)
		}
	}
}

// broker answers requests with kafka-go's own decoder and encoder.
type broker struct {
	t       *testing.T
	version int16
	answer  func(protocol.Message) protocol.Message
	request protocol.Message
	in, out bytes.Buffer
	fails   error // of the connection
}

// Write answers a request once all of it is there.
func (b *broker) Write(piece []byte) (int, error) {
	if b.fails != nil {
		return 0, b.fails
	}
	b.in.Write(piece)
	if n := b.in.Len(); n < 4 || n < 4+int(binary.BigEndian.Uint32(b.in.Bytes())) {
		return len(piece), nil
	}
	version, id, client, m, err := protocol.ReadRequest(&b.in)
	if err != nil || version != b.version || client != ClientID {
		b.t.Errorf("version %d of %q came as %d: %v", b.version, client, version, err)
	}
	b.request = m
	if err := protocol.WriteResponse(&b.out, version, id, b.answer(m)); err != nil {
		b.t.Error(err)
	}
	if b.in.Len() > 0 {
		b.t.Errorf("%d bytes came behind a request", b.in.Len())
	}
	return len(piece), nil
}

func (b *broker) Read(p []byte) (int, error) { return b.out.Read(p) }

// RoundTrip is what kafka-go does with a request.
func (b *broker) RoundTrip(_ context.Context, _ net.Addr, m kafka.Request) (kafka.Response, error) {
	x := m.(*exchange)
	if !x.Required(map[protocol.ApiKey]int16{x.ApiKey(): b.version}) {
		b.t.Error("kafka-go is to write the request")
	}
	res, err := x.RawExchange(b)
	if b.out.Len() > 0 && err == nil {
		b.t.Errorf("version %d: %d bytes of the answer were left", b.version, b.out.Len())
	}
	return res, err
}

// TestProduce sends a request for several partitions in every version. The broker answers in
// another order, and refuses one of them.
func TestProduce(t *testing.T) {
	want := someRecords()
	for version := int16(produceLeast); version <= 8; version++ {
		b := &broker{t: t, version: version}
		b.answer = func(protocol.Message) protocol.Message {
			return &produce.Response{Topics: []produce.ResponseTopic{
				{Topic: "other", Partitions: []produce.ResponsePartition{{Partition: 3, BaseOffset: 5, LogAppendTime: -1}}},
				{Topic: "topic", Partitions: []produce.ResponsePartition{
					{Partition: 7, ErrorCode: int16(kafka.NotLeaderForPartition), RecordErrors: []produce.ResponseError{{BatchIndexErrorMessage: "no"}}, ErrorMessage: "not me"},
					{Partition: 3, BaseOffset: 77, LogAppendTime: 88}}}}}
		}
		var p Produce
		p.Begin(Lz4, 5*time.Second, 3, 1000)
		addBatch(&p, "topic", 3, want)
		addBatch(&p, "topic", 7, want[:2])
		addBatch(&p, "other", 3, want[5:])
		got, err := p.Send(t.Context(), &Conns{Transport: b})
		if err != nil {
			t.Fatal(err)
		}
		if !errors.Is(got[1].Err, kafka.NotLeaderForPartition) {
			t.Errorf("version %d: partition 7 gave %v", version, got[1].Err)
		}
		got[1] = Written{}
		if diff := cmp.Diff([]Written{{Offset: 77, AppendTime: 88}, {}, {Offset: 5, AppendTime: -1}}, got); diff != "" {
			t.Errorf("version %d (-want, +got)\n%s", version, diff)
		}
		r := b.request.(*produce.Request)
		if r.Acks != -1 || r.Timeout != 5000 {
			t.Errorf("version %d came as %+v", version, r)
		}
		said := map[string][]plain{}
		for _, topic := range r.Topics {
			for _, partition := range topic.Partitions {
				said[fmt.Sprintf("%s/%d", topic.Topic, partition.Partition)] = theirs(t, partition.RecordSet.Records)
			}
		}
		last := slices.Clone(want[5:])
		for i := range last {
			last[i].Offset = int64(i)
		}
		if diff := cmp.Diff(map[string][]plain{"topic/3": want, "topic/7": want[:2], "other/3": last}, said); diff != "" {
			t.Errorf("version %d (-want, +got)\n%s", version, diff)
		}
	}
}

// TestProduceAnswers are about the partitions that were written to, each once.
func TestProduceAnswers(t *testing.T) {
	one := produce.ResponsePartition{Partition: 3}
	for _, topics := range [][]produce.ResponseTopic{
		nil,
		{{Topic: "topic", Partitions: []produce.ResponsePartition{{Partition: 4}}}},
		{{Topic: "other", Partitions: []produce.ResponsePartition{one}}},
		{{Topic: "topic", Partitions: []produce.ResponsePartition{one, one}}},
	} {
		b := &broker{t: t, version: 8, answer: func(protocol.Message) protocol.Message { return &produce.Response{Topics: topics} }}
		if _, err := filled(None, someRecords()).Send(t.Context(), &Conns{Transport: b}); !errors.Is(err, errAnswer) {
			t.Errorf("%+v gave %v", topics, err)
		}
	}
}

// TestLentValues fills requests by Lend and by Add: the bytes are the same, and of the large
// values that are not compressed none was copied.
func TestLentValues(t *testing.T) {
	for name, codec := range Codecs {
		var sent [2][]byte
		copied := 0
		for lend := range sent {
			p := &Produce{}
			for range 2 { // a request that was filled before
				p.Begin(codec, 5*time.Second, 2, 1000)
				for partition, sizes := range [][]int{{10, lentLeast, 3 * lentLeast, lentLeast - 1}, {lentLeast}, {7}} {
					p.Batch("topic", partition)
					for i, size := range sizes {
						value := bytes.Repeat([]byte{byte(i), 7}, size)[:size]
						if lend == 1 {
							p.Lend([]byte("key"), value, nil, 0)
						} else {
							p.Add([]byte("key"), value, nil, 0)
						}
					}
					p.End(time.UnixMilli(1700000000123))
				}
			}
			sent[lend], copied = bytes.Join(p.pieces(0), nil), len(p.b)
		}
		if !bytes.Equal(sent[0], sent[1]) {
			t.Errorf("%s: the bytes are others", name)
		}
		if codec == None && copied > 2*lentLeast {
			t.Errorf("%d bytes were copied", copied)
		}
	}
}

// TestProduceMemory takes memory for each request and gives it back, spoilt by whoever has it
// then: the compressor's when a record batch is written, the request's own when it is
// answered, and that of a request that got no answer never, since it may still be on its way.
func TestProduceMemory(t *testing.T) {
	lent := map[*byte]bool{}
	p := &Produce{
		Get: func(n int) []byte {
			b := make([]byte, n)
			lent[&b[0]] = true
			return b[:0]
		},
		Put: func(b []byte) {
			b = b[:cap(b)]
			if !lent[&b[0]] {
				t.Error("memory came back that was not given, or twice")
			}
			delete(lent, &b[0])
			for i := range b {
				b[i] = 0xa5
			}
		},
	}
	b := &broker{t: t, version: 8, answer: func(protocol.Message) protocol.Message {
		return &produce.Response{Topics: []produce.ResponseTopic{{Topic: "topic", Partitions: []produce.ResponsePartition{{Partition: 3}}}}}
	}}
	want := []plain{{Time: 1700000000123, Value: textOf(bytes.Repeat([]byte("flow"), 60))}}
	for name, codec := range Codecs {
		for _, b.fails = range []error{io.ErrUnexpectedEOF, nil} {
			fill(p, codec, want)
			if len(lent) != 1 {
				t.Errorf("%s: a request that is written holds %d pieces of memory", name, len(lent))
			}
			if diff := cmp.Diff(want, unpackAll(t, p.b[p.records:])); diff != "" {
				t.Errorf("%s (-want, +got)\n%s", name, diff)
			}
			if _, err := p.Send(t.Context(), &Conns{Transport: b}); !errors.Is(err, b.fails) {
				t.Fatal(err)
			}
			p.Done()
			if b.fails != nil && len(lent) == 0 {
				t.Errorf("%s: the memory of a request that may be on its way was given back", name)
			}
			if b.fails == nil && len(lent) != 0 {
				t.Errorf("%s: %d pieces of memory were not given back", name, len(lent))
			}
			clear(lent)
		}
	}
}

// TestFetch asks in every version.
func TestFetch(t *testing.T) {
	want := someRecords()
	for version := int16(fetchLeast); version <= 11; version++ {
		b := &broker{t: t, version: version}
		b.answer = func(protocol.Message) protocol.Message {
			return &fetch.Response{Topics: []fetch.ResponseTopic{{Topic: "topic", Partitions: []fetch.ResponsePartition{{
				Partition: 3, HighWatermark: 99, RecordSet: theirSet(Zstd, want), AbortedTransactions: []fetch.ResponseTransaction{{}, {}}}}}}}
		}
		f := Fetch{Topic: "topic", Partition: 3, Offset: 42, MaxBytes: 1000, MaxWait: 3 * time.Second, Buffer: func(n int) []byte { return make([]byte, n) }}
		got, err := f.Do(t.Context(), &Conns{Transport: b})
		if err != nil || got.Err != nil || got.End != 99 {
			t.Fatalf("version %d gave %+v, %v", version, got, err)
		}
		if diff := cmp.Diff(want, unpackAll(t, got.Records)); diff != "" {
			t.Errorf("version %d (-want, +got)\n%s", version, diff)
		}
		r := b.request.(*fetch.Request)
		p := r.Topics[0].Partitions[0]
		if r.ReplicaID != -1 || r.MaxWaitTime != 3000 || r.MinBytes != 1 || r.MaxBytes != 1000 || p.PartitionMaxBytes != 1000 ||
			r.Topics[0].Topic != "topic" || p.Partition != 3 || p.FetchOffset != 42 {
			t.Errorf("version %d came as %+v", version, r)
		}
	}
}

// TestFetchErrors are of the partition, and of the whole answer.
func TestFetchErrors(t *testing.T) {
	buffer := func(n int) []byte { return make([]byte, n) }
	for _, res := range []*fetch.Response{
		{Topics: []fetch.ResponseTopic{{Partitions: []fetch.ResponsePartition{{ErrorCode: int16(kafka.OffsetOutOfRange), RecordSet: theirSet(None, []plain{{}})}}}}},
		{ErrorCode: int16(kafka.OffsetOutOfRange)},
	} {
		b := &broker{t: t, version: 11, answer: func(protocol.Message) protocol.Message { return res }}
		got, err := (&Fetch{Topic: "topic", Buffer: buffer}).Do(t.Context(), &Conns{Transport: b})
		if err != nil || !errors.Is(got.Err, kafka.OffsetOutOfRange) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	b := &broker{t: t, version: 11, answer: func(protocol.Message) protocol.Message { return &fetch.Response{} }}
	if _, err := (&Fetch{Topic: "topic", Buffer: buffer}).Do(t.Context(), &Conns{Transport: b}); !errors.Is(err, errAnswer) {
		t.Errorf("an answer about nothing gave %v", err)
	}
	b.version = fetchLeast - 1
	if _, err := (&Fetch{Topic: "topic", Buffer: buffer}).Do(t.Context(), &Conns{Transport: b}); !errors.Is(err, errOld) {
		t.Errorf("an old broker gave %v", err)
	}
}

// FuzzBatches reads anything: it may refuse, but not fail.
func FuzzBatches(f *testing.F) {
	for _, codec := range Codecs {
		p := filled(codec, []plain{{Key: text{Bytes: "a"}, Value: text{Bytes: "bbbbbbbbb"}, Headers: []kafka.Header{{Key: "k", Value: []byte("v")}}}, {Value: text{Nil: true}}})
		f.Add(p.b[p.records:], false)
	}
	f.Fuzz(func(t *testing.T, set []byte, fix bool) {
		if fix && len(set) > batchHeader { // get past the checksum
			set = bytes.Clone(set)
			fixChecksum(set)
		}
		u := Unpacker{Buffer: func(n int) []byte { return make([]byte, n) }}
		for n := 0; n < 10; n++ {
			b, rest, ok, err := u.Next(set)
			if !ok || err != nil {
				return
			}
			set = rest
			for {
				r, ok, err := b.Next()
				if !ok || err != nil {
					break
				}
				count := 0
				r.EachHeader(func(_, _ []byte) { count++ })
				if count != r.HeaderCount() {
					t.Fatal("headers are missing")
				}
			}
		}
	})
}

// fixChecksum makes the first batch of a set one that came whole.
func fixChecksum(set []byte) {
	binary.BigEndian.PutUint32(set[batchLength:], uint32(len(set)-batchLength-4))
	set[batchLength+8] = magic
	binary.BigEndian.PutUint32(set[batchCRC:], crc32.Checksum(set[batchAttribute:], castagnoli))
}
