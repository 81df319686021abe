// Package slab keeps many values of one type under small numbers: a core's
// state. Values lie in pages that never move, so growing copies nothing,
// pointers stay valid until the value is given back, and the collector sees few
// large objects.
package slab

// pageSize is the number of values allocated at once.
const pageSize = 1 << 10

// Slab holds values by number.
type Slab[T any] struct {
	pages []*[pageSize]T
	free  stack
	// next is the first number never used.
	next uint32
}

// Take lends a value and its number. It is as its last user gave it back.
func (s *Slab[T]) Take() (uint32, *T) {
	if id, ok := s.free.pop(); ok {
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

// Give takes a number back.
func (s *Slab[T]) Give(id uint32) { s.free.push(id) }

// Len is the number of values ever taken: At is valid below it.
func (s *Slab[T]) Len() uint32 { return s.next }

// stack holds numbers. Its pages stay where they are, as a slab's do: a list that
// append lets grow leaves as much to the collector as it holds, and more.
type stack struct {
	pages []*[pageSize]uint32
	len   int
}

func (s *stack) push(n uint32) {
	if s.len/pageSize == len(s.pages) {
		s.pages = append(s.pages, new([pageSize]uint32))
	}
	s.pages[s.len/pageSize][s.len%pageSize] = n
	s.len++
}

func (s *stack) pop() (n uint32, ok bool) {
	if s.len == 0 {
		return 0, false
	}
	s.len--
	return s.pages[s.len/pageSize][s.len%pageSize], true
}
