package main

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
)

// datagram is one datagram within a batch's memory.
type datagram struct {
	from       netip.AddrPort
	receivedNs uint64
	// session is a transport session's number, 0 for UDP (normalize.Datagram); if
	// the payload is empty then, it is the session's end.
	session    uint64
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

// budget is memory that queues share.
type budget struct {
	limit int64
	used  atomic.Int64
}

// take reserves n bytes; false says that there is no room.
func (b *budget) take(n int) bool {
	if b.used.Add(int64(n)) > b.limit {
		b.used.Add(-int64(n))
		return false
	}
	return true
}

func (b *budget) giveBack(n int) { b.used.Add(-int64(n)) }

// queue carries datagrams from the sockets to one decoder. Putting never waits:
// what does not fit is the caller's to count. It stamps datagrams as they come,
// with times that never fall, whatever the clock does.
type queue struct {
	clock  func() uint64
	memory *budget
	// wake holds a token while there is something to take.
	wake chan struct{}

	mu     sync.Mutex
	lastNs uint64
	open   batch
	// size is what open takes of the memory, taken what the decoder took and has
	// not given back.
	size, taken int
}

func newQueue(memory *budget, clock func() uint64) *queue {
	return &queue{clock: clock, memory: memory, wake: make(chan struct{}, 1)}
}

// put copies a datagram into the queue; false says that there is no room. The
// decoder hears of it with the next announce.
func (q *queue) put(from netip.AddrPort, payload []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.add(from, 0, payload)
}

// add is put, by who holds the lock.
func (q *queue) add(from netip.AddrPort, session uint64, payload []byte) bool {
	size := len(payload) + itemBytes
	if !q.memory.take(size) {
		return false
	}
	q.size += size
	start := len(q.open.bytes)
	q.open.bytes = append(q.open.bytes, payload...)
	q.open.items = append(q.open.items, datagram{from: from, receivedNs: q.now(), session: session, start: start, end: len(q.open.bytes)})
	return true
}

// announce wakes the decoder if there is something to take. To do so once for a
// burst rather than for each of its datagrams spares the decoder most of its turns.
func (q *queue) announce() {
	if q.length() == 0 {
		return
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take swaps b, whose datagrams are done with, for what has come since the last
// call. Whatever is put later is stamped horizon or later.
func (q *queue) take(b *batch) (horizonNs uint64) {
	b.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	*b, q.open = q.open, *b
	q.memory.giveBack(q.taken)
	q.taken, q.size = q.size, 0
	return q.now()
}

// now is the time of reception of whatever comes now.
func (q *queue) now() uint64 {
	q.lastNs = max(q.lastNs, q.clock())
	return q.lastNs
}

// length is the number of datagrams that wait.
func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.open.items)
}

// queues are those of all decoders. All datagrams of an exporter go to the same
// one, whichever socket they came by, and so stay in order.
type queues struct {
	each   []*queue
	memory budget
}

func newQueues(n int, limit int64, clock func() uint64) *queues {
	q := &queues{memory: budget{limit: limit}}
	for range n {
		q.each = append(q.each, newQueue(&q.memory, clock))
	}
	return q
}

// of is the queue of an exporter.
func (q *queues) of(exporter netip.Addr) *queue { return q.each[q.index(exporter)] }

func (q *queues) index(exporter netip.Addr) int {
	if len(q.each) == 1 {
		return 0
	}
	a := exporter.As16()
	return int(xxhash.Sum64(a[:]) % uint64(len(q.each)))
}

// announce wakes the decoders that have something to take.
func (q *queues) announce() {
	for _, one := range q.each {
		one.announce()
	}
}

// length is the memory in use and the number of datagrams that wait.
func (q *queues) length() (bytes int64, datagrams int) {
	for _, one := range q.each {
		datagrams += one.length()
	}
	return q.memory.used.Load(), datagrams
}
