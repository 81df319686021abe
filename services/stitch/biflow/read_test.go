package biflow

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// TestLongNumbers reads numbers of every length, with and without more behind them.
func TestLongNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.Uint64().Draw(t, "number")>>rapid.IntRange(0, 56).Draw(t, "shift") | 0x80
		msg := binary.AppendUvarint(nil, want)
		n := len(msg)
		msg = append(msg, rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "rest")...)
		if got, end := longer(msg, 1); got != want || end != n {
			t.Fatalf("%x is %x of %d bytes, want %x of %d", msg, got, end, want, n)
		}
		if _, end := longer(msg[:n-1], 1); end >= 0 {
			t.Fatalf("%x was read, though its end is missing", msg[:n-1])
		}
	})
}
