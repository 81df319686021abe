// Package biflow stitches the two directions of a conversation together and its
// segments end to end, and says who is the client.
//
//	flow ─▶ place: which conversation of this key? ─▶ add to its half ─▶ version 1 at the end of the tick
//	            │ idle too long, or a fresh SYN                            then at most one a minute
//	            ╰──▶ a new one; the former lingers for stragglers          last one when it closes
//
// A conversation ends by FIN or RST or the exporter's word, and a linger; else
// by silence. How long a silence may be follows from the conversation itself: an
// exporter that cuts it after its active timeout sends segments of that length,
// so the next may be that long in coming (see docs/adr/0004).
//
// A conversation takes 128 bytes of a slab and its place in an index without
// keys; who reported it, and how, is a number; names, translations and IPv6
// addresses lie beside, for those that have them. Everything is looked up and fired in batches
// whose memory is asked for ahead.
//
// The package is pure: see DESIGN.md §3. All state is per conversation, so
// results do not depend on the number of partitions.
package biflow

import (
	"slices"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/slab"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Stats counts what happened, for metrics.
type Stats struct {
	Flows, Opened, Closed, Versions, LateReporters, Evicted, Continued uint64
	// Open is the number of conversations held now.
	Open int
}

// Table holds the conversations of one partition.
type Table struct {
	cfg Config
	// declared are the servers of the policy in force; nil without one.
	declared *declared
	// now is the tick that is handled.
	now        eventtime.Tick
	index      slab.Index // the newest conversation of each key
	convs      slab.Slab[conv]
	pairs      slab.Slab[pair]
	mores      slab.Slab[more]
	names      slab.Slab[names]
	origins    origins
	timers     eventtime.Queue[uint32]
	candidates candidates
	evictions  evictions
	// touched are the conversations that got something in this tick.
	touched []uint32
	ahead   ahead
	// seen is the input that comes as messages.
	seen Input
	// message is the version that is told; decorated: it has what few have.
	message   flowv1.Biflow
	decorated bool
	stats     Stats
	open      int
}

// New makes an empty table. The configuration must be valid.
func New(cfg Config) *Table {
	return &Table{cfg: cfg}
}

// Stats are the counters so far.
func (t *Table) Stats() Stats {
	s := t.stats
	s.Open = t.open
	return s
}

// NextTimer is the earliest tick at which something falls due.
func (t *Table) NextTimer() eventtime.Tick { return t.timers.Next() }

// Tick applies the flows of one tick, which may be in any order, then issues
// versions and closes what is over, in no order that matters. What it emits is valid
// during the call.
func (t *Table) Tick(now eventtime.Tick, flows []*flowv1.Flow, emit func(*flowv1.Biflow)) {
	for _, f := range flows {
		t.See(f)
	}
	t.TickSeen(now, emit)
}

// TickWire is Tick from wire to wire.
func (t *Table) TickWire(now eventtime.Tick, in *Input, out *Output) {
	out.reset()
	t.tick(now, in, out)
}

func (t *Table) tick(now eventtime.Tick, in *Input, out outlet) {
	t.now = now
	for flows := range slices.Chunk(in.order(), lookahead) {
		t.applyAhead(in, flows)
	}
	t.issueTouched(out)
	t.fire(out)
	t.forgetEvicted()
	t.evict(out)
}

// EndWire is End to the wire.
func (t *Table) EndWire(now eventtime.Tick, out *Output) {
	out.reset()
	t.end(now, out)
}

// End closes everything: the timeline is over.
func (t *Table) End(now eventtime.Tick, emit func(*flowv1.Biflow)) {
	t.end(now, emitter(emit))
}

func (t *Table) end(now eventtime.Tick, out outlet) {
	t.now = now
	for id := range t.convs.Len() {
		if t.convs.At(id).has(live) {
			t.close(id, flowv1.CloseReason_CLOSE_REASON_END_OF_INPUT, out)
		}
	}
}

// apply takes a flow in. hint is what the index had for it (ahead.newest).
func (t *Table) apply(s *segment, hint uint32) {
	t.stats.Flows++
	if s.late {
		t.addLate(s, hint)
		return
	}
	id := t.find(s, hint)
	c := t.convs.At(id)
	t.add(c, int(s.side), s)
	c.last = uint32(t.now)
	t.touch(id, c)
}

// add takes a counted flow of one side in.
func (t *Table) add(c *conv, side int, s *segment) {
	t.remember(c)
	h := &c.half[side]
	flags := c.tcpFlags(s)
	first := h.segments == 0
	earliest := first || s.start < h.start.ns()
	if earliest {
		t.startsEarlier(c, s.start)
		h.start.set(s.start)
		h.firstFlags = flags
	}
	if first {
		c.icmp[side] = s.icmp
	}
	h.end.set(max(h.end.ns(), s.end))
	bytes, packets := t.inUnits(c, s)
	t.count(c, side, bytes, packets)
	h.flags |= flags
	h.segments++
	c.longest = max(c.longest, segmentLength(s))
	c.gatherEvidence(side, s)
	c.marks |= s.marks | dirty
	c.origin = t.origins.after(c.origin, s, earliest)
	if s.extra != nil {
		t.addExtra(c, side, s.extra)
	}
	c.gatherEnd(side, s, flags)
}

// addExtra takes in what few flows have; who else reported is the origin's to know.
func (t *Table) addExtra(c *conv, side int, x *extra) {
	if x.full != nil {
		t.decorate(c, side, x.full)
	}
	c.seenBy(x.reporters)
}

// seenBy takes in what other observation points saw: that they dropped it, and how
// long they say nothing of it.
func (c *conv) seenBy(reporters []view) {
	for i := range reporters {
		r := &reporters[i]
		c.set(denied, r.denied)
		c.longest = max(c.longest, r.length)
	}
}

// addLate adds reporters to the open conversation. When that is closed the late
// report is still in the ledger's flows.
func (t *Table) addLate(s *segment, hint uint32) {
	id, ok := t.newestFor(s, hint)
	if !ok || s.extra == nil {
		return
	}
	c := t.convs.At(id)
	origin, marks := c.origin, c.marks
	c.origin = t.origins.with(origin, s.extra.reporters)
	c.seenBy(s.extra.reporters)
	more := s.extra.full != nil && t.decorateLate(c, int(s.side), s.extra.full)
	if more || c.origin != origin || c.marks != marks {
		c.marks |= dirty
		t.touch(id, c)
		t.stats.LateReporters++
	}
}

func (t *Table) touch(id uint32, c *conv) {
	if !c.has(touched) {
		c.marks |= touched
		t.touched = append(t.touched, id)
	}
}

// find finds the conversation a flow belongs to, or opens it.
func (t *Table) find(s *segment, hint uint32) uint32 {
	id, ok := t.newestFor(s, hint)
	if !ok {
		return t.openConv(s, none)
	}
	c := t.convs.At(id)
	if older, ok := t.older(c); ok && s.end < c.start() {
		return t.olderFor(older, s)
	}
	if t.startsNew(c, int(s.side), s) {
		if c.ended == 0 {
			c.ended = uint8(flowv1.CloseReason_CLOSE_REASON_PORT_REUSE)
		}
		t.setTimer(id, c)
		return t.openConv(s, id)
	}
	return id
}

// olderFor finds the lingering conversation that a straggler belongs to: the
// newest that had begun before it ended, from id on.
func (t *Table) olderFor(id uint32, s *segment) uint32 {
	for {
		c := t.convs.At(id)
		older, ok := t.older(c)
		if !ok || s.end >= c.start() {
			return id
		}
		id = older
	}
}

// none is no conversation and no set.
const none = slab.None

// openConv opens a conversation in front of the older one of its key, if any.
func (t *Table) openConv(s *segment, older uint32) uint32 {
	id, c := t.convs.Take()
	*c = conv{marks: live, origin: none, last: uint32(t.now), wakeAt: uint32(t.now)}
	t.setKey(c, &s.place)
	c.id = t.flowID(c, s)
	if prev := t.continues(c, s); prev != 0 {
		t.makeMore(c).prev = prev
	}
	if older != none {
		t.setOlder(c, older, true)
		t.convs.At(older).marks |= behind
		t.index.Delete(s.hash, older)
	}
	t.index.Insert(s.hash, id)
	t.ahead.opened.Add(s.hash)
	t.open++
	t.stats.Opened++
	return id
}

// startsNew tells that a flow cannot belong to a conversation of its key: it
// comes too long after, or opens a connection anew.
func (t *Table) startsNew(c *conv, side int, s *segment) bool {
	if s.start > t.latestStart(c) {
		return true
	}
	if c.proto != flow.ProtoTCP {
		return c.ended != 0 && s.start > c.end()+uint64(t.cfg.Linger)
	}
	own, other := &c.half[side], &c.half[1-side]
	if s.flags&syn == 0 {
		// One more refusal answers one more attempt, be it one we know of or not.
		return refusal(s.flags) && refusal(own.flags) && s.start > own.end.ns() &&
			own.segments >= other.segments
	}
	switch {
	case own.segments == 0:
		return c.ended != 0 && s.start > c.end()+leastLeadElsewhere
	case s.start <= own.end.ns(), c.ended == 0 && t.repeats(c, side, s):
		return false
	}
	// A second SYN from the same side: a retransmission as long as the first
	// was not answered and nothing ended, else a new connection.
	return c.ended != 0 || other.segments > 0
}

// repeats tells a SYN that is sent again while a handshake goes on (RFC 9293 §3.8.1): the
// client's as long as it has not acknowledged, be it answered or not, and the server's
// SYN|ACK. To connect anew its client asks first.
func (t *Table) repeats(c *conv, side int, s *segment) bool {
	own, client := &c.half[side], c.role.verdict()
	if client.percent == 0 || s.start > own.start.ns()+uint64(longestHandshake) {
		return false
	}
	if int(client.side) == side {
		sent := t.volume(c, side)
		return s.flags&control == syn && own.flags&control == syn && !own.wentOn(&sent)
	}
	return s.flags&control&^rst == syn|ack
}

// refusal tells that a side only ever sent resets.
func refusal(flags uint8) bool { return flags&rst != 0 && flags&^uint8(rst|ack) == 0 }

// full is the tick that a conversation holds the lower half of. It lies within 34
// years of now.
func (t *Table) full(tick uint32) eventtime.Tick {
	return t.now + eventtime.Tick(int32(tick-uint32(t.now)))
}

// setTimer makes sure that the conversation wakes when something is due, if not
// earlier.
func (t *Table) setTimer(id uint32, c *conv) {
	due := t.deadline(c)
	if c.has(dirty) && c.version > 0 {
		due = min(due, t.full(c.issued).After(t.cfg.UpdateEvery))
	}
	due = max(due, t.now+1)
	if at := t.full(c.wakeAt); at <= t.now || due < at {
		c.wakeAt = uint32(due)
		t.timers.Set(due, id)
	}
}

// fire wakes the conversations whose timers are due.
func (t *Table) fire(out outlet) {
	var ids [lookahead]uint32
	for n := len(ids); n == len(ids); {
		for n = 0; n < len(ids); n++ {
			id, ok := t.timers.Pop(t.now)
			if !ok {
				break
			}
			ids[n] = id
		}
		t.ahead.touch(t, ids[:n])
		for _, id := range ids[:n] {
			t.wake(id, out)
		}
	}
}

// wake looks what is due. A timer that was set for something since moved, or for
// a former owner of the slot, does nothing: a restored table does not have it.
func (t *Table) wake(id uint32, out outlet) {
	c := t.convs.At(id)
	if !c.has(live) || t.full(c.wakeAt) > t.now {
		return
	}
	if t.deadline(c) <= t.now {
		t.close(id, flowv1.CloseReason_CLOSE_REASON_IDLE, out)
		return
	}
	if c.has(dirty) && t.mayIssue(c) {
		t.issue(c, 0, out)
	}
	t.setTimer(id, c)
}

// mayIssue tells that no version was issued yet, or the last is long enough ago.
func (t *Table) mayIssue(c *conv) bool {
	return c.version == 0 || t.full(c.issued).After(t.cfg.UpdateEvery) <= t.now
}

// issueTouched issues what changed in this tick: at once the first version, and
// a later one if the last is long enough ago.
func (t *Table) issueTouched(out outlet) {
	for ids := range slices.Chunk(t.touched, lookahead) {
		for _, id := range ids {
			t.ahead.load(t, id)
		}
		for _, id := range ids {
			c := t.convs.At(id)
			c.marks &^= touched
			if t.mayIssue(c) {
				t.issue(c, 0, out)
			}
			t.setTimer(id, c)
		}
	}
	t.touched = t.touched[:0]
}

// close issues the last version and forgets the conversation.
func (t *Table) close(id uint32, reason flowv1.CloseReason, out outlet) {
	c := t.convs.At(id)
	if c.ended != 0 {
		reason = c.closeReason()
	}
	t.issue(c, reason, out)
	t.unlink(id, c)
	t.origins.drop(c.origin)
	if c.has(wide) {
		t.pairs.Give(c.half[0].pair())
	}
	t.dropMore(c)
	c.marks = 0
	t.convs.Give(id)
	if t.open--; t.open == 0 {
		t.origins.settle()
	}
	t.stats.Closed++
}

// unlink takes a conversation out of its key's chain.
func (t *Table) unlink(id uint32, c *conv) {
	older, ok := t.older(c)
	if !c.has(behind) {
		hash := t.hash(c)
		if !t.index.Delete(hash, id) {
			panic("BUG: a conversation that closes is not in the index")
		}
		if ok {
			t.convs.At(older).marks &^= behind
			t.index.Insert(hash, older)
		}
		return
	}
	at, there := t.newest(c)
	for there {
		n := t.convs.At(at)
		if at, there = t.older(n); there && at == id {
			t.setOlder(n, older, ok)
			return
		}
	}
	panic("BUG: a conversation is not in its key's chain")
}
