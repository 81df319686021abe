package stage

import (
	"slices"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// engine is one partition of a stage without Kafka: messages in, messages out,
// snapshots; pure and synchronous. The same logs give the same output records
// with the same numbers, however the messages are dealt out over calls of accept
// and step, wherever a snapshot and restore come between. Only how records are
// grouped into messages, and how many empty messages there are, may differ.
type engine struct {
	plan
	core    Core
	inboxes []*inbox
	// policies are nil where the stage does not go by them.
	policies *policies
	// waiting are the records that are read but not released, by tick, rising.
	waiting []tickBatches
	// letters are the messages that cannot be read and are not written to FlowsDead yet,
	// in the order of compareLetters.
	letters []letter
	// bytes is how much value waits.
	bytes int64
	// last is the newest tick the core has seen, told the newest tick that marks
	// have been sent for.
	last, told eventtime.Tick
	// ended: the timeline is over, the core closed.
	ended bool
	out   *Output
	// lanes are the numbers and marks of the outputs, [output][partition].
	lanes [][]laneState
	tally tally
	// spare are emptied lists of batches, to be filled again.
	spare [][]Batch
}

type tickBatches struct {
	tick    eventtime.Tick
	batches []Batch
	// settled is how many of them settle has seen.
	settled int
}

// laneState is what has gone to one partition of one output.
type laneState struct {
	seq  int64          // number of the next record
	told eventtime.Tick // newest tick that was ended there
}

// sink takes what the engine says, per lane in order.
type sink func(output, partition int, m outgoing)

func newEngine(p plan, core Core) *engine {
	e := &engine{plan: p, core: core, last: beforeAll, told: beforeAll}
	if p.policy {
		e.policies = newPolicies(core.(PolicyCore))
	}
	var counts []int
	for _, in := range p.inboxes {
		e.inboxes = append(e.inboxes, newInbox(in))
	}
	for _, out := range p.outputs {
		counts = append(counts, out.partitions)
		lanes := make([]laneState, out.partitions)
		for i := range lanes {
			lanes[i].told = beforeAll
		}
		e.lanes = append(e.lanes, lanes)
	}
	e.out = NewOutput(counts...)
	return e
}

// accept takes the next message of an inbox's log. The engine keeps its value, and
// releases its page when it is done with it.
func (e *engine) accept(inbox int, m *message) {
	if !e.take(inbox, m) {
		m.page.release()
	}
}

// take tells whether the message has anything that waits now.
func (e *engine) take(inbox int, m *message) bool {
	in := e.inboxes[inbox]
	in.next = m.next()
	if m.err != nil {
		e.tally.malformed++
		e.bury(in, m)
		return false
	}
	rest, fresh, at := in.accept(m, &e.tally)
	if fresh == 0 {
		return false
	}
	if e.ended {
		if !in.loop { // what the stage itself says last comes back, and is no surprise
			e.tally.ended += int64(fresh)
		}
		return false
	}
	if at <= e.last { // an input that the stage did not read before
		at = e.last + 1
		e.tally.late += int64(fresh)
	}
	in.newest = max(in.newest, at)
	i, found := slices.BinarySearchFunc(e.waiting, at, func(w tickBatches, t eventtime.Tick) int { return int(w.tick - t) })
	if !found {
		e.waiting = slices.Insert(e.waiting, i, tickBatches{tick: at, batches: e.spareBatches()})
	}
	e.waiting[i].batches = append(e.waiting[i].batches, Batch{Input: in.input, Value: rest, partition: in.partition, offset: m.offset, page: m.page})
	e.bytes += int64(len(rest))
	return true
}

// settle moves what waits for an input into memory of its own where it is a small part of
// its page: one batch of a source that is far ahead would hold all its neighbours' memory.
// What waits for the policies alone goes on in a moment.
func (e *engine) settle() {
	passed := min(e.passed(false), e.passed(true))
	for i := range e.waiting {
		w := &e.waiting[i]
		if w.tick <= passed {
			continue
		}
		for ; w.settled < len(w.batches); w.settled++ {
			b := &w.batches[w.settled]
			if b.page != nil && len(b.Value) < len(b.page.b)/4 {
				b.Value = slices.Clone(b.Value)
				b.page.release()
				b.page = nil
			}
		}
	}
}

// passed is the newest tick that all inputs are complete for: those that the stage
// itself writes, or the others.
func (e *engine) passed(loop bool) eventtime.Tick {
	passed := eventtime.Never
	for _, in := range e.inboxes {
		if in.loop == loop {
			passed = min(passed, in.passed())
		}
	}
	return passed
}

// endOfInput is the tick at which the timeline ends: of the last word and the
// last record of every input. What a stage says to itself beyond it is dropped.
func (e *engine) endOfInput() eventtime.Tick {
	end := e.last
	for _, in := range e.inboxes {
		if !in.loop {
			end = max(end, in.endTick+in.delay, in.newest)
		}
	}
	return end
}

// acceptPolicy takes the next message of the log of policies.
func (e *engine) acceptPolicy(m *message) {
	if !e.policies.accept(m, e.last, &e.tally) {
		e.buryPolicy(m)
	}
}

// known is the newest tick for which all policies have been read.
func (e *engine) known() eventtime.Tick {
	if e.policies == nil {
		return eventtime.Never
	}
	return e.policies.known
}

// enforce lets the core know which policy holds at a tick.
func (e *engine) enforce(tick eventtime.Tick) {
	if e.policies != nil {
		e.policies.enforce(tick, &e.tally)
	}
}

// step releases every tick that all inputs have passed, and says how far it is.
func (e *engine) step(say sink) {
	if e.ended {
		return
	}
	e.firstWord(say)
	passed, looped := e.passed(false), e.passed(true)
	if passed == eventtime.Never { // every input has ended, but what the stage itself says
		if e.known() != eventtime.Never {
			return // no tick lies behind the end, but policies may be known for some
		}
		end := e.endOfInput()
		if looped >= end {
			e.finish(end, say)
			return
		}
	}
	passed = min(passed, looped, e.known())
	e.release(passed, say)
	e.tell(passed, say)
}

// release runs the ticks up to one: those with records, and those with timers.
func (e *engine) release(upTo eventtime.Tick, say sink) {
	for {
		next := e.nextTick()
		e.post(min(next, upTo), say)
		if next > upTo || next == eventtime.Never {
			return
		}
		var in []Batch
		if len(e.waiting) > 0 && e.waiting[0].tick == next {
			in = e.waiting[0].batches
			e.waiting = slices.Delete(e.waiting, 0, 1)
		}
		e.enforce(next)
		e.core.Tick(next, in, e.out)
		e.last = next
		e.flush(next, "", say)
		e.postLeft(next, say)
		e.recycle(in)
	}
}

// nextTick is the tick to run next: of the oldest record or the earliest timer.
func (e *engine) nextTick() eventtime.Tick {
	next := e.core.NextTimer()
	if next <= e.last { // a timer that was due already fires now
		next = e.last + 1
	}
	if len(e.waiting) > 0 {
		next = min(next, e.waiting[0].tick)
	}
	return next
}

// finish closes the timeline: everything is released, and what is open closed one
// tick after the last.
func (e *engine) finish(end eventtime.Tick, say sink) {
	e.release(end, say)
	e.post(eventtime.Never, say)
	e.waiting, e.bytes = nil, 0
	end++
	e.enforce(end)
	e.core.End(end, e.out)
	e.last, e.told, e.ended = end, end, true
	e.flush(end, ByeEndOfInput, say)
	e.eachMarked(func(output, partition int, l *laneState) {
		if l.told < end {
			l.told = end
			m := mark(l.seq, end)
			m.bye = ByeEndOfInput
			say(output, partition, m)
		}
	})
}

// flush numbers what the core has said in a tick.
func (e *engine) flush(tick eventtime.Tick, bye string, say sink) {
	for i, out := range e.outputs {
		if out.Aligned {
			e.out.only(i, e.partition)
		}
	}
	e.out.take(func(topic, partition int, b *outBatch, last bool) {
		l := &e.lanes[topic][partition]
		m := outgoing{header: header{seq: l.seq, tick: tick}, key: b.key, value: b.value, count: b.count, pooled: !b.plain}
		if last {
			m.end, l.told = true, tick
			if e.outputs[topic].Ticks {
				m.bye = bye
			}
		}
		l.seq += int64(b.count)
		say(topic, partition, m)
	})
}

// tell sends marks where nothing has gone since a tick was passed.
func (e *engine) tell(passed eventtime.Tick, say sink) {
	if passed <= e.told {
		return
	}
	e.told = passed
	e.eachMarked(func(output, partition int, l *laneState) {
		if l.told < passed {
			l.told = passed
			say(output, partition, mark(l.seq, passed))
		}
	})
}

// firstWord lets a loop begin: a stage that waits for its own output says, as soon
// as its other inputs have begun, that nothing of it comes before them.
func (e *engine) firstWord(say sink) {
	if e.told != beforeAll || !slices.ContainsFunc(e.inboxes, func(in *inbox) bool { return in.loop }) {
		return
	}
	first := eventtime.Never
	for _, in := range e.inboxes {
		if !in.loop {
			first = min(first, in.passed())
		}
	}
	switch first {
	case beforeAll:
		return
	case eventtime.Never:
		first = e.endOfInput()
	}
	if len(e.waiting) > 0 {
		first = min(first, e.waiting[0].tick)
	}
	e.tell(max(first-1, 0), say) // no record is of tick 0
}

// eachMarked visits the partitions that are told of ticks.
func (e *engine) eachMarked(f func(output, partition int, l *laneState)) {
	for i, out := range e.outputs {
		if !out.Ticks {
			continue
		}
		for p := range e.lanes[i] {
			if !out.Aligned || p == e.partition {
				f(i, p, &e.lanes[i][p])
			}
		}
	}
}

func (e *engine) spareBatches() []Batch {
	n := len(e.spare)
	if n == 0 {
		return nil
	}
	b := e.spare[n-1]
	e.spare = e.spare[:n-1]
	return b
}

func (e *engine) recycle(in []Batch) {
	for _, b := range in {
		e.bytes -= int64(len(b.Value))
		b.page.release()
	}
	if cap(in) > 0 && len(e.spare) < 64 {
		clear(in)
		e.spare = append(e.spare, in[:0])
	}
}
