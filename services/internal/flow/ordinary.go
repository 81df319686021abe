package flow

import (
	"encoding/binary"
	"math/bits"
)

// ReadFlow reads a flow as Read does.
func (f *Fields) ReadFlow(msg []byte) bool { return f.ordinary(msg) || f.Read(msg, &flowLayout) }

// ordinary reads a flow as they mostly are: its fields in order, each at most once, and
// none that few exporters know. If it is not, f is of no use. The fields that most have
// are asked for one by one, the others where none of those is next: that takes half as
// long as a loop, since what a field is, and how long, is foretold by the flow before.
//
// There must be room behind the message, as there is for all of a batch but the last.
func (f *Fields) ordinary(msg []byte) bool {
	b, end := msg[:cap(msg)], len(msg)
	if len(b)-end < slack {
		return false
	}
	f.Numbers, f.Texts, f.Nested = [numberPlaces]uint64{}, [textPlaces][]byte{}, f.Nested[:0]
	i := f.who(b, 0, end)
	i = f.what(b, i, end)
	i = f.packet(b, i, end)
	i = f.when(b, i, end)
	f.Tail = i
	return f.told(b, i, end) == end
}

// What is asked together begins before the end of the message. What goes beyond the end is
// found out afterwards, so that much must be readable behind it: ten numbers and their tags,
// and as much again behind the place where those go on that are none (longer).
const (
	room  = 10*(2+10) + 8
	slack = 2 * room
)

func load(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i : i+8 : i+8]) }

// number reads the number at i, of which w has the first bytes.
func number(b []byte, w uint64, i int) (v uint64, next int) {
	if v, next = w&0xff, i+1; v >= 0x80 {
		v, next = long(b, w, i)
	}
	return
}

// long reads a number of more than one byte, mostly of less than five.
//
//go:noinline
func long(b []byte, w uint64, i int) (v uint64, next int) {
	last := ^w & 0x80808080
	if last == 0 {
		return longer(b, i)
	}
	w &= last ^ (last - 1)
	return w&0x7f | w>>1&0x3f80 | w>>2&0x1fc000 | w>>3&0xfe00000, i + bits.TrailingZeros64(last)/8 + 1
}

// longer reads any number. If it is none, there is nothing more in the message.
func longer(b []byte, i int) (v uint64, next int) {
	if v, next = Varint(b, i); next < 0 {
		return 0, len(b) - room
	}
	return v, next
}

// instant reads a number that mostly has nine bytes, as times have from 1972 to 2262.
func instant(b []byte, i int) (v uint64, next int) {
	w := load(b, i)
	if ^w&0x8080808080808080 != 0 || b[i+8] >= 0x80 {
		return longer(b, i)
	}
	return gather(w) | uint64(b[i+8])<<56, i + 9
}

// address reads the text whose tag is at i. One that is too long stays there, and with it all
// that follows, as no field is asked for twice.
func address(b []byte, i, end int) (v []byte, next int) {
	at := i + 2
	next = at + int(b[i+1])
	if next > end || next-at >= 0x80 {
		return nil, i
	}
	return b[at:next], next
}

// gather puts the seven bits of each byte together.
func gather(x uint64) uint64 {
	x = x&0x007f007f007f007f | x>>1&0x3f803f803f803f80
	x = x&0x00003fff00003fff | x>>2&0x0fffc0000fffc000
	return x&0x000000000fffffff | x>>4&0x00fffffff0000000
}

// who reads the fields from 1 to 12.
func (f *Fields) who(b []byte, i, end int) int {
	if i >= end {
		return i
	}
	n, w := &f.Numbers, load(b, i)
	if uint8(w) == 1<<3 {
		n[AtType], i = number(b, w>>8, i+1)
		w = load(b, i)
	}
	if uint8(w) == 3<<3 {
		n[AtRate], i = number(b, w>>8, i+1)
		w = load(b, i)
	}
	if uint8(w) == 4<<3 { // sequence number
		_, i = number(b, w>>8, i+1)
		w = load(b, i)
	}
	if uint8(w) == 6<<3|text {
		f.Texts[AtSrc], i = address(b, i, end)
		w = load(b, i)
	}
	if uint8(w) == 7<<3|text {
		f.Texts[AtDst], i = address(b, i, end)
		w = load(b, i)
	}
	if uint8(w) == 9<<3 {
		n[AtBytes], i = number(b, w>>8, i+1)
		w = load(b, i)
	}
	if uint8(w) == 10<<3 {
		n[AtPackets], i = number(b, w>>8, i+1)
		w = load(b, i)
	}
	if uint8(w) == 11<<3|text {
		f.Texts[AtSampler], i = address(b, i, end)
		w = load(b, i)
	}
	if uint8(w) == 12<<3|text { // next hop
		_, i = address(b, i, end)
	}
	return i
}

// what reads the fields from 13 to 22.
func (f *Fields) what(b []byte, i, end int) int {
	if i >= end {
		return i
	}
	n, w := &f.Numbers, load(b, i)
	if uint16(w) != tag(18, varint) {
		i = f.others(b, i, end, 13, 17)
		w = load(b, i)
	}
	if uint16(w) == tag(18, varint) {
		n[AtInIf], i = number(b, w>>16, i+2)
		w = load(b, i)
	}
	if uint16(w) == tag(19, varint) { // outgoing interface
		_, i = number(b, w>>16, i+2)
		w = load(b, i)
	}
	if uint16(w) == tag(20, varint) {
		n[AtProto], i = number(b, w>>16, i+2)
		w = load(b, i)
	}
	if uint16(w) == tag(21, varint) {
		n[AtSrcPort], i = number(b, w>>16, i+2)
		w = load(b, i)
	}
	if uint16(w) == tag(22, varint) {
		n[AtDstPort], i = number(b, w>>16, i+2)
	}
	return i
}

// packet reads the fields from 23 to 70.
func (f *Fields) packet(b []byte, i, end int) int {
	if i >= end {
		return i
	}
	n, w := &f.Numbers, load(b, i)
	if uint16(w) != tag(26, varint) {
		i = f.others(b, i, end, 23, 25)
		w = load(b, i)
	}
	if uint16(w) == tag(26, varint) {
		n[AtFlags], i = number(b, w>>16, i+2)
		w = load(b, i)
	}
	if uint16(w) != tag(30, varint) {
		i = f.others(b, i, end, 27, 29)
		w = load(b, i)
	}
	if uint16(w) == tag(30, varint) { // ethertype
		_, i = number(b, w>>16, i+2)
		w = load(b, i)
	}
	if uint16(w) != tag(70, varint) {
		i = f.others(b, i, end, 31, 38)
		w = load(b, i)
	}
	if uint16(w) == tag(70, varint) {
		n[AtDomain], i = number(b, w>>16, i+2)
	}
	return i
}

// when reads the fields from 71 to 205.
func (f *Fields) when(b []byte, i, end int) int {
	if i >= end {
		return i
	}
	n, w := &f.Numbers, load(b, i)
	if uint16(w) != tag(110, varint) {
		i = f.others(b, i, end, 71, 71)
		w = load(b, i)
	}
	if uint16(w) == tag(110, varint) {
		n[AtReceived], i = instant(b, i+2)
		w = load(b, i)
	}
	if uint16(w) == tag(111, varint) {
		n[AtStart], i = instant(b, i+2)
		w = load(b, i)
	}
	if uint16(w) == tag(112, varint) {
		n[AtEnd], i = instant(b, i+2)
		w = load(b, i)
	}
	if uint16(w) == tag(200, varint) {
		n[AtDirection], i = number(b, w>>16, i+2)
		w = load(b, i)
	}
	if uint16(w) != tag(230, varint) && uint16(w) != tag(fieldAuthority, varint) {
		i = f.others(b, i, end, 201, 204)
		i = f.reporters(b, i, end)
	}
	return i
}

// told reads the fields from 206 on.
func (f *Fields) told(b []byte, i, end int) int {
	if i >= end {
		return i
	}
	n, w := &f.Numbers, load(b, i)
	if uint16(w) == tag(fieldAuthority, varint) {
		n[AtAuthority], i = number(b, w>>16, i+2)
		w = load(b, i)
	}
	if uint16(w) == tag(230, varint) {
		n[AtQuality], i = number(b, w>>16, i+2)
		w = load(b, i)
	}
	if uint16(w) == tag(231, varint) {
		n[AtKind], i = number(b, w>>16, i+2)
		w = load(b, i)
	}
	if uint16(w) == tag(232, fixed8) {
		n[AtRecordID] = load(b, i+2)
		i += 10
		w = load(b, i)
	}
	if uint16(w) == tag(233, varint) {
		n[AtActive], i = number(b, w>>16, i+2)
		w = load(b, i)
	}
	if uint16(w) == tag(234, varint) {
		n[AtInactive], i = number(b, w>>16, i+2)
		w = load(b, i)
	}
	if uint16(w) == tag(235, varint) {
		n[AtReverse], i = number(b, w>>16, i+2)
	}
	if i < end {
		i = f.others(b, i, end, 236, 243)
	}
	return i
}

// reporters takes the fields 205.
func (f *Fields) reporters(b []byte, i, end int) int {
	for i < end && uint16(load(b, i)) == tag(fieldReporters, text) {
		size, at := Varint(b, i+2)
		if at < 0 || at > end || size > uint64(end-at) {
			return i
		}
		i = at + int(size)
		f.Nested = append(f.Nested, b[at:i])
	}
	return i
}

// others reads the fields of a stretch that few flows have.
func (f *Fields) others(b []byte, i, end int, from, to uint8) int {
	for number := uint16(from); number <= uint16(to) && i < end; number++ {
		field := flowLayout[number]
		wire, size, w := tag(number, uint16(field.kind)-1), 2, load(b, i)
		if number < 16 {
			wire, size, w = number<<3, 1, w&0xff
		}
		switch {
		case field == Field{} || uint16(w) != wire:
		case field.kind == 1+fixed8:
			i += 10
		default:
			f.Numbers[field.place%numberPlaces], i = longer(b, i+size)
		}
	}
	return i
}
