package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net"
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

// filled is a request with records.
func filled(codec Codec, records []plain) *Produce {
	p := &Produce{}
	fill(p, codec, records)
	return p
}

func fill(p *Produce, codec Codec, records []plain) {
	p.Begin("topic", 3, codec, 5*time.Second, 1000)
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
	out     bytes.Buffer
}

func (b *broker) Write(request []byte) (int, error) {
	version, id, client, m, err := protocol.ReadRequest(bytes.NewReader(request))
	if err != nil || version != b.version || client != ClientID {
		b.t.Errorf("version %d of %q came as %d: %v", b.version, client, version, err)
	}
	b.request = m
	if err := protocol.WriteResponse(&b.out, version, id, b.answer(m)); err != nil {
		b.t.Error(err)
	}
	return len(request), nil
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

// TestProduce sends a request in every version.
func TestProduce(t *testing.T) {
	want := someRecords()
	for version := int16(produceLeast); version <= 8; version++ {
		b := &broker{t: t, version: version}
		b.answer = func(protocol.Message) protocol.Message {
			return &produce.Response{Topics: []produce.ResponseTopic{{Topic: "topic",
				Partitions: []produce.ResponsePartition{{Partition: 3, BaseOffset: 77, LogAppendTime: 88}}}}}
		}
		got, err := filled(Lz4, want).Send(t.Context(), &Conns{Transport: b})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&Written{Offset: 77, AppendTime: 88}, got); diff != "" {
			t.Errorf("version %d (-want, +got)\n%s", version, diff)
		}
		r := b.request.(*produce.Request)
		if r.Acks != -1 || r.Timeout != 5000 || r.Topics[0].Topic != "topic" || r.Topics[0].Partitions[0].Partition != 3 {
			t.Errorf("version %d came as %+v", version, r)
		}
		if diff := cmp.Diff(want, theirs(t, r.Topics[0].Partitions[0].RecordSet.Records)); diff != "" {
			t.Errorf("version %d (-want, +got)\n%s", version, diff)
		}
	}
}

// TestProduceAgain repeats a request that was refused; whoever still sends the former
// one is not disturbed.
func TestProduceAgain(t *testing.T) {
	code := int16(kafka.NotLeaderForPartition)
	b := &broker{t: t, version: 8}
	b.answer = func(protocol.Message) protocol.Message {
		return &produce.Response{Topics: []produce.ResponseTopic{{Topic: "topic",
			Partitions: []produce.ResponsePartition{{Partition: 3, ErrorCode: code, RecordErrors: []produce.ResponseError{{BatchIndexErrorMessage: "no"}}}}}}}
	}
	want := someRecords()
	p := filled(None, want)
	former := p.b
	if _, err := p.Send(t.Context(), &Conns{Transport: b}); !errors.Is(err, kafka.NotLeaderForPartition) {
		t.Fatalf("got %v", err)
	}
	if &former[0] == &p.b[0] {
		t.Error("the request is still the one that may be on its way")
	}
	code = 0
	if _, err := p.Send(t.Context(), &Conns{Transport: b}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, theirs(t, b.request.(*produce.Request).Topics[0].Partitions[0].RecordSet.Records)); diff != "" {
		t.Errorf("(-want, +got)\n%s", diff)
	}
}

// TestProduceMemory takes memory for each request and gives it back, spoilt by whoever has it
// then: the compressor's when the request is written, the request's own when it is answered,
// and that of a request that was given up never, since it may still be on its way.
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
	var refused error
	b := &broker{t: t, version: 8, answer: func(protocol.Message) protocol.Message {
		var code int16
		if refused != nil {
			code = int16(kafka.NotLeaderForPartition)
		}
		return &produce.Response{Topics: []produce.ResponseTopic{{Topic: "topic", Partitions: []produce.ResponsePartition{{Partition: 3, ErrorCode: code}}}}}
	}}
	want := []plain{{Time: 1700000000123, Value: textOf(bytes.Repeat([]byte("flow"), 60))}}
	for name, codec := range Codecs {
		for _, refused = range []error{kafka.NotLeaderForPartition, nil} {
			fill(p, codec, want)
			if len(lent) != 1 {
				t.Errorf("%s: a request that is written holds %d pieces of memory", name, len(lent))
			}
			_, err := p.Send(t.Context(), &Conns{Transport: b})
			if !errors.Is(err, refused) {
				t.Fatal(err)
			}
			if refused != nil {
				if lent[&p.b[0]] {
					t.Errorf("%s: the request is still the one that may be on its way", name)
				}
				clear(lent)
				lent[&p.b[0]] = true
			}
			if diff := cmp.Diff(want, unpackAll(t, p.b[p.records:])); diff != "" {
				t.Errorf("%s (-want, +got)\n%s", name, diff)
			}
			if p.Done(); len(lent) != 0 {
				t.Errorf("%s: %d pieces of memory were not given back", name, len(lent))
			}
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
