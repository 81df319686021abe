package slab

import "unsafe"

// Index finds numbers by a 64-bit hash of their key. It keeps no keys: the
// caller compares the key that lies in its slab.
//
//	for p := x.Probe(h); p.Next(); {
//		if e := entries.At(p.Number()); e.key == k {
//			return e
//		}
//	}
//
// A bucket is 8 bytes, a 32-bit tag and the number. Buckets lie in the order of
// their tags, each at the home that its tag gives or, where that is taken, behind
// it. So a lookup costs one cache miss and ends at the first greater tag, growing is
// one pass from front to back, and neither that nor deleting needs keys. The
// hash is mixed here: one whose residue is the same for all keys of a partition
// will do. The order of buckets must not be visible in outputs. Where others choose
// the keys, their hash must have a secret (flow.Key.Hash): equal ones make a long walk.
//
// The zero Index is empty and ready.
type Index struct {
	// pages hold buckets, tag<<32 | number+1; 0 is free. There are pages for all
	// homes, and behind them for what was pushed beyond the last. Each is told by
	// its first bucket.
	pages []*uint64
	homes int
	len   int
	// loaded keeps the compiler from dropping loads.
	loaded uint64
}

// pageBuckets is the number of buckets allocated at once.
const pageBuckets = 1 << 12

// Len is the number of entries.
func (x *Index) Len() int { return x.len }

// Bytes is the memory that the index takes.
func (x *Index) Bytes() int { return 8 * (int(x.end()) + cap(x.pages)) }

// end is the number of buckets.
func (x *Index) end() uint { return uint(len(x.pages)) * pageBuckets }

func (x *Index) bucket(at uint) *uint64 {
	return nth(x.pages[at/pageBuckets], uint32(at%pageBuckets))
}

// page is all buckets of a page.
func page(first *uint64) []uint64 { return unsafe.Slice(first, pageBuckets) }

// tag is the upper half of the finalised hash (MurmurHash3's 64-bit finaliser,
// a bijection).
func tag(hash uint64) uint32 {
	hash ^= hash >> 33
	hash *= 0xff51afd7ed558ccd
	hash ^= hash >> 33
	hash *= 0xc4ceb9fe1a85ec53
	return uint32(hash >> 32)
}

// home is where the bucket of a tag lies at the earliest.
func (x *Index) home(tag uint32) uint { return uint(uint64(tag) * uint64(x.homes) >> 32) }

// Probe starts a lookup. It is valid until the index is changed.
func (x *Index) Probe(hash uint64) Probe {
	t := tag(hash)
	return Probe{index: x, tag: t, next: x.home(t)}
}

// Probe walks over the numbers that may belong to a hash.
type Probe struct {
	index *Index
	// next is the bucket to be looked at next.
	next   uint
	tag    uint32
	number uint32
}

// Next moves on to the next candidate, if there is one.
func (p *Probe) Next() bool {
	for p.next < p.index.end() {
		b := *p.index.bucket(p.next)
		t := uint32(b >> 32)
		if b == 0 || t > p.tag {
			return false
		}
		p.next++
		if t == p.tag {
			p.number = uint32(b) - 1
			return true
		}
	}
	return false
}

// Number is the candidate that Next found.
func (p *Probe) Number() uint32 { return p.number }

// None is what Find tells of a hash of which there is no number.
const None = ^uint32(0)

// findAtOnce is how many hashes are looked up together.
const findAtOnce = 64

// Find looks for many hashes at once: of each, the first number that may belong to
// it, or None. Where one lookup after the other would wait for memory, the loads of
// many overlap, if nothing else comes between them.
func (x *Index) Find(hashes []uint64, numbers []uint32) {
	var first, last [findAtOnce]*uint64
	for len(hashes) > 0 && len(x.pages) > 0 {
		n := min(len(hashes), findAtOnce)
		for i, h := range hashes[:n] {
			at := x.home(tag(h))
			page, place := x.pages[at/pageBuckets], uint32(at%pageBuckets)
			first[i], last[i] = nth(page, place), nth(page, min(place+usualWalk, pageBuckets-1))
		}
		for i := range n {
			x.loaded |= *first[i] | *last[i]
		}
		for i, h := range hashes[:n] {
			numbers[i] = None
			if b := *first[i]; b != 0 && uint32(b>>32) <= tag(h) {
				numbers[i] = x.first(h)
			}
		}
		hashes, numbers = hashes[n:], numbers[n:]
	}
	for i := range hashes {
		numbers[i] = None
	}
}

// usualWalk is how many buckets behind its home a hash is looked for, mostly.
const usualWalk = 4

// first is the first number that may belong to a hash, or None.
func (x *Index) first(hash uint64) uint32 {
	if p := x.Probe(hash); p.Next() {
		return p.number
	}
	return None
}

// Insert adds a number. The caller has looked that its key is not there.
func (x *Index) Insert(hash uint64, number uint32) {
	if x.len >= most(x.homes) {
		x.grow(max(1, x.homes/pageBuckets/2))
	}
	x.len++
	t := tag(hash)
	b := uint64(t)<<32 | uint64(number+1)
	at := x.home(t)
	for i := at % pageBuckets; ; i = 0 {
		if at/pageBuckets == uint(len(x.pages)) {
			x.pages = append(x.pages, newPage[uint64](pageBuckets, x.homes > pageBuckets))
		}
		if b = insert(page(x.pages[at/pageBuckets])[i:], b); b == 0 {
			return
		}
		at += pageBuckets - i
	}
}

// insert puts a bucket where it belongs among the rest of a page: those behind it
// move on up to the next free one. It returns what was pushed out, or 0.
func insert(page []uint64, b uint64) uint64 {
	i := 0
	for i < len(page) && page[i] < b && page[i] != 0 {
		i++
	}
	for ; i < len(page); i++ {
		is := page[i]
		page[i] = b
		if is == 0 {
			return 0
		}
		b = is
	}
	return b
}

// most is how many entries so many homes are good for: four fifths, so that three
// buckets are looked at on the average, and a dozen are moved by an insertion.
func most(homes int) int { return homes / 5 * 4 }

// Reserve makes room for n entries.
func (x *Index) Reserve(n int) {
	homes := x.homes
	for most(homes) < n {
		homes += pageBuckets
	}
	if homes > x.homes {
		x.grow((homes - x.homes) / pageBuckets)
	}
}

// grow adds pages of homes and puts every bucket where it belongs then. As that is
// further on than it was, and both are in order, pages that have been read can be
// written again: no more memory is needed than the index has afterwards.
func (x *Index) grow(more int) {
	old := x.pages
	x.homes += more * pageBuckets
	x.pages = make([]*uint64, 0, x.homes/pageBuckets+1)
	var read []*uint64
	at := uint(0)
	for _, first := range old {
		for _, b := range page(first) {
			if b != 0 {
				at = max(at, x.home(uint32(b>>32)))
				for at >= x.end() {
					read = x.addPage(read)
				}
				*x.bucket(at) = b
				at++
			}
		}
		read = append(read, first)
	}
	for x.end() < uint(x.homes) {
		read = x.addPage(read)
	}
}

// addPage adds an empty page, one that has been read if there is one, and returns
// the others.
func (x *Index) addPage(read []*uint64) []*uint64 {
	n := len(read)
	if n == 0 {
		x.pages = append(x.pages, newPage[uint64](pageBuckets, x.homes > pageBuckets))
		return read
	}
	clear(page(read[n-1]))
	x.pages = append(x.pages, read[n-1])
	return read[:n-1]
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
	hole := x.bucket(p.next - 1)
	for at := p.next; at < x.end(); at++ {
		b := x.bucket(at)
		if *b == 0 || x.home(uint32(*b>>32)) == at {
			break
		}
		*hole, hole = *b, b
	}
	*hole = 0
	x.len--
	return true
}
