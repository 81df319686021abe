package flow

import (
	"encoding/binary"
	"slices"
)

// Origin is where the records of a template have what flows are made of: addresses,
// and numbers that are only copied.
type Origin struct {
	srcAddr, dstAddr, nextHop, bgpNextHop BytesAt

	copies [stretches][]copied
	// reach is how far into a record, or what follows it, is looked.
	reach int
}

// BytesAt and NumberAt are where a field lies in a record. Their zero values are of a
// field that is not there: no bytes, and zero.
type (
	BytesAt struct{ From, To int32 }
	// NumberAt is, of the eight bytes from At on, big-endian, what the shift leaves
	// and the mask lets through.
	NumberAt struct {
		At    int32
		Shift uint8
		Mask  uint64
	}
)

// Of are the bytes of a record.
func (a BytesAt) Of(record []byte) []byte { return record[a.From:a.To] }

// Len is how many bytes there are.
func (a BytesAt) Len() int { return int(a.To - a.From) }

// Of is the number of a record.
func (a *NumberAt) Of(record []byte) uint64 {
	at := int(a.At)
	return binary.BigEndian.Uint64(record[at:at+8:at+8]) >> (a.Shift & 63) & a.Mask
}

// Addresses says where addresses lie, of 4 or of 16 bytes each. There may be no next
// hops; one that is all zero is none.
func (o *Origin) Addresses(srcAddr, dstAddr, nextHop, bgpNextHop BytesAt) {
	for _, a := range []BytesAt{srcAddr, dstAddr, nextHop, bgpNextHop} {
		if n := a.Len(); a.From < 0 || n != 4 && n != 16 && a != (BytesAt{}) {
			panic("BUG: an address of another length")
		}
		o.reach = max(o.reach, int(a.To))
	}
	o.srcAddr, o.dstAddr, o.nextHop, o.bgpNextHop = srcAddr, dstAddr, nextHop, bgpNextHop
}

// A stretch is a run of fields in which numbers are copied and nothing else is.
const (
	volume  = iota // 9 and 10
	routing        // 13 to 29
	inside         // 31 to 38
	ending         // 202
	vrfs           // 239 and 240
	stretches
)

// copied is a number that is copied into a field, unless it is zero.
type copied struct {
	NumberAt
	number, tag uint16
	tagBytes    uint8
}

// Copy has a number copied into a field, unless it is zero. There is one for a field.
func (o *Origin) Copy(number uint16, from NumberAt) {
	one := copied{NumberAt: from, number: number, tag: tag(number, varint), tagBytes: 2}
	if number < 16 {
		one.tag, one.tagBytes = number<<3, 1
	}
	s := &o.copies[stretchOf(number)]
	at, again := slices.BinarySearchFunc(*s, number, func(c copied, n uint16) int { return int(c.number) - int(n) })
	if again || from.At < 0 {
		panic("BUG: a number that cannot be copied")
	}
	*s = slices.Insert(*s, at, one)
	o.reach = max(o.reach, int(from.At)+8)
}

func stretchOf(number uint16) int {
	switch {
	case number == 9 || number == 10:
		return volume
	case number >= 13 && number <= 29:
		return routing
	case number >= 31 && number <= 38:
		return inside
	case number == 202:
		return ending
	case number == 239 || number == 240:
		return vrfs
	}
	panic("BUG: a field for which Pattern has no place")
}
