package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

// serving are streams over TLS at work, with nobody behind the queue.
type serving struct{ *streams }

func newServing(t *testing.T, k *keys, change func(*tlsConfig)) *serving {
	t.Helper()
	cfg := Default()
	cfg.Streams.TLS = k.config()
	if change != nil {
		change(&cfg.Streams.TLS)
	}
	r := prometheus.NewRegistry()
	m := newMetrics(r, 10)
	s := newStreams(cfg.Streams, newGate(cfg.Allow, cfg.Limits, 10, m, r), newQueues(1, 1<<30, (&hands{ns: 1}).read), m, r, quiet())
	if err := s.listen(endpoint{overTLS, "127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &serving{s}
}

// cutAll is all that a framer makes of a stream.
func cutAll(r io.Reader) (messages [][]byte, err error) {
	f := framer{from: r}
	for {
		m, err := f.next()
		if err != nil {
			return messages, err
		}
		messages = append(messages, bytes.Clone(m))
	}
}

// TestFramer: in whatever pieces a stream comes, it is cut into the messages it was
// made of.
func TestFramer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want [][]byte
		for range rapid.IntRange(0, 20).Draw(t, "messages") {
			m := make([]byte, rapid.OneOf(rapid.IntRange(16, 100), rapid.IntRange(16, 65535)).Draw(t, "length"))
			for i := range m {
				m[i] = byte(len(want) + i)
			}
			binary.BigEndian.PutUint16(m, 10)
			binary.BigEndian.PutUint16(m[2:], uint16(len(m)))
			want = append(want, m)
		}
		all := slices.Concat(want...)
		rest := rapid.IntRange(0, 20).Draw(t, "rest")
		all = append(all, slices.Concat([]byte{0, 10, 0, 100}, make([]byte, 96))[:rest]...)
		pieces := rapid.SliceOfN(rapid.IntRange(1, 70000), 1, 10).Draw(t, "pieces")
		got, err := cutAll(&inPieces{bytes: all, sizes: pieces})
		if diff := cmp.Diff(got, want); diff != "" {
			t.Fatalf("(-got, +want)\n%s", diff)
		}
		if end := map[bool]error{true: io.EOF, false: errTruncated}[rest == 0]; !errors.Is(err, end) {
			t.Fatalf("ends with %v, want %v", err, end)
		}
	})
}

// inPieces is read a few bytes at a time.
type inPieces struct {
	bytes []byte
	sizes []int
	n     int
}

func (p *inPieces) Read(b []byte) (int, error) {
	size := p.sizes[p.n%len(p.sizes)]
	p.n++
	n := copy(b[:min(len(b), size)], p.bytes)
	if p.bytes = p.bytes[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func TestFramerEnds(t *testing.T) {
	good := ipfix(0, dataSet)
	for _, c := range []struct {
		name  string
		bytes []byte
		want  error
	}{
		{"nothing", nil, io.EOF},
		{"whole", good, io.EOF},
		{"a part of the header", append(bytes.Clone(good), 0, 10, 0), errTruncated},
		{"a part of a message", append(bytes.Clone(good), good[:30]...), errTruncated},
		{"another protocol", append(bytes.Clone(good), "GET /"...), errNotIPFIX},
		{"NetFlow v9", append(bytes.Clone(good), 0, 9, 0, 30), errNotIPFIX},
		{"no room for a header", append(bytes.Clone(good), 0, 10, 0, 15), errLength},
	} {
		if _, err := cutAll(bytes.NewReader(c.bytes)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

// FuzzFramer: of any bytes, in any pieces, the messages and what is left are the
// bytes again, and each message is as long as it says.
func FuzzFramer(f *testing.F) {
	f.Add(ipfix(0, templateSet, dataSet), uint16(3))
	f.Add([]byte{0, 10, 0, 15}, uint16(1))
	f.Add(append(ipfix(7, dataSet), "GET / HTTP/1.1"...), uint16(1000))
	files, err := filepath.Glob(filepath.Join(testkit.Data(f, "captures"), "*.pcap"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		for _, payloads := range readCapture(f, file) {
			f.Add(slices.Concat(payloads[:min(len(payloads), 3)]...), uint16(100))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, piece uint16) {
		got, err := cutAll(&inPieces{bytes: b, sizes: []int{int(piece) + 1}})
		left := b
		for _, m := range got {
			if len(m) < ipfixHeader || int(binary.BigEndian.Uint16(m[2:])) != len(m) || !bytes.HasPrefix(left, m) {
				t.Fatalf("a message of %d bytes is not what came", len(m))
			}
			left = left[len(m):]
		}
		if clean := len(left) == 0; clean != errors.Is(err, io.EOF) {
			t.Fatalf("%d bytes are left at %v", len(left), err)
		}
		again, err2 := cutAll(iotest.OneByteReader(bytes.NewReader(b)))
		if diff := cmp.Diff(again, got); diff != "" || !errors.Is(err2, err) {
			t.Fatalf("byte by byte (-), in pieces (+): %v, %v\n%s", err2, err, diff)
		}
	})
}
