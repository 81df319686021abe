package slab

import "unsafe"

// pageSize is the number of values allocated at once.
const pageSize = 1 << 10

// Pages lends values in the order of their numbers, from 0 on, and takes the last or
// all of them back. They never move.
type Pages[T any] struct {
	// pages are the first values of each.
	pages []*T
	len   uint32
}

// Next lends the next value, as its last user left it.
func (p *Pages[T]) Next() (uint32, *T) {
	n := p.len
	if int(n/pageSize) == len(p.pages) {
		p.pages = append(p.pages, newPage[T](pageSize, n > 0))
	}
	p.len++
	return n, p.At(n)
}

// At is the value of a number that was lent.
func (p *Pages[T]) At(n uint32) *T { return nth(p.pages[n/pageSize], n%pageSize) }

// Len is how many values are lent.
func (p *Pages[T]) Len() uint32 { return p.len }

// Back takes the value back that was lent last.
func (p *Pages[T]) Back() { p.len-- }

// Clear takes all values back.
func (p *Pages[T]) Clear() { p.len = 0 }

// newPage is the first of n values that lie together. Where more memory is about to be
// filled (growing), the page is taken from the system as a whole: one call instead of
// an interrupt for every 4 KiB of it.
func newPage[T any](n int, growing bool) *T {
	page := make([]T, n)
	if growing {
		populate(unsafe.Pointer(&page[0]), uintptr(n)*unsafe.Sizeof(page[0]))
	}
	return &page[0]
}

// nth is value i of a page, which must have as many: what &page[i] is of an array. But
// that reads the page's first byte, to see that there is a page, and the first bytes of
// all pages share a few places of the cache, so that in a large slab every value asked
// for took two waits for memory.
func nth[T any](page *T, i uint32) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(page), uintptr(i)*unsafe.Sizeof(*page)))
}
