package eventtime

// cellKeys is how many keys a cell holds: with numbers of 32 bits it is two cache
// lines long.
const cellKeys = 31

// pageCells is how many cells are allocated at a time.
const pageCells = 256

// cell holds keys of one bucket and the number of the cell that goes on.
type cell[K any] struct {
	next uint32
	keys [cellKeys]K
}

// cells lends cells by number, from 1 on. Those given back are chained by next.
type cells[K any] struct {
	pages []*[pageCells]cell[K]
	free  uint32
	used  uint32
}

func (c *cells[K]) at(n uint32) *cell[K] { return &c.pages[n/pageCells][n%pageCells] }

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
	if n := c.free; n != 0 {
		c.free = c.at(n).next
		return n
	}
	c.used++
	if int(c.used/pageCells) == len(c.pages) {
		c.pages = append(c.pages, new([pageCells]cell[K]))
	}
	return c.used
}

func (c *cells[K]) give(n uint32) {
	c.at(n).next = c.free
	c.free = n
}
