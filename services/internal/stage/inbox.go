package stage

import (
	"slices"
	"strings"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// inbox reads one partition of one input topic. All it decides is a function of
// that single log, whatever else is read beside it: which records are new, which
// tick each takes effect at, and up to which tick the log is complete.
//
//	known sources ──finished ticks──▶ min over the live ones = watermark
//	record ──▶ effective tick = its own, or the one after the watermark if that has passed
//
// Sources of a topic that ingest writes come and go: they are known from their
// first message. Sources of a topic that a stage writes are known beforehand and
// waited for.
type inbox struct {
	inboxPlan
	// next is the offset to read next.
	next int64
	// whole tells that the log was read from its very first message without a
	// hole: then a source that begins with another number than 0 has lost records.
	whole bool
	// watermark is the newest tick the log is complete for.
	watermark eventtime.Tick
	sources   []source // sorted by name
	// newest is the newest tick at which a record takes effect.
	newest eventtime.Tick
	// ended: every source is gone and one has said that the timeline ends, at endTick.
	ended   bool
	endTick eventtime.Tick
}

// inboxPlan is what does not change in an inbox.
type inboxPlan struct {
	input     int    // index into Spec.Inputs
	topic     string // catalogue name
	partition int
	plain     bool
	expected  []string // sources of a stage's topic; nil where they come and go
	delay     eventtime.Tick
	loop      bool // written by the stage itself
}

type source struct {
	sequence
	state sourceState
	// known: at least one message has come (expected sources exist before).
	known bool
	// finished is the newest tick of which nothing more comes from this source.
	finished eventtime.Tick
	// heard is the stream time of the last message.
	heard eventtime.Tick
	// marks are the other sources' finished ticks when this one was heard last, in
	// the order of inbox.sources; only where sources come and go.
	marks []eventtime.Tick
}

type sourceState uint8

const (
	live sourceState = iota
	dead             // silent while another went on; back when it has caught up
	left             // signed off
	over             // said that the timeline has ended
)

const (
	// beforeAll is a tick before every other.
	beforeAll eventtime.Tick = -1 << 62
	// silence is by how many ticks (30 s) another source must have advanced for a
	// silent one to be dead.
	silence eventtime.Tick = 60
	// forgetLeft and forgetDead (2 hours, 7 days) are for how many ticks the numbers
	// of a source that is gone are kept, to know late repetitions of its messages.
	forgetLeft eventtime.Tick = 2 * 3600 * 2
	forgetDead eventtime.Tick = 7 * 86400 * 2
)

func newInbox(plan inboxPlan) *inbox {
	in := &inbox{inboxPlan: plan, whole: true, watermark: beforeAll, newest: beforeAll, endTick: beforeAll}
	for _, name := range plan.expected {
		in.sources = append(in.sources, source{sequence: sequence{name: name}, finished: beforeAll, heard: beforeAll})
	}
	slices.SortFunc(in.sources, func(a, b source) int { return strings.Compare(a.name, b.name) })
	return in
}

// accept takes the next message of the log. It returns the records that are new
// and the tick they take effect at.
func (in *inbox) accept(m *message, t *tally) (rest []byte, fresh int, at eventtime.Tick) {
	if in.ended {
		in.afterEnd(m, t)
		return nil, 0, 0
	}
	s := in.source(m)
	switch {
	case s == nil:
		t.foreign++
		return nil, 0, 0
	case s.stale(m.epoch):
		t.stale++
		return nil, 0, 0
	}
	rest, fresh = s.take(m.seq, m.count, m.value, t)
	at = m.tick
	if at <= in.watermark {
		at = in.watermark + 1
		t.late += int64(fresh)
	}
	t.records += int64(fresh)
	in.progress(s, m)
	return rest, fresh, at + in.delay
}

// afterEnd counts what comes when the timeline is over: repetitions are harmless,
// anything new is refused.
func (in *inbox) afterEnd(m *message, t *tally) {
	i, ok := findSource(in.sources, m.source)
	if ok && m.seq+int64(m.count) <= in.sources[i].next {
		t.duplicates += int64(m.count)
		return
	}
	t.ended += int64(m.count)
}

// source finds who wrote a message; a newcomer is added where sources come and go.
func (in *inbox) source(m *message) *source {
	i, ok := findSource(in.sources, m.source)
	switch {
	case ok:
	case in.expected != nil:
		return nil
	default:
		in.forget()
		i, _ = findSource(in.sources, m.source)
		in.add(i, m)
	}
	s := &in.sources[i]
	if !s.known {
		s.known = true
		if !in.whole {
			s.next = m.seq // what came before was cut off the log
		}
	}
	return s
}

// add inserts a newcomer. One that begins far behind is not waited for.
func (in *inbox) add(i int, m *message) {
	s := source{sequence: sequence{name: m.source}, finished: m.tick - 1, heard: beforeAll}
	if s.finished < in.watermark-silence {
		s.state = dead
	}
	in.sources = slices.Insert(in.sources, i, s)
	for j := range in.sources {
		if o := &in.sources[j]; j != i {
			o.marks = slices.Insert(o.marks, i, s.finished)
		}
	}
	in.sources[i].marks = make([]eventtime.Tick, len(in.sources))
}

// forget drops sources that have been gone for long.
func (in *inbox) forget() {
	for i := len(in.sources) - 1; i >= 0; i-- {
		s := &in.sources[i]
		gone := in.watermark - s.heard
		if s.state == live || s.state == dead && gone < forgetDead || gone < forgetLeft {
			continue
		}
		in.sources = slices.Delete(in.sources, i, i+1)
		for j := range in.sources {
			in.sources[j].marks = slices.Delete(in.sources[j].marks, i, i+1)
		}
	}
}

// progress moves the clock of a source, and with it the log's.
func (in *inbox) progress(s *source, m *message) {
	finished := m.tick - 1 // ticks of a source never fall
	if m.end {
		finished = m.tick
	}
	s.finished = max(s.finished, finished)
	s.heard = max(s.heard, in.watermark, m.tick)
	switch {
	case m.bye == ByeEndOfInput && s.state != left:
		s.state = over
		in.endTick = max(in.endTick, m.tick)
	case m.bye == ByeStop && in.expected == nil && s.state != over:
		s.state = left
	}
	if in.expected == nil {
		in.judge(s)
	}
	in.advance()
}

// judge says who is dead now that s has spoken: who was silent while s moved on
// by 30 s and is as far behind it.
func (in *inbox) judge(s *source) {
	self := in.indexOf(s)
	for i := range in.sources {
		o := &in.sources[i]
		s.marks[i] = o.finished
		if i != self && s.state == live && o.state == live &&
			s.finished-o.marks[self] >= silence && s.finished-o.finished >= silence {
			o.state = dead
		}
	}
	if s.state == dead && s.finished >= in.watermark {
		s.state = live
	}
}

// indexOf is where s stands: it points into in.sources.
func (in *inbox) indexOf(s *source) int {
	i, _ := findSource(in.sources, s.name)
	return i
}

// advance moves the watermark to the slowest live source. Without one it stays.
func (in *inbox) advance() {
	slowest, ended := eventtime.Never, 0
	anyLive := false
	for i := range in.sources {
		switch s := &in.sources[i]; s.state {
		case live:
			anyLive = true
			slowest = min(slowest, s.finished)
		case over:
			ended++
		}
	}
	if anyLive {
		in.watermark = max(in.watermark, slowest)
		return
	}
	in.ended = ended > 0
}

// passed is the newest tick that this input holds back no more.
func (in *inbox) passed() eventtime.Tick {
	switch {
	case in.ended:
		return eventtime.Never
	case in.watermark == beforeAll:
		return beforeAll
	}
	return in.watermark + in.delay
}

// skipTo goes on at an offset behind the expected one: what lay between is gone.
func (in *inbox) skipTo(offset int64) {
	in.next = offset
	in.whole = false
}
