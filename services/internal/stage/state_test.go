package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// someState is a snapshot of several chunks, some of them hard to compress.
func someState(seed uint64, size int) []byte {
	r := rand.New(rand.NewPCG(seed, 0))
	b := make([]byte, size)
	for i := 0; i < size; i++ {
		if b[i] = byte(r.Uint32()); i > size/2 {
			b[i] &= 1
		}
	}
	return b
}

// TestStateLog stores snapshots; the newest that is whole is found, be it of this
// version or the first.
func TestStateLog(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := cfg.client()
	defer c.close()
	s := &stateLog{client: c, topic: cfg.Topic(StateTopic("dedup")), partition: 1, log: testLog(t)}
	newest := func(what string, want []byte) {
		t.Helper()
		_, got, err := s.newest(ctx)
		if err != nil || !bytes.Equal(want, got) || (want == nil) != (got == nil) {
			t.Fatalf("%s: got %d bytes (%v), want %d", what, len(got), err, len(want))
		}
	}
	store := func(data []byte) {
		t.Helper()
		p := pack(data)
		defer p.free()
		if err := s.write(ctx, manifest{Stage: "dedup"}, p); err != nil {
			t.Fatal(err)
		}
	}
	newest("an empty log", nil)
	storeFirstVersion(ctx, t, s, someState(1, 3_000_000))
	newest("the first version", someState(1, 3_000_000))
	for _, size := range []int{0, 1, stateChunk, stateChunk + 1, 5*stateChunk + 7} {
		store(someState(2, size))
		_, got, err := s.newest(ctx)
		if err != nil || !bytes.Equal(got, someState(2, size)) {
			t.Errorf("of %d bytes %d came back (%v)", size, len(got), err)
		}
	}
	store(someState(3, 100))
	damaged := pack(someState(4, 2*stateChunk))
	damaged.chunks[1][100] ^= 1
	if err := s.write(ctx, manifest{}, damaged); err != nil {
		t.Fatal(err)
	}
	short := pack(someState(4, 10))
	short.size++
	if err := s.write(ctx, manifest{}, short); err != nil {
		t.Fatal(err)
	}
	newest("two damaged snapshots behind a good one", someState(3, 100))
}

// storeFirstVersion writes a snapshot as the first version did.
func storeFirstVersion(ctx context.Context, t *testing.T, s *stateLog, data []byte) {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	text := enc.EncodeAll(data, nil)
	m := manifest{Version: zstdVersion, Size: int64(len(data)), CRC: crc32.Checksum(text, castagnoli), Chunks: 2}
	half := len(text) / 2
	if m.FirstOffset, err = s.append(ctx, text[:half], "one", headerChunk, "0"); err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, add := range []struct {
		value []byte
		name  string
		text  string
	}{{text[half:], headerChunk, "1"}, {manifest, headerManifest, "1"}} {
		if _, err := s.append(ctx, add.value, "one", add.name, add.text); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPackChunk: what hardly shrinks is kept as it is, in the same format, all else is
// compressed.
func TestPackChunk(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	random := make([]byte, stateChunk)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	order := bytes.Repeat([]byte("one after the other "), stateChunk/20)
	for _, c := range []struct {
		data  []byte
		plain bool
	}{{nil, false}, {random[:1], false}, {random[:packSample], false}, {random[:packSample+1], true}, {random, true}, {order, false},
		{append(order[:100_000:100_000], random[:100_000]...), false}} {
		packed := packChunk(c.data)
		got, err := s2.Decode(nil, packed)
		if err != nil || !bytes.Equal(got, c.data) {
			t.Errorf("of %d bytes %d came back (%v)", len(c.data), len(got), err)
		}
		if plain := bytes.HasSuffix(packed, c.data) && len(packed) == len(c.data)+3+4; plain != c.plain {
			t.Errorf("%d bytes became %d", len(c.data), len(packed))
		}
	}
}
