package stage

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"

	"github.com/flowledger/flowledger/services/internal/stage/wire"
)

// stateLog keeps the snapshots of one partition of a stage in a partition of its
// own: chunks, then a manifest that makes them count. Several owners may write at
// the same time; each snapshot has its own id.
type stateLog struct {
	client    *client
	topic     string // full name
	partition int
	log       *slog.Logger
}

// manifest is the last message of a snapshot.
type manifest struct {
	Version   int    `json:"version"`
	Stage     string `json:"stage"`
	Partition int    `json:"partition"`
	Epoch     int    `json:"epoch"`
	Chunks    int    `json:"chunks"`
	// Size is in bytes, uncompressed; CRC is CRC-32C over the compressed bytes.
	Size int64  `json:"size"`
	CRC  uint32 `json:"crc"`
	// FirstOffset is where its first chunk lies.
	FirstOffset int64 `json:"first_offset"`
	// Inputs are the offsets to go on from, by topic/partition: for people.
	Inputs map[string]int64 `json:"inputs"`
}

const (
	// stateVersion is that of the manifest: every chunk is compressed by itself, by s2.
	// In version 1 all were one text of zstd, which took ten times as long to make.
	stateVersion = 2
	zstdVersion  = 1
	// stateChunk is how much of a snapshot goes into a message, before it is compressed.
	stateChunk     = 900_000
	headerSnapshot = "snapshot"
	headerChunk    = "chunk"
	headerManifest = "manifest"
	// maxSnapshot bounds what a snapshot may unpack to.
	maxSnapshot = 16 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// packed is a snapshot as it is stored.
type packed struct {
	chunks [][]byte
	size   int64 // before
	bytes  int   // after
	crc    uint32
}

// pack compresses a snapshot. Its memory comes from the pool, where free puts it back.
func pack(data []byte) (p packed) {
	p.size = int64(len(data))
	for {
		n := min(len(data), stateChunk)
		chunk := packChunk(data[:n])
		p.chunks = append(p.chunks, chunk)
		p.bytes += len(chunk)
		p.crc = crc32.Update(p.crc, castagnoli, chunk)
		if data = data[n:]; len(data) == 0 {
			return p
		}
	}
}

// packSample is how much of a chunk is compressed to see whether the rest is worth it.
const packSample = 32 << 10

// packChunk compresses a chunk. Where a sample does not lose a quarter, such as addresses and
// ports of which each is another, that takes longer than to write the bytes: then the chunk
// is a single literal, of the same format (google/snappy, format_description.txt: the
// length, and an element with a length of three bytes).
func packChunk(data []byte) []byte {
	room := buffers.get(s2.MaxEncodedLen(len(data)))
	room = room[:cap(room)]
	if len(data) <= packSample || 4*len(s2.Encode(room, data[:packSample])) <= 3*packSample {
		return s2.Encode(room, data)
	}
	n := len(data) - 1
	b := binary.AppendUvarint(room[:0], uint64(len(data)))
	return append(append(b, 62<<2, byte(n), byte(n>>8), byte(n>>16)), data...)
}

func (p *packed) free() {
	for _, c := range p.chunks {
		buffers.put(c)
	}
}

// write stores a snapshot. It repeats every request until the broker has it or the
// context ends.
func (s *stateLog) write(ctx context.Context, m manifest, p packed) error {
	id := strconv.FormatUint(rand.Uint64(), 16)
	m.Version, m.Size, m.CRC, m.Chunks = stateVersion, p.size, p.crc, len(p.chunks)
	for i, chunk := range p.chunks {
		offset, err := s.append(ctx, chunk, id, headerChunk, strconv.Itoa(i))
		if err != nil {
			return err
		}
		if i == 0 {
			m.FirstOffset = offset
		}
	}
	value, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("cannot write a snapshot's manifest: %w", err)
	}
	_, err = s.append(ctx, value, id, headerManifest, "1")
	return err
}

// append writes one message of a snapshot, as it is: it is compressed already.
func (s *stateLog) append(ctx context.Context, value []byte, id, header, said string) (int64, error) {
	fields := []field{{headerSnapshot, []byte(id)}, {header, []byte(said)}}
	return s.client.insist(ctx, s.topic, s.partition, wire.None, value, fields, time.Now(), s.log)
}

// newest finds the last snapshot that is complete, looking back from the end of
// the log. Without one it returns nil data.
func (s *stateLog) newest(ctx context.Context) (manifest, []byte, error) {
	first, end, err := s.client.offsets(ctx, s.topic, s.partition)
	if err != nil {
		return manifest{}, nil, err
	}
	for hi, window := end, int64(4); hi > first; window *= 2 {
		lo := max(first, hi-window)
		found, err := s.manifests(ctx, lo, hi)
		if err != nil {
			return manifest{}, nil, err
		}
		for i := len(found) - 1; i >= 0; i-- {
			data, err := s.load(ctx, found[i])
			if err == nil {
				return found[i].manifest, data, nil
			}
			if ctx.Err() != nil || !errors.Is(err, errSnapshot) {
				return manifest{}, nil, err
			}
			s.log.Warn("a snapshot is passed over", "topic", s.topic, "partition", s.partition, "offset", found[i].offset, "error", err)
		}
		hi = lo
	}
	return manifest{}, nil, nil
}

// located is a manifest and where it was found.
type located struct {
	manifest
	id     string
	offset int64
}

// manifests are those between two offsets, in log order.
func (s *stateLog) manifests(ctx context.Context, lo, hi int64) (found []located, err error) {
	err = s.scan(ctx, lo, hi, func(m *message) {
		l := located{id: m.headerNamed(headerSnapshot), offset: m.offset}
		if m.headerNamed(headerManifest) != "" && json.Unmarshal(m.value, &l.manifest) == nil {
			found = append(found, l)
		}
	})
	return found, err
}

// load gathers the chunks of a snapshot. Errors other than errSnapshot are the
// broker's.
func (s *stateLog) load(ctx context.Context, l located) ([]byte, error) {
	if l.Version != stateVersion && l.Version != zstdVersion || l.Chunks < 1 || l.Size < 0 || l.Size > maxSnapshot || l.FirstOffset > l.offset || l.FirstOffset < 0 {
		return nil, fmt.Errorf("%w: the manifest makes no sense", errSnapshot)
	}
	u := unpacking{version: l.Version}
	err := s.scan(ctx, l.FirstOffset, l.offset, func(m *message) {
		// A chunk whose answer was lost is there twice.
		if m.headerNamed(headerSnapshot) == l.id && m.headerNamed(headerChunk) == strconv.Itoa(u.chunks) {
			u.add(m.value, l.Size)
		}
	})
	if err != nil {
		return nil, err
	}
	if u.chunks != l.Chunks || u.crc != l.CRC {
		return nil, fmt.Errorf("%w: %d of %d chunks are there, or their checksum is wrong", errSnapshot, u.chunks, l.Chunks)
	}
	return u.end(l.Size)
}

// unpacking is a snapshot that is being read.
type unpacking struct {
	version int
	chunks  int
	crc     uint32
	data    []byte // unpacked, in version 1 still packed
	err     error
}

// add takes the next chunk of a snapshot that says how large it is.
func (u *unpacking) add(chunk []byte, size int64) {
	u.chunks++
	u.crc = crc32.Update(u.crc, castagnoli, chunk)
	if u.version == zstdVersion {
		u.data = append(u.data, chunk...)
		return
	}
	n, err := s2.DecodedLen(chunk)
	if err == nil && (n > stateChunk || int64(len(u.data)+n) > size) {
		err = fmt.Errorf("a chunk of %d bytes is too much", n)
	}
	if err != nil || u.err != nil {
		u.err = errors.Join(u.err, err)
		return
	}
	if u.data == nil {
		u.data = make([]byte, 0, min(size, 256<<20)) // a manifest may say anything
	}
	start := len(u.data)
	u.data = slices.Grow(u.data, n)
	part, err := s2.Decode(u.data[start:start+n], chunk)
	u.data, u.err = u.data[:start+len(part)], err
}

func (u *unpacking) end(size int64) ([]byte, error) {
	data, err := u.data, u.err
	if u.version == zstdVersion {
		data, err = unpackZstd(u.data, size)
	}
	if err != nil || int64(len(data)) != size {
		return nil, fmt.Errorf("%w: it does not unpack to %d bytes: %v", errSnapshot, size, err)
	}
	return data, nil
}

// unpackZstd reads a snapshot of version 1.
func unpackZstd(packed []byte, size int64) ([]byte, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxSnapshot))
	if err != nil {
		return nil, fmt.Errorf("cannot unpack a snapshot: %w", err)
	}
	defer dec.Close()
	return dec.DecodeAll(packed, make([]byte, 0, min(size, 64*int64(len(packed))+1024)))
}

// scan visits the messages between two offsets.
func (s *stateLog) scan(ctx context.Context, lo, hi int64, visit func(*message)) error {
	f := fetcher{client: s.client, topic: s.topic, partition: s.partition, plain: true, next: lo}
	for attempt := 0; f.next < hi; {
		c, err := f.fetch(ctx)
		if err != nil {
			if attempt++; attempt > 5 {
				return err
			}
			if e := backoff(ctx, attempt); e != nil {
				return errors.Join(err, e)
			}
			continue
		}
		for i := range c.messages {
			if m := &c.messages[i]; m.offset < hi {
				visit(m)
			}
		}
		if c.end < hi {
			return nil // the end is gone
		}
	}
	return nil
}

// headerNamed is a header's value, empty if it is not there.
func (m *message) headerNamed(key string) string {
	for _, f := range m.fields {
		if f.key == key {
			return string(f.value)
		}
	}
	return ""
}
