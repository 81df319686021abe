package biflow

import "testing"

// TestConversationsCannotBeChosenToMeet: with constants that anybody can read, ports
// make up for what addresses do to a hash. What met then does not meet now.
func TestConversationsCannotBeChosenToMeet(t *testing.T) {
	readable := func(low, high uint32) uint64 { return fold(uint64(low)<<32|uint64(high), 0x8bb84b93962eacc9) }
	type key struct {
		high              uint32
		lowPort, highPort uint16
	}
	const low = 10 << 24
	met := 0
	seen := map[uint32]uint32{} // by the half of the hash that ports leave alone
	for high := uint32(low); met < 10; high++ {
		h := readable(low, high)
		other, twice := seen[uint32(h)]
		seen[uint32(h)] = high
		if !twice {
			continue
		}
		met++
		ports := uint32((h ^ readable(low, other)) >> 32)
		a, b := key{high: other}, key{high, uint16(ports >> 16), uint16(ports)}
		if hash4(low, a.high, a.lowPort, a.highPort, 0, 6) == hash4(low, b.high, b.lowPort, b.highPort, 0, 6) {
			t.Errorf("%v and %v have one hash", a, b)
		}
	}
}
