package main

import (
	"net/netip"
	"slices"
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

// size is what the batch takes of the memory.
func (b *batch) size() int { return len(b.bytes) + itemBytes*len(b.items) }

func (b *batch) reset() { b.bytes, b.items = b.bytes[:0], b.items[:0] }

const (
	// batchBytes is where a batch ends and the next begins: a burst must not make one grow,
	// and be copied, while the socket's buffer fills.
	batchBytes = 256 << 10
	// spareBatches is how many are kept to be filled again; a burst leaves more behind.
	spareBatches = 16
)

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

	batchBytes int

	mu     sync.Mutex
	lastNs uint64
	// full wait, the oldest first, open is being filled, spare are done with.
	full, spare []batch
	open        batch
	// taken is what the decoder took of the memory and has not given back.
	taken int
}

func newQueue(memory *budget, clock func() uint64) *queue {
	q := &queue{clock: clock, memory: memory, wake: make(chan struct{}, 1), batchBytes: batchBytes}
	q.open = q.fresh()
	return q
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
	if len(q.open.items) > 0 && len(q.open.bytes)+len(payload) > q.batchBytes {
		q.full = append(q.full, q.open)
		q.open = q.fresh()
	}
	start := len(q.open.bytes)
	q.open.bytes = append(q.open.bytes, payload...)
	q.open.items = append(q.open.items, datagram{from: from, receivedNs: q.now(), session: session, start: start, end: len(q.open.bytes)})
	return true
}

// announce wakes the decoder if there is something to take. To do so once for a
// burst rather than for each of its datagrams spares the decoder most of its turns.
func (q *queue) announce() {
	if q.empty() {
		return
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// fresh is an empty batch.
func (q *queue) fresh() (b batch) {
	n := len(q.spare)
	if n == 0 {
		return batch{bytes: make([]byte, 0, q.batchBytes)}
	}
	b, q.spare = q.spare[n-1], q.spare[:n-1]
	return b
}

// take swaps b, whose datagrams are done with, for the oldest batch, and tells whether
// there is another. Whatever comes after it is stamped horizon or later.
func (q *queue) take(b *batch) (horizonNs uint64, more bool) {
	b.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.memory.giveBack(q.taken)
	if cap(b.bytes) > 0 && len(q.spare) < spareBatches {
		q.spare = append(q.spare, *b)
	}
	if len(q.full) > 0 {
		*b = q.full[0]
		q.full = slices.Delete(q.full, 0, 1)
	} else {
		*b, q.open = q.open, q.fresh()
	}
	q.taken = b.size()
	switch {
	case len(q.full) > 0:
		return q.full[0].items[0].receivedNs, true
	case len(q.open.items) > 0:
		return q.open.items[0].receivedNs, true
	}
	return q.now(), false
}

// now is the time of reception of whatever comes now.
func (q *queue) now() uint64 {
	q.lastNs = max(q.lastNs, q.clock())
	return q.lastNs
}

func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.full) == 0 && len(q.open.items) == 0
}

// length is the number of datagrams that wait.
func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.open.items)
	for i := range q.full {
		n += len(q.full[i].items)
	}
	return n
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
