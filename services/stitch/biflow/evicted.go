package biflow

import (
	"github.com/cespare/xxhash/v2"

	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/slab"
	"github.com/flowledger/flowledger/services/internal/snap"
)

// evictedShare is how many evicted conversations are remembered, at most: one to so
// many that may be open.
const evictedShare = 4

// evicted is what is remembered of a conversation that memory pressure closed, for
// as long as it would have waited: its next flow opens one that continues it.
type evicted struct {
	// key is the hash of the conversation's key, id its flow id.
	key, id uint64
	// end is that of its last flow, and latest the latest start that its next may
	// have had, nanoseconds.
	end, latest uint64
	// deadline is the tick, its lower half, at which it would have been closed.
	deadline uint32
	// next is the number of who was evicted after it, one higher.
	next uint32
	// answered: both sides spoke; gone: it was continued, or evicted again.
	answered, gone bool
}

// evictions are the evicted conversations, the first of them first.
type evictions struct {
	all         slab.Slab[evicted]
	index       slab.Index
	first, last uint32 // numbers, one higher
	n           int
}

// keyHash tells keys apart: 64 bits are enough, as they are for flow ids.
func (t *Table) keyHash(c *conv) uint64 {
	var buf [keyLen + 16]byte
	t.putKey(&buf, c)
	return xxhash.Sum64(buf[:keyLen])
}

// rememberEvicted keeps what the continuation of a conversation needs to know.
func (t *Table) rememberEvicted(c *conv) {
	es := &t.evictions
	e := evicted{
		key: t.keyHash(c), id: c.id, end: c.end(), latest: t.latestStart(c),
		deadline: uint32(t.deadline(c)), answered: c.bothSpoke(),
	}
	if n, ok := es.find(e.key); ok {
		es.forget(n)
	}
	es.push(e)
	for es.n > max(1, t.cfg.MaxConversations/evictedShare) {
		es.pop()
	}
}

// continues is the flow id of the evicted conversation that c, just opened by a
// flow, goes on with; 0 if there is none. Whatever is remembered of the key is
// forgotten: from now on, c is what a flow continues.
func (t *Table) continues(c *conv, s *segment) uint64 {
	es := &t.evictions
	if es.n == 0 {
		return 0
	}
	n, ok := es.find(t.keyHash(c))
	if !ok {
		return 0
	}
	e := es.all.At(n)
	es.forget(n)
	anew := c.proto == flow.ProtoTCP && s.flags&syn != 0 && s.start > e.end && e.answered
	if t.full(e.deadline) < t.now || s.start > e.latest || anew {
		return 0
	}
	t.stats.Continued++
	return e.id
}

// forgetEvicted drops what is over from the front.
func (t *Table) forgetEvicted() {
	es := &t.evictions
	for es.n > 0 {
		if e := es.all.At(es.first - 1); !e.gone && t.full(e.deadline) >= t.now {
			return
		}
		es.pop()
	}
}

func (es *evictions) find(key uint64) (uint32, bool) {
	for probe := es.index.Probe(key); probe.Next(); {
		if es.all.At(probe.Number()).key == key {
			return probe.Number(), true
		}
	}
	return 0, false
}

// forget makes sure that an entry is found no more.
func (es *evictions) forget(n uint32) {
	e := es.all.At(n)
	e.gone = true
	es.index.Delete(e.key, n)
}

// push adds an entry behind all others.
func (es *evictions) push(e evicted) {
	n, at := es.all.Take()
	*at = e
	if !e.gone {
		es.index.Insert(e.key, n)
	}
	if es.n == 0 {
		es.first = n + 1
	} else {
		es.all.At(es.last - 1).next = n + 1
	}
	es.last = n + 1
	es.n++
}

// pop drops the first entry.
func (es *evictions) pop() {
	n := es.first - 1
	e := es.all.At(n)
	if !e.gone {
		es.forget(n)
	}
	es.first = e.next
	es.all.Give(n)
	es.n--
}

// append writes all entries, the first first.
func (es *evictions) append(s *snap.Writer) {
	s.Uint(uint64(es.n))
	for n := es.first; es.n > 0 && n != 0; n = es.all.At(n - 1).next {
		e := es.all.At(n - 1)
		for _, v := range [...]uint64{e.key, e.id, e.end, e.latest, uint64(e.deadline)} {
			s.Uint(v)
		}
		s.Bool(e.answered)
		s.Bool(e.gone)
	}
}

// readEvictions reads what append wrote.
func (r *restorer) readEvictions() {
	es := &r.t.evictions
	for n := r.Len(); n > 0 && r.ok(); n-- {
		e := evicted{key: r.Uint(), id: r.Uint(), end: r.Uint(), latest: r.Uint(), deadline: r.uint32()}
		e.answered, e.gone = r.Bool(), r.Bool()
		if _, twice := es.find(e.key); !e.gone {
			r.check(!twice)
		}
		if r.ok() {
			es.push(e)
		}
	}
}
