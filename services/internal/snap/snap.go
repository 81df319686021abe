// Package snap writes and reads the binary form of a core's snapshot: plain
// values one after the other, little ceremony, strict when read. A snapshot
// starts with a version that its owner writes and checks.
package snap

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrCorrupt says that a snapshot is not what was written.
var ErrCorrupt = errors.New("snapshot is corrupt")

// Writer appends values to B.
type Writer struct{ B []byte }

// Uint appends an unsigned number as a varint.
func (w *Writer) Uint(v uint64) { w.B = binary.AppendUvarint(w.B, v) }

// Int appends a signed number as a varint.
func (w *Writer) Int(v int64) { w.B = binary.AppendVarint(w.B, v) }

// Bool appends a truth value.
func (w *Writer) Bool(v bool) {
	if v {
		w.B = append(w.B, 1)
	} else {
		w.B = append(w.B, 0)
	}
}

// Fixed appends bytes whose number the reader knows.
func (w *Writer) Fixed(b []byte) { w.B = append(w.B, b...) }

// Bytes appends bytes with their number.
func (w *Writer) Bytes(b []byte) {
	w.Uint(uint64(len(b)))
	w.B = append(w.B, b...)
}

// String appends a string with its length.
func (w *Writer) String(s string) {
	w.Uint(uint64(len(s)))
	w.B = append(w.B, s...)
}

// Reader reads values back in the order of writing. After the first error
// everything reads as zero; Err tells.
type Reader struct {
	b   []byte
	err error
}

// NewReader reads from b.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err is the first error.
func (r *Reader) Err() error { return r.err }

// Close checks that everything was read.
func (r *Reader) Close() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("%w: %d bytes too many", ErrCorrupt, len(r.b))
	}
	return r.err
}

func (r *Reader) fail() {
	if r.err == nil {
		r.err = ErrCorrupt
	}
	r.b = nil
}

// Uint reads an unsigned number.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Int reads a signed number.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Len reads a number of things to come, each at least one byte long, so that a
// corrupt snapshot cannot ask for more memory than it has bytes.
func (r *Reader) Len() int {
	n := r.Uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return 0
	}
	return int(n)
}

// Bool reads a truth value.
func (r *Reader) Bool() bool {
	if len(r.b) == 0 || r.b[0] > 1 {
		r.fail()
		return false
	}
	v := r.b[0] == 1
	r.b = r.b[1:]
	return v
}

// Byte reads a byte.
func (r *Reader) Byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	b := r.b[0]
	r.b = r.b[1:]
	return b
}

// Fixed reads len(dst) bytes into dst.
func (r *Reader) Fixed(dst []byte) {
	if len(r.b) < len(dst) {
		r.fail()
		clear(dst)
		return
	}
	copy(dst, r.b)
	r.b = r.b[len(dst):]
}

// Bytes reads bytes with their number. The result aliases the snapshot.
func (r *Reader) Bytes() []byte {
	n := r.Len()
	if r.err != nil {
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

// String reads a string.
func (r *Reader) String() string { return string(r.Bytes()) }
