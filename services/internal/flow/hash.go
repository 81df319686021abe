package flow

import (
	"encoding/binary"
	"math/bits"
)

// Hash is where a key lies in an index of flows. It is the same in every
// process, but goes into no message and no snapshot: it may change.
func (k *Key) Hash() uint64 {
	ports := uint64(k.Src.Port)<<48 | uint64(k.Dst.Port)<<32 | uint64(k.Realm)
	h := fold(half(&k.Src.Addr, 0)^0x2d358dccaa6c78a5, half(&k.Src.Addr, 8)^0x8bb84b93962eacc9)
	h = fold(half(&k.Dst.Addr, 0)^h, half(&k.Dst.Addr, 8)^0x4b33a62ed433d4a3)
	return fold(ports^h, uint64(k.Proto)^0x4d5a2da51de1aa47)
}

func half(a *Addr, at int) uint64 { return binary.LittleEndian.Uint64(a[at:]) }

// fold mixes two words into one: the halves of their product.
func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
