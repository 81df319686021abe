package simulate

import (
	"container/heap"
	"math/rand/v2"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// finLinger is how long a flow that saw FIN or RST still gathers packets, so
// that the last acknowledgement makes no flow of its own.
const finLinger = int64(500 * time.Millisecond)

// cacheConfig says how one observation point meters.
type cacheConfig struct {
	active, inactive int64 // timeouts, nanoseconds
	sampling         uint32
	hash             bool // sample by a hash of the packet, not by chance
	egress           bool
	biflow           bool // both directions of a conversation are one flow (RFC 5103)
}

// cache is the flow cache of one observation point: packets in, records out
// when a timeout or the flow's end lets them go. One heap holds what is due
// when; a packet only moves an entry's due time later, which is put right when
// the entry comes up.
type cache struct {
	cfg     cacheConfig
	entries map[cacheKey]*entry
	due     dueHeap
	free    []*entry
	rng     *rand.Rand
	created uint64
}

// cacheKey tells open flows apart: interfaces meter each for itself.
type cacheKey struct {
	flow flow.Key
	port uint32
}

// key is that of a flow whose packets come in by interface in and leave by out.
func (c *cache) key(k flow.Key, in, out uint32) cacheKey {
	switch {
	case c.cfg.biflow:
		return cacheKey{k, 0}
	case c.cfg.egress:
		return cacheKey{k, out}
	}
	return cacheKey{k, in}
}

// entry is one open flow.
type entry struct {
	key   cacheKey
	rec   Record
	due   int64
	order uint64 // by creation: settles equal due times
	fin   int64  // when FIN or RST was seen, 0 before
	index int
}

// newCache makes an empty cache; rng is used only for sampling.
func newCache(cfg cacheConfig, rng *rand.Rand) *cache {
	return &cache{cfg: cfg, entries: map[cacheKey]*entry{}, rng: rng}
}

// observe meters one burst of packets that comes in by interface in and leaves
// by out. All that was due before run.At must have been expired.
func (c *cache) observe(k flow.Key, tos uint8, run *Run, in, out uint32) {
	packets, bytes := c.sample(run)
	if packets == 0 {
		return
	}
	key := c.key(k, in, out)
	e := c.entries[key]
	if e == nil && c.cfg.biflow {
		if there := c.entries[c.key(reversed(k), out, in)]; there != nil {
			c.observeBack(there, run, packets, bytes)
			return
		}
	}
	if e == nil {
		e = c.open(key, run.At)
		e.rec.TOS, e.rec.In, e.rec.Out = tos, in, out
		e.due = c.dueOf(e)
		heap.Push(&c.due, e)
	}
	e.rec.Packets += packets
	e.rec.Bytes += bytes
	e.rec.Flags |= run.Flags
	c.seen(e, run)
}

// observeBack meters a burst of the way back of an open biflow.
func (c *cache) observeBack(e *entry, run *Run, packets, bytes uint64) {
	b := &e.rec.Back
	if b.Packets == 0 {
		b.Start = run.At
	}
	b.Packets += packets
	b.Bytes += bytes
	b.Flags |= run.Flags
	c.seen(e, run)
}

// seen notes when an open flow's last packet passed, and whether it ends.
func (c *cache) seen(e *entry, run *Run) {
	e.rec.End = run.At
	if run.Flags&(fin|rst) != 0 && e.fin == 0 {
		e.fin = run.At
		if due := c.dueOf(e); due < e.due {
			e.due = due
			heap.Fix(&c.due, e.index)
		}
	}
}

// translate notes the key of an open flow after translation.
func (c *cache) translate(k, post flow.Key, in, out uint32) {
	if e := c.entries[c.key(k, in, out)]; e != nil {
		e.rec.Post = post
	}
}

// sample says how much of a run the observation point sees: each packet is
// taken with probability 1/sampling.
func (c *cache) sample(run *Run) (packets, bytes uint64) {
	if c.cfg.sampling <= 1 {
		return uint64(run.Packets), run.Bytes
	}
	for i := range run.Packets {
		if c.takes(run, i) {
			packets++
		}
	}
	return packets, run.Bytes * packets / uint64(run.Packets)
}

// takes tells whether packet i of a run is sampled. By hash, every exporter that
// samples at the same rate takes the same packets (RFC 5475 §6.2).
func (c *cache) takes(run *Run, i uint32) bool {
	if !c.cfg.hash {
		return c.rng.Uint32N(c.cfg.sampling) == 0
	}
	h := mix(mix(uint64(run.At)) ^ uint64(i)<<1 ^ uint64(way(run.Reverse)))
	return h%uint64(c.cfg.sampling) == 0
}

// open makes an entry for a flow whose first packet passes at t.
func (c *cache) open(k cacheKey, t int64) *entry {
	var e *entry
	if n := len(c.free); n > 0 {
		e, c.free = c.free[n-1], c.free[:n-1]
		*e = entry{}
	} else {
		e = new(entry)
	}
	c.created++
	e.order = c.created
	e.key, e.rec = k, Record{Key: k.flow, Start: t, End: t, Egress: c.cfg.egress}
	c.entries[k] = e
	return e
}

// dueOf is when an entry must go, by what is known of it now.
func (c *cache) dueOf(e *entry) int64 {
	due := min(e.rec.Start+c.cfg.active, e.rec.End+c.cfg.inactive)
	if e.fin != 0 {
		due = min(due, e.fin+finLinger)
	}
	return due
}

// next is when the earliest entry is due at the soonest, or never.
func (c *cache) next() int64 {
	if len(c.due) == 0 {
		return never
	}
	return c.due[0].due
}

// expire lets the first entry go if it is due by t: it tells the time it went
// at, and the record, which is valid until the next call.
func (c *cache) expire(t int64) (*Record, int64) {
	for len(c.due) > 0 {
		e := c.due[0]
		if e.due > t {
			return nil, 0
		}
		if due := c.dueOf(e); due > e.due {
			e.due = due
			heap.Fix(&c.due, 0)
			continue
		}
		heap.Pop(&c.due)
		delete(c.entries, e.key)
		c.free = append(c.free, e)
		e.rec.Reason = c.reason(e)
		return &e.rec, e.due
	}
	return nil, 0
}

// reason is why an entry that is due goes.
func (c *cache) reason(e *entry) uint8 {
	switch {
	case e.fin != 0 && e.due == e.fin+finLinger:
		return endOfFlow
	case e.due == e.rec.Start+c.cfg.active:
		return endActive
	}
	return endIdle
}

// dueHeap orders entries by due time, then by age (container/heap).
type dueHeap []*entry

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	if h[i].due != h[j].due {
		return h[i].due < h[j].due
	}
	return h[i].order < h[j].order
}
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push and Pop are for container/heap.
func (h *dueHeap) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *dueHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}
