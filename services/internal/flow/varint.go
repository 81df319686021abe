package flow

import (
	"encoding/binary"
	"math/bits"
)

// Varint reads the number at b[i] and tells where it ends; -1 if it does not, or has more
// than 64 bits: the generated code drops those, others refuse the message, and what is
// passed on as it came must be read alike by all. Numbers of up to nine bytes, as times have, are gathered
// all at once. Most have one byte: who reads many of them looks first.
func Varint(b []byte, i int) (v uint64, end int) {
	if i >= len(b) {
		return 0, -1
	}
	if b[i] < 0x80 {
		return uint64(b[i]), i + 1
	}
	if len(b)-i > 8 {
		x := binary.LittleEndian.Uint64(b[i+1:])
		if last := ^x & 0x8080808080808080; last != 0 {
			x &= last ^ (last - 1) // up to the first byte that says that it is the last
			x = x&0x007f007f007f007f | x>>1&0x3f803f803f803f80
			x = x&0x00003fff00003fff | x>>2&0x0fffc0000fffc000
			x = x&0x000000000fffffff | x>>4&0x00fffffff0000000
			return x<<7 | uint64(b[i]&0x7f), i + 2 + bits.TrailingZeros64(last)/8
		}
	}
	for shift := 0; i < len(b) && shift < 70; shift += 7 {
		v |= uint64(b[i]&0x7f) << shift
		if i++; b[i-1] < 0x80 {
			if shift == 63 && b[i-1] > 1 {
				break
			}
			return v, i
		}
	}
	return 0, -1
}
