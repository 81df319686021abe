package flow

import (
	"encoding/binary"
	"unsafe"
)

// The following write at a place in memory and return where they have ended, without
// asking whether there is room or so much of a record: Pattern.Append has asked, once for
// the whole flow. To ask for each number again took a third of the time.

func raw1(to unsafe.Pointer, v byte) unsafe.Pointer {
	*(*byte)(to) = v
	return unsafe.Add(to, 1)
}

func raw2(to unsafe.Pointer, v uint16) unsafe.Pointer {
	binary.LittleEndian.PutUint16((*[2]byte)(to)[:], v)
	return unsafe.Add(to, 2)
}

func raw8(to unsafe.Pointer, v uint64) unsafe.Pointer {
	binary.LittleEndian.PutUint64((*[8]byte)(to)[:], v)
	return unsafe.Add(to, 8)
}

// rawVarint writes up to ten bytes.
func rawVarint(to unsafe.Pointer, v uint64) unsafe.Pointer {
	for v >= 0x80 {
		to = raw1(to, byte(v)|0x80)
		v >>= 7
	}
	return raw1(to, byte(v))
}

// rawSmall writes a number of less than 128 under a tag of two bytes.
func rawSmall(to unsafe.Pointer, number uint16, v byte) unsafe.Pointer {
	return raw1(raw2(to, tag(number, varint)), v)
}

// rawCopies writes the copies of a stretch.
func rawCopies(to unsafe.Pointer, copies []copied, record unsafe.Pointer) unsafe.Pointer {
	for k := range copies {
		c := &copies[k]
		v := binary.BigEndian.Uint64((*[8]byte)(unsafe.Add(record, c.At))[:]) >> (c.Shift & 63) & c.Mask
		if v != 0 {
			raw2(to, c.tag)
			to = rawVarint(unsafe.Add(to, c.tagBytes), v)
		}
	}
	return to
}

// rawAddress writes an address of 4 or 16 bytes, its length before it.
func rawAddress(to unsafe.Pointer, a BytesAt, record unsafe.Pointer) unsafe.Pointer {
	n, from := a.Len(), unsafe.Add(record, a.From)
	to = raw1(to, byte(n))
	if n == 4 {
		*(*[4]byte)(to) = *(*[4]byte)(from)
	} else {
		*(*[16]byte)(to) = *(*[16]byte)(from)
	}
	return unsafe.Add(to, n)
}

// rawTime writes nanoseconds since the epoch, unless there are none.
func rawTime(to unsafe.Pointer, number uint16, v uint64) unsafe.Pointer {
	if v == 0 {
		return to
	}
	to = raw2(to, tag(number, varint))
	if v < 1<<56 || v >= 1<<63 {
		return rawVarint(to, v)
	}
	return raw1(raw8(to, spread(v)), byte(v>>56))
}
