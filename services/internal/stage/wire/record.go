package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Record is one record of a log. All its bytes are the batch's.
type Record struct {
	Offset int64
	// Time is in milliseconds since the epoch.
	Time int64
	// Key and Value are nil where there is none.
	Key, Value []byte
	// Headers are so many, encoded.
	headers []byte
	count   int
}

// HeaderCount is the number of headers.
func (r *Record) HeaderCount() int { return r.count }

// EachHeader calls f with every header.
func (r *Record) EachHeader(f func(key, value []byte)) {
	d := varints{b: r.headers}
	for range r.count {
		f(d.bytes(), d.bytes())
	}
}

// errBatch is a record batch that cannot be read.
var errBatch = errors.New("a record batch is damaged")

// ErrChecksum is a record batch that is not what its checksum says: in the log, or only
// in what came of it.
var ErrChecksum = fmt.Errorf("%w: its checksum is wrong", errBatch)

// Batch is one record batch, unpacked.
type Batch struct {
	// Packed tells that the records lie in memory of their own, beside the set.
	Packed bool
	// Memory is where the records lie.
	Memory []byte
	base   int64
	time   int64
	left   int
	d      varints
}

// Next cuts the first record batch off a set, as Fetch gives it, and unpacks it if it
// is packed. At the end, and where the last batch is cut off, ok is false.
func (u *Unpacker) Next(set []byte) (b Batch, rest []byte, ok bool, err error) {
	if len(set) < batchHeader {
		return Batch{}, nil, false, nil
	}
	length := int(int32(binary.BigEndian.Uint32(set[batchLength:]))) + batchLength + 4
	if set[batchLength+8] != magic {
		return Batch{}, nil, false, fmt.Errorf("%w: it is of format %d, wanted is %d", errBatch, set[batchLength+8], magic)
	}
	if length > len(set) {
		return Batch{}, nil, false, nil
	}
	count := int32(binary.BigEndian.Uint32(set[batchCount:]))
	if length < batchHeader || count < 0 {
		return Batch{}, nil, false, errBatch
	}
	whole, rest := set[:length:length], set[length:]
	if crc32.Checksum(whole[batchAttribute:], castagnoli) != binary.BigEndian.Uint32(whole[batchCRC:]) {
		return Batch{}, nil, false, ErrChecksum
	}
	b = Batch{base: int64(binary.BigEndian.Uint64(whole)), time: int64(binary.BigEndian.Uint64(whole[batchTime:])),
		left: int(count), Memory: whole[batchHeader:]}
	if codec := Codec(binary.BigEndian.Uint16(whole[batchAttribute:]) & 7); codec != None {
		b.Packed = true
		if b.Memory, err = u.unpack(codec, b.Memory); err != nil {
			return Batch{}, nil, false, fmt.Errorf("%w: cannot unpack it: %w", errBatch, err)
		}
	}
	b.d.b = b.Memory
	return b, rest, true, nil
}

// Span tells of a set's first record batch, which cannot be read, from which offset to
// which it goes, and its bytes. ok is false where they make no sense, or are cut off.
func Span(set []byte) (first, last int64, batch []byte, ok bool) {
	if len(set) < batchHeader || set[batchLength+8] != magic {
		return 0, 0, nil, false
	}
	length := int64(int32(binary.BigEndian.Uint32(set[batchLength:]))) + batchLength + 4
	delta := int32(binary.BigEndian.Uint32(set[batchLast:]))
	if length < batchHeader || length > int64(len(set)) || delta < 0 {
		return 0, 0, nil, false
	}
	first = int64(binary.BigEndian.Uint64(set))
	return first, first + int64(delta), set[:length:length], true
}

// Next reads the next record. After the last one ok is false.
func (b *Batch) Next() (r Record, ok bool, err error) {
	if b.left == 0 {
		return Record{}, false, nil
	}
	b.left--
	d := varints{b: b.d.bytes()}
	if len(d.b) == 0 {
		return Record{}, false, errBatch
	}
	d.b = d.b[1:] // attributes
	r.Time = b.time + d.int()
	r.Offset = b.base + d.int()
	r.Key, r.Value = d.bytes(), d.bytes()
	n := d.int()
	if d.bad || b.d.bad || n < 0 || n > int64(len(d.b)) {
		return Record{}, false, errBatch
	}
	r.headers, r.count = d.b, int(n)
	for check := d; n > 0; n-- {
		check.bytes()
		check.bytes()
		if check.bad {
			return Record{}, false, errBatch
		}
	}
	return r, true, nil
}

// varints reads zigzag varints and bytes behind their length. bad tells that
// something was not there.
type varints struct {
	b   []byte
	bad bool
}

func (d *varints) int() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[size:]
	return n
}

// bytes are nil for a length of -1.
func (d *varints) bytes() []byte {
	n := d.int()
	switch {
	case n == -1:
		return nil
	case n < 0 || n > int64(len(d.b)):
		d.b, d.bad = nil, true
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}
