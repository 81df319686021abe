package stage

import (
	"encoding/binary"
	"errors"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// errSnapshot says that bytes are no snapshot.
var errSnapshot = errors.New("snapshot is damaged")

func appendInt(b []byte, n int64) []byte           { return binary.AppendVarint(b, n) }
func appendTick(b []byte, t eventtime.Tick) []byte { return binary.AppendVarint(b, int64(t)) }
func appendLen(b []byte, n int) []byte             { return binary.AppendUvarint(b, uint64(n)) }
func appendBytes[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(appendLen(b, len(s)), s...)
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// decoder reads what the append functions wrote. After the first error it gives
// zeroes.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = errSnapshot
	}
	d.b = nil
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) tick() eventtime.Tick { return eventtime.Tick(d.int()) }

// len is a count of things of at least one byte each, so that damage cannot ask
// for more memory than there are bytes.
func (d *decoder) len() int {
	n, size := binary.Uvarint(d.b)
	if size <= 0 || n > uint64(len(d.b)-size) {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return int(n)
}

// count is a number that nothing is allocated by.
func (d *decoder) count() int {
	n, size := binary.Uvarint(d.b)
	if size <= 0 || n > 1<<31 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.len()
	if d.err != nil {
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) string() string { return string(d.bytes()) }

func (d *decoder) bool() bool {
	if len(d.b) == 0 || d.b[0] > 1 {
		d.fail()
		return false
	}
	v := d.b[0] == 1
	d.b = d.b[1:]
	return v
}
