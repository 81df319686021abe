package flow

import (
	"encoding/binary"
	"slices"
)

// Copies are the numbers that are copied from the records of a template, by the
// stretch of the message they belong to, in the order of their fields.
type Copies [stretches][]Copy

// A stretch is a run of fields in which numbers are copied and nothing else is.
const (
	volume = iota // 9 and 10
	packet        // 13 to 38
	ending        // 202
	vrfs          // 239 and 240
	stretches
)

// Copy is a number that is copied from a record into a field, unless it is zero: of the
// eight bytes from at on, big-endian, what the shift leaves and the mask lets through.
type Copy struct {
	mask, constant uint64
	at             int32
	number, tag    uint16
	tagBytes       uint8
	shift          uint8
}

// Add has a field copied.
func (c *Copies) Add(number uint16, at int32, shift uint8, mask uint64) {
	c.add(Copy{number: number, at: at, shift: shift, mask: mask})
}

// AddConstant has a field written that is the same in all records.
func (c *Copies) AddConstant(number uint16, v uint64) {
	c.add(Copy{number: number, constant: v})
}

func (c *Copies) add(one Copy) {
	one.tag, one.tagBytes = tag(one.number, varint), 2
	if one.number < 16 {
		one.tag, one.tagBytes = one.number<<3, 1
	}
	s := &c[stretchOf(one.number)]
	*s = append(*s, one)
	slices.SortFunc(*s, func(a, b Copy) int { return int(a.number) - int(b.number) })
}

func stretchOf(number uint16) int {
	switch {
	case number == 9 || number == 10:
		return volume
	case number >= 13 && number <= 38:
		return packet
	case number == 202:
		return ending
	case number == 239 || number == 240:
		return vrfs
	}
	panic("BUG: a field for which Pattern has no place")
}

// putCopies writes the copies of a stretch.
func putCopies(b []byte, i int, copies []Copy, record []byte) int {
	for k := range copies {
		c := &copies[k]
		at := int(c.at)
		v := binary.BigEndian.Uint64(record[at:at+8:at+8])>>(c.shift&63)&c.mask | c.constant
		if v == 0 {
			continue
		}
		binary.LittleEndian.PutUint16(b[i:i+2:i+2], c.tag)
		i += int(c.tagBytes)
		if v < 0x80 {
			b[i] = byte(v)
			i++
			continue
		}
		i = putVarint(b, i, v)
	}
	return i
}
