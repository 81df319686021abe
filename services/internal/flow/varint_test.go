package flow

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// TestVarint reads numbers of every length, with and without more around them.
func TestVarint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Uint64().Draw(t, "number") >> rapid.IntRange(0, 63).Draw(t, "shift")
		b := rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(t, "before")
		start := len(b)
		b = binary.AppendUvarint(b, want)
		n := len(b)
		b = append(b, rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "behind")...)
		if got, end := Varint(b, start); got != want || end != n {
			t.Fatalf("%x at %d is %x up to %d, want %x up to %d", b, start, got, end, want, n)
		}
		if _, end := Varint(b[:n-1], start); end >= 0 {
			t.Fatalf("%x was read, though its end is missing", b[:n-1])
		}
	})
}

// TestVarintHas64Bits: of a tenth byte one bit is left, and there is no eleventh.
func TestVarintHas64Bits(t *testing.T) {
	ten := []byte{0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}
	if v, end := Varint(ten, 0); v != 1<<63|1 || end != 10 {
		t.Errorf("ten bytes are %x up to %d, want %x up to 10", v, end, uint64(1<<63|1))
	}
	if _, end := Varint(append([]byte{0x80}, ten...), 0); end >= 0 {
		t.Error("eleven bytes are a number")
	}
	ten[9] = 3
	if _, end := Varint(ten, 0); end >= 0 {
		t.Error("65 bits are a number")
	}
}
