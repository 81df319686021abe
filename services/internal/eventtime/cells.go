package eventtime

import "github.com/flowledger/flowledger/services/internal/slab"

// cellKeys is how many keys a cell holds: with numbers of 32 bits it is two cache
// lines long.
const cellKeys = 31

// cell holds keys of one bucket and the number of the cell that goes on.
type cell[K any] struct {
	next uint32
	keys [cellKeys]K
}

// cells lends cells by number, from 1 on.
type cells[K any] struct{ all slab.Slab[cell[K]] }

func (c *cells[K]) at(n uint32) *cell[K] { return c.all.At(n - 1) }

// add appends a key to a bucket.
func (c *cells[K]) add(b *bucket, key K) {
	if b.first == 0 {
		b.first = c.take()
		b.last, b.count = b.first, 0
	} else if b.count == cellKeys {
		n := c.take()
		c.at(b.last).next = n
		b.last, b.count = n, 0
	}
	c.at(b.last).keys[b.count] = key
	b.count++
}

func (c *cells[K]) take() uint32 {
	n, _ := c.all.Take()
	return n + 1
}

func (c *cells[K]) give(n uint32) { c.all.Give(n - 1) }
