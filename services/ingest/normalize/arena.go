package normalize

// chunkLen is how many values an arena takes from the heap at a time.
const chunkLen = 512

// arena lends values that live until the next reset. What it took from the heap
// it keeps for the next round, but not much more than the last round needed.
type arena[T any] struct {
	chunks [][]T
	chunk  int // index of the chunk in use
	used   int // values used in it
}

// one lends a single value. It is as its last user left it.
func (a *arena[T]) one() *T {
	if a.chunk < len(a.chunks) && a.used < len(a.chunks[a.chunk]) {
		v := &a.chunks[a.chunk][a.used]
		a.used++
		return v
	}
	return &a.grow(1)[0]
}

// take lends n values in a row. They are as their last users left them.
func (a *arena[T]) take(n int) []T {
	if a.chunk < len(a.chunks) {
		if c := a.chunks[a.chunk]; len(c)-a.used >= n {
			s := c[a.used : a.used+n : a.used+n]
			a.used += n
			return s
		}
	}
	return a.grow(n)
}

// grow goes on to the next chunk that holds n values. Larger requests than a
// chunk are not kept.
func (a *arena[T]) grow(n int) []T {
	if n > chunkLen {
		return make([]T, n)
	}
	if a.chunk < len(a.chunks) {
		a.chunk++
	}
	if a.chunk == len(a.chunks) {
		a.chunks = append(a.chunks, make([]T, chunkLen))
	}
	a.used = n
	return a.chunks[a.chunk][:n:n]
}

// reset takes all values back. Of chunks beyond what was used, half are given up.
func (a *arena[T]) reset() {
	if inUse := a.chunk + 1; len(a.chunks) > inUse+1 {
		keep := (inUse + len(a.chunks)) / 2
		clear(a.chunks[keep:])
		a.chunks = a.chunks[:keep]
	}
	a.chunk, a.used = 0, 0
}
