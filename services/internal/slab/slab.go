// Package slab keeps many values of one type under small numbers: a core's
// state. Values lie in pages that never move, so growing copies nothing,
// pointers stay valid until the value is given back, and the collector sees few
// large objects.
package slab

import "slices"

// pageSize is the number of values allocated at once.
const pageSize = 1 << 10

// Slab holds values by number.
type Slab[T any] struct {
	pages []*[pageSize]T
	free  []uint32
	// next is the first number never used.
	next uint32
}

// Take lends a value and its number. It is as its last user gave it back.
func (s *Slab[T]) Take() (uint32, *T) {
	if n := len(s.free); n > 0 {
		id := s.free[n-1]
		s.free = s.free[:n-1]
		return id, s.At(id)
	}
	id := s.next
	s.next++
	if id%pageSize > 0 {
		return id, s.At(id)
	}
	// Not At: it reads the page's first byte, to see that there is a page, and the
	// system answers a read of fresh memory by mapping it twice, for that and again
	// for the first write.
	p := new([pageSize]T)
	s.pages = append(s.pages, p)
	return id, &p[0]
}

// At is the value of a number that was taken.
func (s *Slab[T]) At(id uint32) *T { return &s.pages[id/pageSize][id%pageSize] }

// Give takes a number back. The list of those doubles where append would add a
// quarter: what is copied, and left to the collector, is less than half of it.
func (s *Slab[T]) Give(id uint32) {
	if n := len(s.free); n == cap(s.free) {
		s.free = slices.Grow(s.free, max(n, 64))
	}
	s.free = append(s.free, id)
}

// Len is the number of values ever taken: At is valid below it.
func (s *Slab[T]) Len() uint32 { return s.next }
