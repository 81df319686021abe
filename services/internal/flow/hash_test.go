package flow

import (
	"encoding/binary"
	"testing"
)

// Words that are equal to a secret take the rest of their half out of the hash. With
// secrets that anybody could read here, an exporter chose sources that were all alike.
func TestKeysCannotBeChosenToMeet(t *testing.T) {
	seen := make(map[uint64]bool)
	const n = 1000
	for i := range uint64(n) {
		var k Key
		binary.LittleEndian.PutUint64(k.Src.Addr[:], 0x2d358dccaa6c78a5)
		binary.LittleEndian.PutUint64(k.Src.Addr[8:], i)
		seen[k.Hash()] = true
	}
	if len(seen) != n {
		t.Errorf("%d keys have %d hashes", n, len(seen))
	}
}
