package flow

import (
	"encoding/binary"
	"testing"

	"github.com/cespare/xxhash/v2"
	"pgregory.net/rapid"
)

// TestHash41 holds the hash against the library's.
func TestHash41(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 41, 41).Draw(t, "bytes")
		binary.LittleEndian.PutUint64(b[8:], second4)
		binary.LittleEndian.PutUint64(b[24:], fourth4)
		word := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
		if got, want := hash41(word(0), word(2), word(4), uint64(b[40])), xxhash.Sum64(b); got != want {
			t.Fatalf("got %x, want %x", got, want)
		}
	})
}
