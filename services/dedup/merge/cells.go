package merge

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// cells stores encoded flows in pieces of a few sizes, reused through free
// lists: a waiting report costs its wire size, not that of the struct.
type cells struct {
	free [len(cellSizes)][][]byte
}

// cellSizes are the capacities of cells. Larger flows get a slice of their own.
var cellSizes = [...]int{128, 192, 320, 1024}

// cellsPerPage is how many cells are allocated at once.
const cellsPerPage = 512

// put encodes a flow into a cell of its size.
func (c *cells) put(f *flowv1.Flow) []byte {
	size := f.SizeVT()
	b := c.take(size)
	if _, err := f.MarshalToSizedBufferVT(b); err != nil {
		panic("BUG: cannot marshal into a buffer of its own size: " + err.Error())
	}
	return b
}

func (c *cells) take(size int) []byte {
	for class, limit := range cellSizes {
		if size > limit {
			continue
		}
		free := c.free[class]
		if len(free) == 0 {
			page := make([]byte, limit*cellsPerPage)
			for i := range cellsPerPage {
				free = append(free, page[i*limit:i*limit:(i+1)*limit])
			}
		}
		cell := free[len(free)-1]
		c.free[class] = free[:len(free)-1]
		return cell[:size]
	}
	return make([]byte, size)
}

// drop gives a cell back. Nothing may alias it any more.
func (c *cells) drop(cell []byte) {
	for class, limit := range cellSizes {
		if cap(cell) == limit {
			c.free[class] = append(c.free[class], cell[:0])
			return
		}
	}
}
