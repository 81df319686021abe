package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Codec is how a record batch is compressed, by Kafka's number.
type Codec uint8

// The codecs of Kafka.
const (
	None Codec = iota
	Gzip
	Snappy
	Lz4
	Zstd
)

// Codecs are the codecs by the names of the configuration.
var Codecs = map[string]Codec{"none": None, "gzip": Gzip, "snappy": Snappy, "lz4": Lz4, "zstd": Zstd}

// packBlock is how much is compressed at a time: it stays in a core's cache.
const packBlock = 64 << 10

// packer compresses what is written, behind the bytes of a request.
type packer struct {
	codec Codec
	// block is what waits to be compressed.
	block []byte
	// begun: snappy's first bytes are written.
	begun bool
	out   appender
	// The compressors that were used so far.
	streams [Zstd + 1]stream
}

// stream is a compressor that writes to out.
type stream interface {
	io.WriteCloser
	Reset(w io.Writer)
}

type appender struct{ b []byte }

func (w *appender) Write(b []byte) (int, error) {
	w.b = append(w.b, b...)
	return len(b), nil
}

func (p *packer) begin(codec Codec) {
	p.codec, p.block, p.begun = codec, p.block[:0], false
	if codec == None || codec == Snappy {
		return
	}
	if p.streams[codec] == nil {
		p.streams[codec] = newStream(codec)
	}
	p.streams[codec].Reset(&p.out)
}

// newStream makes a compressor, the quickest of its kind.
func newStream(codec Codec) (s stream) {
	var err error
	switch codec {
	case Lz4:
		w := lz4.NewWriter(nil)
		err = w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ChecksumOption(false))
		s = w
	case Zstd:
		s, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow))
	default:
		s, err = gzip.NewWriterLevel(nil, gzip.BestSpeed)
	}
	if err != nil {
		panic("BUG: a compressor refuses its options: " + err.Error())
	}
	return s
}

// zstdWindow is how far back zstd looks for repetitions: it takes as much memory.
const zstdWindow = 256 << 10

// roomFor is about how much so many bytes take at most when they are packed.
func roomFor(codec Codec, size int) int {
	if codec == Snappy {
		return s2.MaxEncodedLen(size)
	}
	return size
}

// write adds b to what goes behind dst.
func (p *packer) write(dst, b []byte) []byte {
	if p.codec == None {
		return append(dst, b...)
	}
	if p.codec == Snappy && len(b) >= 2*packBlock { // blocks may be of any size: no need to copy
		if len(p.block) > 0 {
			dst = p.flush(dst)
		}
		for ; len(b) >= packBlock; b = b[packBlock:] {
			dst = p.snappy(dst, b[:packBlock])
		}
	}
	for len(b) > 0 {
		n := min(len(b), packBlock-len(p.block))
		p.block = append(p.block, b[:n]...)
		if b = b[n:]; len(p.block) == packBlock {
			dst = p.flush(dst)
		}
	}
	return dst
}

// flush compresses the block.
func (p *packer) flush(dst []byte) []byte {
	block := p.block
	p.block = block[:0]
	if p.codec == Snappy {
		return p.snappy(dst, block)
	}
	return p.through(dst, func(s stream) error {
		_, err := s.Write(block)
		return err
	})
}

// end ends what was written behind dst.
func (p *packer) end(dst []byte) []byte {
	if len(p.block) > 0 {
		dst = p.flush(dst)
	}
	if p.codec == None || p.codec == Snappy {
		return dst
	}
	return p.through(dst, stream.Close)
}

// through has the compressor write behind dst.
func (p *packer) through(dst []byte, f func(stream) error) []byte {
	p.out.b = dst
	if err := f(p.streams[p.codec]); err != nil {
		panic("BUG: cannot compress into memory: " + err.Error())
	}
	dst, p.out.b = p.out.b, nil
	return dst
}

// xerial is what snappy begins with in Kafka: blocks follow, each behind its length.
const xerial = "\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"

func (p *packer) snappy(dst, block []byte) []byte {
	if !p.begun {
		p.begun = true
		dst = append(dst, xerial...)
	}
	start := len(dst)
	dst = slices.Grow(dst, 4+s2.MaxEncodedLen(len(block)))
	packed := s2.EncodeSnappy(dst[start+4:cap(dst)], block)
	dst = dst[:start+4+len(packed)]
	binary.BigEndian.PutUint32(dst[start:], uint32(len(packed)))
	return dst
}

// Unpacker unpacks record batches, into room that Buffer gives.
type Unpacker struct {
	Buffer func(n int) []byte
	lz4    *lz4.Reader
	gzip   *gzip.Reader
	zstd   *zstd.Decoder
}

// maxUnpacked bounds what a record batch may unpack to: far more than brokers take.
const maxUnpacked = 256 << 20

// errTooLarge is a record batch that would take all our memory.
var errTooLarge = errors.New("it unpacks to too much")

func (u *Unpacker) unpack(codec Codec, packed []byte) ([]byte, error) {
	switch codec {
	case Snappy:
		return u.snappy(packed)
	case Lz4:
		if u.lz4 == nil {
			u.lz4 = lz4.NewReader(nil)
		}
		u.lz4.Reset(bytes.NewReader(packed))
		return u.readAll(u.lz4, len(packed))
	case Gzip:
		if u.gzip == nil {
			u.gzip = new(gzip.Reader)
		}
		if err := u.gzip.Reset(bytes.NewReader(packed)); err != nil {
			return nil, err
		}
		return u.readAll(u.gzip, len(packed))
	case Zstd:
		if u.zstd == nil {
			var err error
			if u.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked)); err != nil {
				return nil, err
			}
		}
		return u.zstd.DecodeAll(packed, u.Buffer(usualRatio * len(packed))[:0])
	}
	return nil, fmt.Errorf("codec %d is unknown", codec)
}

// usualRatio is by how much batches of flows are compressed, at most.
const usualRatio = 5

// readAll reads to the end.
func (u *Unpacker) readAll(r io.Reader, packed int) ([]byte, error) {
	b := u.Buffer(usualRatio*packed + 1)
	b = b[:cap(b)]
	for n := 0; ; {
		k, err := r.Read(b[n:])
		switch n += k; {
		case errors.Is(err, io.EOF):
			return b[:n], nil
		case err != nil:
			return nil, err
		case n == len(b) && n >= maxUnpacked:
			return nil, errTooLarge
		case n == len(b):
			more := u.Buffer(2 * n)
			copy(more[:n], b)
			b = more[:cap(more)]
		}
	}
}

// snappy unpacks blocks behind lengths, or a single one.
func (u *Unpacker) snappy(packed []byte) ([]byte, error) {
	if len(packed) < len(xerial) || string(packed[:8]) != xerial[:8] {
		size, err := s2.DecodedLen(packed)
		if err != nil || size > maxUnpacked {
			return nil, errors.Join(errTooLarge, err)
		}
		return s2.Decode(u.Buffer(size)[:size], packed)
	}
	size := 0
	err := eachBlock(packed, func(block []byte) error {
		n, err := s2.DecodedLen(block)
		if size += n; err == nil && size > maxUnpacked {
			err = errTooLarge
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	b := u.Buffer(size)[:size]
	at := 0
	return b, eachBlock(packed, func(block []byte) error {
		part, err := s2.Decode(b[at:], block)
		at += len(part)
		return err
	})
}

// eachBlock visits the blocks of xerial's format.
func eachBlock(packed []byte, f func(block []byte) error) error {
	for rest := packed[len(xerial):]; len(rest) > 0; {
		if len(rest) < 4 {
			return io.ErrUnexpectedEOF
		}
		n := binary.BigEndian.Uint32(rest)
		if rest = rest[4:]; uint64(n) > uint64(len(rest)) {
			return io.ErrUnexpectedEOF
		}
		if err := f(rest[:n:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}
