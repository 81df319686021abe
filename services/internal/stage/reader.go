package stage

import (
	"fmt"
	"slices"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// reader knows what a drain has seen of one partition, whoever writes there.
type reader struct {
	next    int64
	whole   bool // see inbox.whole
	newest  eventtime.Tick
	sources []readSource // sorted by name
	tally   tally
	out     Message
}

type readSource struct {
	sequence
	heard eventtime.Tick
}

func newReader() *reader { return &reader{whole: true, newest: beforeAll} }

// take goes past a message and returns what a destination is to see of it: nil for
// messages that are none of ours. It is the reader's until the next call.
func (r *reader) take(m *message) *Message {
	r.next = m.next()
	if m.err != nil {
		r.tally.malformed++
		return nil
	}
	out := &r.out
	*out = Message{Offset: m.offset, Time: m.time, Source: m.source, Tick: m.tick, TickEnd: m.end, Bye: m.bye, Key: m.key,
		Headers: make(map[string]string, len(m.fields))}
	for _, f := range m.fields {
		out.Headers[f.key] = string(f.value)
	}
	s := r.source(m)
	s.heard = max(s.heard, m.tick)
	r.newest = max(r.newest, m.tick)
	if s.stale(m.epoch) {
		r.tally.stale++
		out.Seq, out.TickEnd, out.Bye = s.next, false, ""
		return out
	}
	out.Value, out.Count = s.take(m.seq, m.count, m.value, &r.tally)
	out.Seq = s.next - int64(out.Count)
	r.tally.records += int64(out.Count)
	return out
}

func (r *reader) source(m *message) *readSource {
	i, ok := findSource(r.sources, m.source)
	if !ok {
		s := readSource{sequence: sequence{name: m.source}}
		if !r.whole {
			s.next = m.seq
		}
		// Ingesters of long ago are forgotten; stages stay.
		r.sources = slices.DeleteFunc(slices.Insert(r.sources, i, s), func(s readSource) bool {
			return s.name != m.source && s.epoch == 0 && r.newest-s.heard > forgetDead
		})
		i, _ = findSource(r.sources, m.source)
	}
	return &r.sources[i]
}

// skipTo goes on at an offset behind the expected one.
func (r *reader) skipTo(offset int64) { r.next, r.whole = offset, false }

// positionVersion is the first byte of Position.Sources: the format.
const positionVersion = 1

// position is the place behind the last message.
func (r *reader) position() Position {
	b := appendBool([]byte{positionVersion}, r.whole)
	b = appendTick(b, r.newest)
	b = appendLen(b, len(r.sources))
	for _, s := range r.sources {
		b = s.sequence.append(b)
		b = appendTick(b, s.heard)
	}
	return Position{Next: r.next, Sources: b}
}

// restore goes on from a position.
func (r *reader) restore(p *Position) error {
	if p.Next < 0 || len(p.Sources) == 0 || p.Sources[0] != positionVersion {
		return fmt.Errorf("the destination's position at offset %d is damaged, or of another version", p.Next)
	}
	d := decoder{b: p.Sources[1:]}
	*r = reader{next: p.Next, whole: d.bool(), newest: d.tick()}
	for n := d.len(); n > 0 && d.err == nil; n-- {
		var s readSource
		s.sequence.restore(&d)
		s.heard = d.tick()
		if k := len(r.sources); k > 0 && s.name <= r.sources[k-1].name {
			d.fail()
		}
		r.sources = append(r.sources, s)
	}
	if d.err != nil || len(d.b) > 0 {
		return fmt.Errorf("the destination's position at offset %d is damaged", p.Next)
	}
	return nil
}
