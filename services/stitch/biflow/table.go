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
// The package is pure: see DESIGN.md §3. All state is per conversation, so
// results do not depend on the number of partitions.
package biflow

import (
	"time"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/slab"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// none is no conversation in a chain.
const none = ^uint32(0)

// segmentMargin is added to the longest segment: the exporter's inactive timeout
// and the way to us (DOMAIN: active + inactive + 60 s).
const segmentMargin = 75 * time.Second

// Stats counts what happened, for metrics.
type Stats struct {
	Flows, Opened, Closed, Versions, LateReporters, Evicted uint64
	// Open is the number of conversations held now.
	Open int
}

// Table holds the conversations of one partition.
type Table struct {
	cfg     Config
	index   map[flow.ConvKey]uint32 // the newest conversation of each key
	convs   slab.Slab[conv]
	touched []uint32
	timers  eventtime.Queue[uint32]
	out     outputs
	stats   Stats
	open    int
}

// New makes an empty table. The configuration must be valid.
func New(cfg Config) *Table {
	return &Table{cfg: cfg, index: make(map[flow.ConvKey]uint32)}
}

// Stats are the counters so far.
func (t *Table) Stats() Stats {
	s := t.stats
	s.Open = t.open
	return s
}

// NextTimer is the earliest tick at which something falls due.
func (t *Table) NextTimer() eventtime.Tick { return t.timers.Next() }

// Tick applies the flows of one tick, in order, then issues versions and closes
// what is over. What it emits stays valid until the next call.
func (t *Table) Tick(now eventtime.Tick, flows []*flowv1.Flow, emit func(*flowv1.Biflow)) {
	t.out.reset()
	for _, f := range flows {
		t.add(now, f)
	}
	t.issueTouched(now, emit)
	for {
		id, ok := t.timers.Pop(now)
		if !ok {
			break
		}
		t.wake(now, id, emit)
	}
	t.evict(now, emit)
}

// End closes everything: the timeline is over.
func (t *Table) End(now eventtime.Tick, emit func(*flowv1.Biflow)) {
	t.out.reset()
	for id := range t.convs.Len() {
		if t.convs.At(id).live {
			t.close(now, id, flowv1.CloseReason_CLOSE_REASON_END_OF_INPUT, emit)
		}
	}
}

func (t *Table) add(now eventtime.Tick, f *flowv1.Flow) {
	t.stats.Flows++
	k := flow.KeyOf(f)
	key, forward := k.Conversation()
	side := 0
	if !forward {
		side = 1
	}
	if f.Late {
		t.addLate(now, key, f)
		return
	}
	id := t.place(now, key, side, f)
	c := t.convs.At(id)
	c.add(side, f)
	c.last = now
	t.touch(id)
}

// addLate adds reporters to the open conversation. When that is closed the late
// report is still in the ledger's flows.
func (t *Table) addLate(now eventtime.Tick, key flow.ConvKey, f *flowv1.Flow) {
	id, ok := t.index[key]
	if !ok {
		return
	}
	c := t.convs.At(id)
	n := len(c.reporters)
	c.addReporters(f)
	if len(c.reporters) > n {
		c.dirty = true
		t.touch(id)
		t.stats.LateReporters++
	}
}

func (t *Table) touch(id uint32) {
	if c := t.convs.At(id); !c.touched {
		c.touched = true
		t.touched = append(t.touched, id)
	}
}

// place finds the conversation a flow belongs to, or opens it.
func (t *Table) place(now eventtime.Tick, key flow.ConvKey, side int, f *flowv1.Flow) uint32 {
	id, ok := t.index[key]
	if !ok {
		return t.openConv(now, key, f, none)
	}
	c := t.convs.At(id)
	if c.older != none && f.TimeFlowEndNs < c.start() {
		return t.olderFor(c, f)
	}
	if t.startsNew(c, side, f) {
		if c.ended == 0 {
			c.ended = flowv1.CloseReason_CLOSE_REASON_PORT_REUSE
		}
		t.setTimer(now, id)
		return t.openConv(now, key, f, id)
	}
	return id
}

// olderFor finds the lingering conversation that a straggler belongs to: the
// newest that had begun before it ended.
func (t *Table) olderFor(c *conv, f *flowv1.Flow) uint32 {
	id := c.older
	for {
		c := t.convs.At(id)
		if c.older == none || f.TimeFlowEndNs >= c.start() {
			return id
		}
		id = c.older
	}
}

func (t *Table) openConv(now eventtime.Tick, key flow.ConvKey, f *flowv1.Flow, older uint32) uint32 {
	id, c := t.convs.Take()
	*c = conv{
		key: key, id: flowID(&key, f), older: older, live: true, last: now,
		reporters: c.reporters[:0],
	}
	t.index[key] = id
	t.open++
	t.stats.Opened++
	return id
}

// idle is the silence after which a conversation is over.
func (t *Table) idle(c *conv) time.Duration {
	least := t.cfg.UDPIdle
	if c.key.Proto == flow.ProtoTCP {
		least = t.cfg.TCPIdle
	}
	if c.longest == 0 {
		return least
	}
	return max(least, time.Duration(c.longest)+segmentMargin)
}

// startsNew tells that a flow cannot belong to a conversation of its key: it
// comes too long after, or opens a connection anew.
func (t *Table) startsNew(c *conv, side int, f *flowv1.Flow) bool {
	if f.TimeFlowStartNs > c.end()+uint64(t.idle(c)) {
		return true
	}
	if c.key.Proto != flow.ProtoTCP {
		return c.ended != 0 && f.TimeFlowStartNs > c.end()+uint64(t.cfg.Linger)
	}
	own, other := &c.half[side], &c.half[1-side]
	if f.TcpFlags&syn == 0 {
		// One more refusal answers one more attempt, be it one we know of or not.
		return refusal(uint8(f.TcpFlags)) && refusal(own.flags) && f.TimeFlowStartNs > own.end &&
			own.segments >= other.segments
	}
	switch {
	case own.segments == 0:
		return c.ended != 0 && f.TimeFlowStartNs > c.end()+leastLeadElsewhere
	case f.TimeFlowStartNs <= own.end:
		return false
	}
	// A second SYN from the same side: a retransmission as long as the first
	// was not answered and nothing ended, else a new connection.
	return c.ended != 0 || other.segments > 0
}

// refusal tells that a side only ever sent resets.
func refusal(flags uint8) bool { return flags&rst != 0 && flags&^uint8(rst|ack) == 0 }

// deadline is when a conversation is closed if nothing more comes.
func (t *Table) deadline(c *conv) eventtime.Tick {
	if c.ended != 0 && c.half[0].segments > 0 && c.half[1].segments > 0 {
		return c.last.After(t.cfg.Linger)
	}
	return c.last.After(t.idle(c))
}

// setTimer makes sure that the conversation wakes when something is due.
func (t *Table) setTimer(now eventtime.Tick, id uint32) {
	c := t.convs.At(id)
	due := t.deadline(c)
	if c.dirty && c.version > 0 {
		due = min(due, c.issued.After(t.cfg.UpdateEvery))
	}
	due = max(due, now+1)
	if c.wakeAt <= now || due < c.wakeAt {
		c.wakeAt = due
		t.timers.Set(due, id)
	}
}

// wake looks what is due. A timer that was set for something since moved, or for
// a former owner of the slot, does nothing: a restored table does not have it.
func (t *Table) wake(now eventtime.Tick, id uint32, emit func(*flowv1.Biflow)) {
	c := t.convs.At(id)
	if !c.live || c.wakeAt > now {
		return
	}
	if t.deadline(c) <= now {
		t.close(now, id, flowv1.CloseReason_CLOSE_REASON_IDLE, emit)
		return
	}
	if c.dirty && (c.version == 0 || c.issued.After(t.cfg.UpdateEvery) <= now) {
		t.issue(now, c, 0, emit)
	}
	t.setTimer(now, id)
}

// issueTouched issues what changed in this tick: at once the first version, and
// a later one if the last is long enough ago.
func (t *Table) issueTouched(now eventtime.Tick, emit func(*flowv1.Biflow)) {
	for _, id := range t.touched {
		c := t.convs.At(id)
		c.touched = false
		if c.version == 0 || c.issued.After(t.cfg.UpdateEvery) <= now {
			t.issue(now, c, 0, emit)
		}
		t.setTimer(now, id)
	}
	t.touched = t.touched[:0]
}

// close issues the last version and forgets the conversation.
func (t *Table) close(now eventtime.Tick, id uint32, reason flowv1.CloseReason, emit func(*flowv1.Biflow)) {
	c := t.convs.At(id)
	if c.ended != 0 {
		reason = c.ended
	}
	t.issue(now, c, reason, emit)
	t.unlink(id)
	*c = conv{reporters: c.reporters[:0]}
	t.convs.Give(id)
	t.open--
	t.stats.Closed++
}

// unlink takes a conversation out of its key's chain.
func (t *Table) unlink(id uint32) {
	c := t.convs.At(id)
	head := t.index[c.key]
	if head == id {
		if c.older == none {
			delete(t.index, c.key)
		} else {
			t.index[c.key] = c.older
		}
		return
	}
	for at := t.convs.At(head); at.older != none; at = t.convs.At(at.older) {
		if at.older == id {
			at.older = c.older
			return
		}
	}
	panic("BUG: a conversation is not in its key's chain")
}

// evict keeps the table within its bound: those soonest to be closed go first.
func (t *Table) evict(now eventtime.Tick, emit func(*flowv1.Biflow)) {
	for t.open > t.cfg.MaxConversations {
		due := t.timers.Next()
		id, ok := t.timers.Pop(eventtime.Never - 1)
		if !ok {
			return
		}
		if c := t.convs.At(id); c.live && c.wakeAt == due {
			t.close(now, id, flowv1.CloseReason_CLOSE_REASON_EVICTED, emit)
			t.stats.Evicted++
		}
	}
}
