package eventtime

import "math/bits"

// Queue holds timers by the tick they are due at. Timers of one tick come out
// in the order in which they were set; cores sort a tick's outputs, so nothing
// may depend on it. A timer cannot be cancelled: when it fires, its owner looks
// whether it still applies, and sets a new one if it came too early.
//
// Timers within the horizon lie in a wheel with a place per tick, of which a bit
// tells whether it is taken; all others (far ones, and such as were due before
// they were set) in a heap of ticks, until the wheel has come that far. Keys lie
// in small cells that are used again and again: memory follows the number of
// timers, and setting and popping neither allocate nor move what is there.
//
// Keys are meant to be numbers: what was popped is not cleared.
type Queue[K any] struct {
	// base is the first tick of the wheel; all before it have been popped.
	base  Tick
	wheel []bucket
	taken []uint64
	far   far
	cells cells[K]
	len   int
	// The bucket being popped: what is left of it, from which place of its first cell.
	open     bucket
	openTick Tick
	next     uint32
}

// horizon is how many ticks the wheel spans (68 minutes): a power of two.
const horizon = 1 << 13

// bucket is the timers of one tick: a chain of cells of which the last is filled
// up to count. The zero bucket is empty.
type bucket struct{ first, last, count uint32 }

// Set adds a timer.
func (q *Queue[K]) Set(due Tick, key K) {
	q.len++
	if at := due - q.base; at < 0 || at >= horizon || q.wheel == nil {
		q.cells.add(q.far.bucket(due), key)
		return
	}
	i := due & (horizon - 1)
	q.taken[i/64] |= 1 << (i % 64)
	q.cells.add(&q.wheel[i], key)
}

// Next is the tick of the earliest timer, or Never.
func (q *Queue[K]) Next() Tick {
	if q.open.first != 0 {
		return q.openTick
	}
	return min(q.near(), q.far.next())
}

// Pop takes the earliest timer that is due at or before now. Popping must go on
// until it says no before the queue is put into a snapshot.
func (q *Queue[K]) Pop(now Tick) (key K, ok bool) {
	for q.open.first == 0 {
		near := q.near()
		due := min(near, q.far.next())
		if due > now || due == Never {
			q.advance(now)
			return key, false
		}
		q.openTick, q.next = due, 0
		if due == near {
			i := due & (horizon - 1)
			q.open, q.wheel[i] = q.wheel[i], bucket{}
			q.taken[i/64] &^= 1 << (i % 64)
		} else {
			q.open = q.far.pop()
		}
	}
	key = q.cells.at(q.open.first).keys[q.next]
	q.next++
	q.len--
	switch {
	case q.open.first == q.open.last && q.next == q.open.count:
		q.cells.give(q.open.first)
		q.open = bucket{}
	case q.next == cellKeys:
		first := q.open.first
		q.open.first, q.next = q.cells.at(first).next, 0
		q.cells.give(first)
	}
	return key, true
}

// Len is the number of timers set.
func (q *Queue[K]) Len() int { return q.len }

// near is the tick of the earliest timer in the wheel, or Never.
func (q *Queue[K]) near() Tick {
	if q.wheel == nil {
		return Never
	}
	// From the base's place to the end, then from the start on: the word of the
	// base is looked at twice, first its upper bits, last the others.
	const words = horizon / 64
	at := q.base & (horizon - 1)
	word := q.taken[at/64] &^ (1<<(at%64) - 1)
	for i := range Tick(words + 1) {
		if word != 0 {
			place := (at/64+i)%words*64 + Tick(bits.TrailingZeros64(word))
			return q.base + (place-at)&(horizon-1)
		}
		word = q.taken[(at/64+i+1)%words]
	}
	return Never
}

// advance moves the wheel on: all up to now has been popped. Far timers that the
// wheel now spans move into it, each tick as a whole and into an empty place:
// their order stays.
func (q *Queue[K]) advance(now Tick) {
	if now < q.base || now == Never {
		return
	}
	q.base = now + 1
	for q.far.next() < q.base+horizon {
		if q.wheel == nil {
			q.wheel, q.taken = make([]bucket, horizon), make([]uint64, horizon/64)
		}
		i := q.far.next() & (horizon - 1)
		q.taken[i/64] |= 1 << (i % 64)
		q.wheel[i] = q.far.pop()
	}
}
