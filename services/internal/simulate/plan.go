package simulate

import (
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// side is what one end of a planned conversation sends.
type side struct {
	bytes   uint64
	packets uint32
	flags   uint8
}

// plan is a conversation of the load under way: what it will have been in all,
// and how many of its segments are exported.
type plan struct {
	client, server flow.Endpoint
	start, length  int64
	due            int64 // when the next segment is exported
	side           [2]side
	segments, done uint16
	proto          uint8
	reason         uint8 // of the last segment
	first, seen    uint8 // exporters that report: seen of them from first on
}

// records is how many records the whole plan makes.
func (p *plan) records() uint64 {
	n := uint64(0)
	for dir := range p.side {
		if p.side[dir].packets > 0 {
			n += uint64(p.segments)
		}
	}
	return n * uint64(p.seen)
}

// schedule sets when the next segment is due.
func (p *plan) schedule() {
	if p.done == p.segments-1 {
		p.due = p.start + p.length + lag(p.reason)
		return
	}
	p.due = p.start + int64(p.done+1)*loadActive
}

// segment writes the next segment of one direction; false if it has nothing.
func (p *plan) segment(r *Record, dir int) bool {
	s := &p.side[dir]
	if s.packets == 0 {
		return false
	}
	*r = Record{
		Key:     flow.Key{Src: p.client, Dst: p.server, Proto: p.proto},
		Packets: share(uint64(s.packets), p.done, p.segments),
		Bytes:   share(s.bytes, p.done, p.segments),
		Flags:   p.flags(s.flags), Reason: endActive, In: 1, Out: 2,
	}
	if dir == 0 {
		r.Key.Dst.Port |= echoRequest(p.proto)
	} else {
		r.Key.Src, r.Key.Dst, r.In, r.Out = p.server, p.client, 2, 1
		r.Key.Dst.Port |= echoReply(p.proto)
	}
	p.span(r, dir)
	if p.done == p.segments-1 {
		r.Reason = p.reason
	}
	return true
}

// flags are those of the next segment: SYN in the first, FIN and RST in the last.
func (p *plan) flags(all uint8) uint8 {
	if p.done > 0 {
		all &^= syn
	}
	if p.done < p.segments-1 {
		all &^= fin | rst
	}
	return all
}

// span sets a segment's first and last packet; the answer begins 2 ms later.
func (p *plan) span(r *Record, dir int) {
	r.Start = p.start + int64(p.done)*loadActive + int64(dir)*int64(2*time.Millisecond)
	r.End = p.start + p.length
	if p.done < p.segments-1 {
		r.End = p.start + int64(p.done+1)*loadActive - int64(20*time.Millisecond)
	}
	r.Start = min(r.Start, r.End)
}

// planHeap orders plans by due time: a binary heap on values, so that a million
// plans cost no allocation each. Equal times go by start, then by client.
type planHeap []plan

func (h planHeap) less(i, j int) bool {
	a, b := &h[i], &h[j]
	if a.due != b.due {
		return a.due < b.due
	}
	if a.start != b.start {
		return a.start < b.start
	}
	return a.client.Compare(&b.client) < 0
}

func (h *planHeap) push(p plan) {
	*h = append(*h, p)
	s := *h
	for i := len(s) - 1; i > 0; {
		up := (i - 1) / 2
		if !s.less(i, up) {
			return
		}
		s[i], s[up] = s[up], s[i]
		i = up
	}
}

// pop removes the first plan.
func (h *planHeap) pop() {
	s := *h
	last := len(s) - 1
	s[0] = s[last]
	*h = s[:last]
	h.fix()
}

// fix puts the first plan where it belongs.
func (h *planHeap) fix() {
	s := *h
	for i := 0; ; {
		down := 2*i + 1
		if down >= len(s) {
			return
		}
		if down+1 < len(s) && s.less(down+1, down) {
			down++
		}
		if !s.less(down, i) {
			return
		}
		s[i], s[down] = s[down], s[i]
		i = down
	}
}
