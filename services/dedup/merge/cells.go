package merge

import "github.com/flowledger/flowledger/services/internal/slab"

// cells keep wire forms of flows in pieces of a few sizes, which are used again:
// a waiting report costs little more than its bytes, and the collector sees no
// pointers.
type cells struct {
	c96  slab.Slab[[96]byte]
	c128 slab.Slab[[128]byte]
	c160 slab.Slab[[160]byte]
	c224 slab.Slab[[224]byte]
	c384 slab.Slab[[384]byte]
	// large ones have a slice of their own.
	large slab.Slab[[]byte]
}

// cell is where a flow lies: number and size class, and the number of bytes.
type cell struct{ at, size uint32 }

// Size classes, the lower bits of cell.at.
const (
	in96 = iota
	in128
	in160
	in224
	in384
	inLarge
	classBits = 3
)

// put copies bytes into a cell.
func (c *cells) put(b []byte) cell {
	at := cell{size: uint32(len(b))}
	to := c.take(&at)
	copy(to, b)
	return at
}

// take finds room for at.size bytes, to be filled.
func (c *cells) take(at *cell) []byte {
	var n uint32
	switch size := at.size; {
	case size <= 96:
		n, _ = c.c96.Take()
		at.at = n << classBits // in96, the first of the classes
	case size <= 128:
		n, _ = c.c128.Take()
		at.at = n<<classBits | in128
	case size <= 160:
		n, _ = c.c160.Take()
		at.at = n<<classBits | in160
	case size <= 224:
		n, _ = c.c224.Take()
		at.at = n<<classBits | in224
	case size <= 384:
		n, _ = c.c384.Take()
		at.at = n<<classBits | in384
	default:
		n, b := c.large.Take()
		*b = make([]byte, size)
		at.at = n<<classBits | inLarge
	}
	return c.get(*at)
}

// get is what lies in a cell.
func (c *cells) get(at cell) []byte {
	n := at.at >> classBits
	switch at.at & (1<<classBits - 1) {
	case in96:
		return c.c96.At(n)[:at.size:at.size]
	case in128:
		return c.c128.At(n)[:at.size:at.size]
	case in160:
		return c.c160.At(n)[:at.size:at.size]
	case in224:
		return c.c224.At(n)[:at.size:at.size]
	case in384:
		return c.c384.At(n)[:at.size:at.size]
	}
	return *c.large.At(n)
}

// drop gives a cell back. Nothing may alias it any more.
func (c *cells) drop(at cell) {
	n := at.at >> classBits
	switch at.at & (1<<classBits - 1) {
	case in96:
		c.c96.Give(n)
	case in128:
		c.c128.Give(n)
	case in160:
		c.c160.Give(n)
	case in224:
		c.c224.Give(n)
	case in384:
		c.c384.Give(n)
	default:
		*c.large.At(n) = nil
		c.large.Give(n)
	}
}
