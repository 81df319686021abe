// Package slab keeps many values of one type under small numbers: a core's
// state. Values lie in pages that never move, so growing copies nothing,
// pointers stay valid until the value is given back, and the collector sees few
// large objects.
package slab

// Slab holds values by number.
type Slab[T any] struct {
	all  Pages[T]
	free Pages[uint32]
}

// Take lends a value and its number. It is as its last user gave it back.
func (s *Slab[T]) Take() (uint32, *T) {
	if n := s.free.Len(); n > 0 {
		id := *s.free.At(n - 1)
		s.free.Back()
		return id, s.At(id)
	}
	return s.all.Next()
}

// At is the value of a number that was taken.
func (s *Slab[T]) At(id uint32) *T { return s.all.At(id) }

// Give takes a number back.
func (s *Slab[T]) Give(id uint32) {
	_, free := s.free.Next()
	*free = id
}

// Len is the number of values ever taken: At is valid below it.
func (s *Slab[T]) Len() uint32 { return s.all.Len() }
