package slab

import "math/bits"

// Index finds numbers by a 64-bit hash of their key. It keeps no keys: the
// caller compares the key that lies in its slab.
//
//	for p := x.Probe(h); p.Next(); {
//		if e := entries.At(p.Number()); e.key == k {
//			return e
//		}
//	}
//
// A bucket is 8 bytes, a 32-bit tag and the number, in one array with linear
// probing: a lookup costs one cache miss. What a bucket's home is follows from
// the leading bits of its tag, so growing and deleting need no keys either. The
// hash is mixed here: one whose residue is the same for all keys of a partition
// will do. The order of buckets must not be visible in outputs.
//
// The zero Index is empty and ready.
type Index struct {
	// buckets are tag<<32 | number+1; 0 is free. Their number is a power of two.
	buckets []uint64
	// shift takes a tag to its home.
	shift uint8
	len   int
}

// minBuckets is the first size of an index.
const minBuckets = 1 << 8

// Len is the number of entries.
func (x *Index) Len() int { return x.len }

// Bytes is the memory that the index takes.
func (x *Index) Bytes() int { return 8 * cap(x.buckets) }

// tag is the upper half of the finalised hash (MurmurHash3's 64-bit finaliser,
// a bijection).
func tag(hash uint64) uint32 {
	hash ^= hash >> 33
	hash *= 0xff51afd7ed558ccd
	hash ^= hash >> 33
	hash *= 0xc4ceb9fe1a85ec53
	return uint32(hash >> 32)
}

// Probe starts a lookup. It is valid until the index is changed.
func (x *Index) Probe(hash uint64) Probe {
	t := tag(hash)
	return Probe{buckets: x.buckets, tag: t, at: t>>x.shift - 1}
}

// Probe walks over the numbers that may belong to a hash.
type Probe struct {
	buckets []uint64
	tag, at uint32
	number  uint32
}

// Next moves on to the next candidate, if there is one.
func (p *Probe) Next() bool {
	mask := uint32(len(p.buckets) - 1)
	for len(p.buckets) > 0 {
		p.at++
		b := p.buckets[p.at&mask]
		if b == 0 {
			return false
		}
		if uint32(b>>32) == p.tag {
			p.number = uint32(b) - 1
			return true
		}
	}
	return false
}

// Number is the candidate that Next found.
func (p *Probe) Number() uint32 { return p.number }

// Hint is the number in the first bucket of a hash, and whether there is one. It
// is likely the one looked for. A caller that has many lookups before it takes
// the hints of all first: loads that do not depend on each other overlap, and
// the lookups then find their buckets, and what lies behind them, in the cache.
func (x *Index) Hint(hash uint64) (number uint32, ok bool) {
	if len(x.buckets) == 0 {
		return 0, false
	}
	b := x.buckets[tag(hash)>>x.shift]
	return uint32(b) - 1, b != 0
}

// Insert adds a number. The caller has looked that its key is not there.
func (x *Index) Insert(hash uint64, number uint32) {
	// Three quarters full at most: two probes for a hit, eight for a miss.
	if x.len+1 > len(x.buckets)/4*3 {
		x.grow(max(minBuckets, 2*len(x.buckets)))
	}
	x.put(uint64(tag(hash))<<32 | uint64(number+1))
	x.len++
}

// Reserve makes room for n entries.
func (x *Index) Reserve(n int) {
	size := max(minBuckets, len(x.buckets))
	for n > size/4*3 {
		size *= 2
	}
	if size > len(x.buckets) {
		x.grow(size)
	}
}

// put finds a place for a bucket.
func (x *Index) put(b uint64) {
	mask := uint32(len(x.buckets) - 1)
	at := uint32(b>>32) >> x.shift
	for x.buckets[at&mask] != 0 {
		at++
	}
	x.buckets[at&mask] = b
}

func (x *Index) grow(size int) {
	old := x.buckets
	x.buckets = make([]uint64, size)
	touch(x.buckets)
	x.shift = uint8(32 - bits.TrailingZeros(uint(size)))
	for _, b := range old {
		if b != 0 {
			x.put(b)
		}
	}
}

// touch writes to every page of fresh memory. Entries go to all of them, in any
// order, and look before they write: the system would first map a page of zeros for
// the look, and then another for the write.
func touch(fresh []uint64) {
	const page = 4096 / 8
	for i := 0; i < len(fresh); i += page {
		fresh[i] = 0
	}
}

// Delete takes a number out and tells whether it was there. The buckets behind
// it move up, so that deleting leaves no trace.
func (x *Index) Delete(hash uint64, number uint32) bool {
	p := x.Probe(hash)
	for {
		if !p.Next() {
			return false
		}
		if p.number == number {
			break
		}
	}
	mask := uint32(len(x.buckets) - 1)
	hole := p.at & mask
	for at := (hole + 1) & mask; x.buckets[at] != 0; at = (at + 1) & mask {
		home := uint32(x.buckets[at]>>32) >> x.shift
		// It may move into the hole unless its home lies behind the hole.
		if (at-home)&mask >= (at-hole)&mask {
			x.buckets[hole] = x.buckets[at]
			hole = at
		}
	}
	x.buckets[hole] = 0
	x.len--
	return true
}
