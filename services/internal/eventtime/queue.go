package eventtime

// Queue holds timers by the tick they are due at. Timers of one tick come out
// in the order in which they were set; cores sort a tick's outputs, so nothing
// may depend on it. A timer cannot be cancelled: when it fires, its owner looks
// whether it still applies, and sets a new one if it came too early.
//
// Setting and popping cost no allocation in steady state: timers of one tick
// share a bucket, and only distinct ticks are kept in order.
type Queue[K any] struct {
	ticks   []Tick // min-heap of the buckets' ticks
	buckets map[Tick][]K
	free    [][]K
	len     int
	// The bucket being popped, so that popping does not shift it.
	open     []K
	openTick Tick
	next     int
}

// Set adds a timer.
func (q *Queue[K]) Set(due Tick, key K) {
	if q.buckets == nil {
		q.buckets = make(map[Tick][]K)
	}
	b, ok := q.buckets[due]
	if !ok {
		q.push(due)
		if n := len(q.free); n > 0 {
			b, q.free = q.free[n-1], q.free[:n-1]
		}
	}
	q.buckets[due] = append(b, key)
	q.len++
}

// Next is the tick of the earliest timer, or Never.
func (q *Queue[K]) Next() Tick {
	if q.next < len(q.open) {
		return q.openTick
	}
	if len(q.ticks) == 0 {
		return Never
	}
	return q.ticks[0]
}

// Pop takes the earliest timer that is due at or before now. Popping must go on
// until it says no before the queue is put into a snapshot.
func (q *Queue[K]) Pop(now Tick) (key K, ok bool) {
	for q.next >= len(q.open) {
		if q.open != nil {
			clear(q.open)
			q.free = append(q.free, q.open[:0])
			q.open, q.next = nil, 0
		}
		if len(q.ticks) == 0 || q.ticks[0] > now {
			return key, false
		}
		q.openTick = q.pop()
		q.open, q.next = q.buckets[q.openTick], 0
		delete(q.buckets, q.openTick)
	}
	key = q.open[q.next]
	q.next++
	q.len--
	return key, true
}

// Len is the number of timers set.
func (q *Queue[K]) Len() int { return q.len }

func (q *Queue[K]) push(t Tick) {
	q.ticks = append(q.ticks, t)
	h := q.ticks
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if h[parent] <= h[i] {
			break
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
}

func (q *Queue[K]) pop() Tick {
	h := q.ticks
	top, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	q.ticks = h
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
