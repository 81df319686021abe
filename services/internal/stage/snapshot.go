package stage

import (
	"fmt"
	"slices"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// snapshotVersion is the first byte of an engine's snapshot: the format. Version 1
// had no policies, version 2 no letters, and no places of what waits.
const snapshotVersion = 3

// appendSnapshot appends all that the engine needs to go on: positions and sources
// of its inputs, what waits, the numbers of its outputs, and the core.
func (e *engine) appendSnapshot(b []byte) []byte {
	b = append(b, snapshotVersion)
	b = appendTick(b, e.last)
	b = appendTick(b, e.told)
	b = appendBool(b, e.ended)
	topics := e.inputTopics()
	b = appendLen(b, len(topics))
	for _, t := range topics {
		b = appendBytes(b, t)
	}
	b = appendLen(b, len(e.inboxes))
	for _, in := range e.inboxes {
		b = in.append(b)
	}
	b = appendLen(b, len(e.lanes))
	for i, lanes := range e.lanes {
		b = appendBytes(b, e.outputs[i].Topic)
		b = appendLen(b, len(lanes))
		for _, l := range lanes {
			b = appendInt(b, l.seq)
			b = appendTick(b, l.told)
		}
	}
	b = appendLen(b, len(e.waiting))
	for _, w := range e.waiting {
		b = appendTick(b, w.tick)
		b = appendLen(b, len(w.batches))
		for _, batch := range w.batches {
			b = appendLen(b, batch.Input)
			b = appendLen(b, batch.partition)
			b = appendInt(b, batch.offset)
			b = appendBytes(b, batch.Value)
		}
	}
	b = appendLen(b, len(e.letters))
	for i := range e.letters {
		b = e.letters[i].append(b, len(topics))
	}
	b = appendBool(b, e.policies != nil)
	if e.policies != nil {
		b = e.policies.append(b)
	}
	return e.core.AppendSnapshot(b)
}

// restore replaces the state of a fresh engine. The snapshot stays the engine's.
// An input that the snapshot does not know is read from its beginning; one that is
// not read any more is forgotten, with the records that wait.
func (e *engine) restore(snapshot []byte) error {
	d := decoder{b: snapshot}
	if len(snapshot) == 0 || snapshot[0] < 1 || snapshot[0] > snapshotVersion {
		return fmt.Errorf("%w: its format is not version %d", errSnapshot, snapshotVersion)
	}
	d.b = d.b[1:]
	e.last, e.told, e.ended = d.tick(), d.tick(), d.bool()
	inputs := e.restoreInputs(&d)
	for n := d.len(); n > 0 && d.err == nil; n-- {
		e.restoreInbox(&d)
	}
	for n := d.len(); n > 0 && d.err == nil; n-- {
		e.restoreLanes(&d)
	}
	e.restoreWaiting(&d, inputs, snapshot[0] > 2)
	if snapshot[0] > 2 {
		e.restoreLetters(&d, inputs)
	}
	if snapshot[0] > 1 {
		e.restorePolicies(&d)
	}
	if d.err != nil {
		return d.err
	}
	if err := e.core.Restore(d.b); err != nil {
		return fmt.Errorf("cannot restore the core: %w", err)
	}
	if e.policies != nil {
		e.policies.reinstate(&e.tally)
	}
	return nil
}

// inputTopics are the topics of the inputs by their index.
func (e *engine) inputTopics() []string {
	var topics []string
	for _, in := range e.inboxes { // in the order of the inputs
		if in.input == len(topics) {
			topics = append(topics, in.topic)
		}
	}
	return topics
}

// restoreInputs maps the inputs of the snapshot to today's; -1 is none.
func (e *engine) restoreInputs(d *decoder) (inputs []int) {
	today := e.inputTopics()
	for n := d.len(); n > 0 && d.err == nil; n-- {
		inputs = append(inputs, slices.Index(today, d.string()))
	}
	return inputs
}

func (e *engine) restoreInbox(d *decoder) {
	topic, partition := d.string(), d.count()
	for _, in := range e.inboxes {
		if in.topic == topic && in.partition == partition {
			in.restore(d)
			return
		}
	}
	newInbox(inboxPlan{}).restore(d) // not read any more
}

func (e *engine) restoreLanes(d *decoder) {
	topic, n := d.string(), d.len()
	var lanes []laneState
	for i, out := range e.outputs {
		if out.Topic == topic {
			lanes = e.lanes[i]
		}
	}
	if lanes != nil && len(lanes) != n && d.err == nil {
		d.err = fmt.Errorf("%w: %s had %d partitions and now has %d", errSnapshot, topic, n, len(lanes))
		return
	}
	for i := 0; i < n && d.err == nil; i++ {
		l := laneState{seq: d.int(), told: d.tick()}
		if lanes != nil {
			lanes[i] = l
		}
	}
}

// restoreWaiting reads the records that wait, with their places in the log or without;
// inputs are their inputs' places now.
func (e *engine) restoreWaiting(d *decoder, inputs []int, placed bool) {
	last := beforeAll
	for n := d.len(); n > 0 && d.err == nil; n-- {
		w := tickBatches{tick: d.tick()}
		if w.tick <= last {
			d.fail()
		}
		last = w.tick
		for k := d.len(); k > 0 && d.err == nil; k-- {
			input, batch := d.count(), Batch{}
			if placed {
				batch.partition, batch.offset = d.count(), d.int()
			}
			batch.Value = d.bytes()
			if input >= len(inputs) {
				d.fail()
				return
			}
			batch.Input = inputs[input]
			if batch.Input < 0 {
				continue
			}
			e.bytes += int64(len(batch.Value))
			w.batches = append(w.batches, batch)
		}
		e.waiting = append(e.waiting, w)
	}
}

func (e *engine) restorePolicies(d *decoder) {
	if !d.bool() {
		return
	}
	p := e.policies
	if p == nil {
		p = newPolicies(nil) // not gone by any more
	}
	p.restore(d)
}

// append writes the state of one input partition.
func (in *inbox) append(b []byte) []byte {
	b = appendBytes(b, in.topic)
	b = appendLen(b, in.partition)
	b = appendInt(b, in.next)
	b = appendBool(b, in.whole)
	b = appendBool(b, in.ended)
	for _, t := range []eventtime.Tick{in.watermark, in.newest, in.endTick} {
		b = appendTick(b, t)
	}
	b = appendLen(b, len(in.sources))
	for i := range in.sources {
		b = in.sources[i].append(b)
	}
	return b
}

// restore reads what append wrote behind topic and partition.
func (in *inbox) restore(d *decoder) {
	in.next, in.whole, in.ended = d.int(), d.bool(), d.bool()
	in.watermark, in.newest, in.endTick = d.tick(), d.tick(), d.tick()
	n := d.len()
	sources := make([]source, 0, min(n, 1024))
	for i := 0; i < n && d.err == nil; i++ {
		var s source
		s.restore(d)
		if i > 0 && s.name <= sources[i-1].name || len(s.marks) != 0 && len(s.marks) != n {
			d.fail()
		}
		sources = append(sources, s)
	}
	if in.next < 0 {
		d.fail()
	}
	if d.err == nil {
		in.adopt(sources, d)
	}
}

// adopt takes over the sources of a snapshot. Expected sources must be the same.
func (in *inbox) adopt(sources []source, d *decoder) {
	for i := range sources {
		if in.expected == nil && sources[i].marks == nil && in.topic != "" {
			d.fail()
			return
		}
	}
	if in.expected != nil {
		same := len(sources) == len(in.sources)
		for i := 0; same && i < len(sources); i++ {
			same = sources[i].name == in.sources[i].name && sources[i].marks == nil
		}
		if !same {
			d.err = fmt.Errorf("%w: the sources of %s are others now", errSnapshot, in.topic)
			return
		}
	}
	in.sources = sources
}

func (s *source) append(b []byte) []byte {
	b = s.sequence.append(b)
	b = append(b, byte(s.state))
	b = appendBool(b, s.known)
	b = appendTick(b, s.finished)
	b = appendTick(b, s.heard)
	b = appendLen(b, len(s.marks))
	for _, t := range s.marks {
		b = appendTick(b, t)
	}
	return b
}

func (s *source) restore(d *decoder) {
	s.sequence.restore(d)
	if len(d.b) == 0 || d.b[0] > byte(over) {
		d.fail()
		return
	}
	s.state = sourceState(d.b[0])
	d.b = d.b[1:]
	s.known = d.bool()
	s.finished, s.heard = d.tick(), d.tick()
	for n := d.len(); n > 0 && d.err == nil; n-- {
		s.marks = append(s.marks, d.tick())
	}
}

func (s *sequence) append(b []byte) []byte {
	b = appendBytes(b, s.name)
	b = appendLen(b, s.epoch)
	return appendInt(b, s.next)
}

func (s *sequence) restore(d *decoder) {
	s.name = d.string()
	s.epoch = d.count()
	if s.next = d.int(); s.next < 0 {
		d.fail()
	}
}
