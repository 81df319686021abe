package main

import (
	"net/netip"
	"sync"
)

// datagram is one datagram within a batch's memory.
type datagram struct {
	from       netip.AddrPort
	receivedNs uint64
	start, end int
}

// batch is a run of datagrams in the order of reception, in one piece of memory.
type batch struct {
	bytes []byte
	items []datagram
}

func (b *batch) payload(d *datagram) []byte { return b.bytes[d.start:d.end] }

// reset empties the batch; memory that a burst left behind is given back.
func (b *batch) reset() {
	if cap(b.bytes) > keepBytes && len(b.bytes) < cap(b.bytes)/8 {
		*b = batch{}
		return
	}
	b.bytes, b.items = b.bytes[:0], b.items[:0]
}

const keepBytes = 4 << 20

// itemBytes is what a datagram counts for beside its payload, so that a flood of
// empty ones is bounded too.
const itemBytes = 64

// queue carries datagrams from the sockets to the decoder. Putting never waits:
// what does not fit is the caller's to count. It stamps datagrams as they come,
// with times that never fall, whatever the clock does.
//
// A spool to disk belongs here: behind put, where the queue is full.
type queue struct {
	clock func() uint64
	limit int
	// wake holds a token while there is something to take.
	wake chan struct{}

	mu     sync.Mutex
	lastNs uint64
	open   batch
	// taken counts what the decoder took and has not given back: it is bounded too.
	taken int
}

func newQueue(limit int, clock func() uint64) *queue {
	return &queue{clock: clock, limit: limit, wake: make(chan struct{}, 1)}
}

// put copies a datagram into the queue; false says that there is no room.
func (q *queue) put(from netip.AddrPort, payload []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.size()+len(payload)+itemBytes > q.limit {
		return false
	}
	start := len(q.open.bytes)
	q.open.bytes = append(q.open.bytes, payload...)
	q.open.items = append(q.open.items, datagram{from: from, receivedNs: q.now(), start: start, end: len(q.open.bytes)})
	if len(q.open.items) == 1 {
		select {
		case q.wake <- struct{}{}:
		default:
		}
	}
	return true
}

// take swaps b, whose datagrams are done with, for what has come since the last
// call. Whatever is put later is stamped horizon or later.
func (q *queue) take(b *batch) (horizonNs uint64) {
	b.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	*b, q.open = q.open, *b
	q.taken = len(b.bytes) + len(b.items)*itemBytes
	return q.now()
}

// horizon is a time before which nothing is stamped from now on.
func (q *queue) horizon() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.now()
}

// now is the time of reception of whatever comes now.
func (q *queue) now() uint64 {
	q.lastNs = max(q.lastNs, q.clock())
	return q.lastNs
}

// size is how much of the limit is in use.
func (q *queue) size() int {
	return len(q.open.bytes) + len(q.open.items)*itemBytes + q.taken
}

// length is the number of bytes that wait, for metrics.
func (q *queue) length() (bytes, datagrams int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.size(), len(q.open.items)
}
