package rule

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// maxExact is how many targets are told apart one by one; beyond, distinct
// estimates.
const maxExact = 1024

// distinctBytes is the size of a linear counter: 65,536 bits, good to 1 % up to
// 200,000 targets, and to 5 % up to 500,000.
const distinctBytes = 8192

// distinct estimates how many different targets it was given, by linear
// counting (Whang, Vander-Zanden, Taylor 1990): each sets one bit; the share of
// bits left tells how many there were.
type distinct struct {
	bits [distinctBytes]byte
	set  int
}

func (d *distinct) add(t target) {
	var key [20]byte
	copy(key[:], t.addr[:])
	binary.BigEndian.PutUint16(key[16:], t.port)
	key[18] = t.proto
	h := xxhash.Sum64(key[:])
	i, bit := h>>3%distinctBytes, byte(1)<<(h&7)
	if d.bits[i]&bit == 0 {
		d.bits[i] |= bit
		d.set++
	}
}

// count is the estimate; a full counter says 65,536·ln 65,536.
func (d *distinct) count() int {
	const m = distinctBytes * 8
	left := max(m-d.set, 1)
	return int(math.Round(m * math.Log(m/float64(left))))
}

// restore recounts the bits after they were read from a snapshot.
func (d *distinct) restore() {
	d.set = 0
	for _, b := range d.bits {
		d.set += bits.OnesCount8(b)
	}
}
