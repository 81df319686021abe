package flow

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// secret is of this process alone, so that nobody who sends flows can choose keys
// that all lie in one place of an index. It decides where, and nothing else.
var secret = [4]uint64{rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64()}

// Hash is where a key lies in an index of flows. It is another one in every
// process, and goes into no message and no snapshot; no output may depend on it.
func (k *Key) Hash() uint64 {
	ports := uint64(k.Src.Port)<<48 | uint64(k.Dst.Port)<<32 | uint64(k.Realm)
	h := fold(half(&k.Src.Addr, 0)^secret[0], half(&k.Src.Addr, 8)^secret[1])
	h = fold(half(&k.Dst.Addr, 0)^h, half(&k.Dst.Addr, 8)^secret[2])
	return fold(ports^h, uint64(k.Proto)^secret[3])
}

func half(a *Addr, at int) uint64 { return binary.LittleEndian.Uint64(a[at:]) }

// fold mixes two words into one: the halves of their product.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
