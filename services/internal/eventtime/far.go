package eventtime

// far holds the buckets of ticks that lie outside of the wheel.
type far struct {
	ticks   []Tick // min-heap
	buckets map[Tick]*bucket
	free    []*bucket
}

// next is the earliest tick, or Never.
func (f *far) next() Tick {
	if len(f.ticks) == 0 {
		return Never
	}
	return f.ticks[0]
}

// bucket is that of a tick, made if there is none.
func (f *far) bucket(t Tick) *bucket {
	if b := f.buckets[t]; b != nil {
		return b
	}
	if f.buckets == nil {
		f.buckets = make(map[Tick]*bucket)
	}
	var b *bucket
	if n := len(f.free); n > 0 {
		b, f.free = f.free[n-1], f.free[:n-1]
	} else {
		b = new(bucket)
	}
	f.buckets[t] = b
	f.push(t)
	return b
}

// pop takes out the bucket of the earliest tick.
func (f *far) pop() bucket {
	t := f.popTick()
	b := f.buckets[t]
	delete(f.buckets, t)
	out := *b
	*b = bucket{}
	f.free = append(f.free, b)
	return out
}

func (f *far) push(t Tick) {
	f.ticks = append(f.ticks, t)
	h := f.ticks
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if h[parent] <= h[i] {
			break
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
}

func (f *far) popTick() Tick {
	h := f.ticks
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	f.ticks = h
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if h[i] <= h[child] {
			break
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
	return top
}
