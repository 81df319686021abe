package merge

import "github.com/flowledger/flowledger/services/internal/eventtime"

// wait is what an entry has while reports wait: their list, oldest first, and
// the tick at which they are decided. Numbers are one higher, 0 is none.
type wait struct {
	due         eventtime.Tick
	first, last uint32
	past        uint32
}

// past is what few entries have: that authorities changed, or that somebody
// went beyond the authority.
type past struct {
	// floor is the end of the time that former authorities counted, of which
	// nothing is counted again.
	floor uint64
	// reach is the end of the time that merged reporters told of. What lies
	// between coverEnd and it the authority has yet to report.
	reach uint64
}

// hold keeps a report until the decision of its flow: due if it is the first to
// wait, else that of the first. What came first may need more patience.
func (w *Window) hold(e *entry, id, p uint32, r *arrival, due eventtime.Tick) {
	n, h := w.held.Take()
	h.point, h.next = p, 0
	w.keep(h, r)
	w.stats.Waiting++
	if e.has(waiting) {
		wt := w.waits.At(e.link)
		w.held.At(wt.last - 1).next = n + 1
		wt.last = n + 1
		return
	}
	number, wt := w.waits.Take()
	*wt = wait{due: due, first: n + 1, last: n + 1, past: e.link}
	e.link = number
	e.flags |= waiting
	w.holds.Set(due, id)
}

// queue lists the reports that wait, oldest first.
func (w *Window) queue(e *entry) []*held {
	q := w.out.queue[:0]
	for n := w.waits.At(e.link).first; n != 0; {
		h := w.held.At(n - 1)
		q = append(q, h)
		n = h.next
	}
	w.out.queue = q
	return q
}

// empty ends the wait of all that is held. What was emitted may alias it: it is
// free only after the next call has begun.
func (w *Window) empty(e *entry, id uint32) {
	wt := w.waits.At(e.link)
	for n := wt.first; n != 0; n = w.held.At(n - 1).next {
		w.dropped = append(w.dropped, n-1)
		w.stats.Waiting--
	}
	number := e.link
	e.link = wt.past
	e.flags &^= waiting
	w.waits.Give(number)
	w.rest(e, id)
}

// release frees what the last call dropped.
func (w *Window) release() {
	for _, n := range w.dropped {
		w.drop(w.held.At(n))
		w.held.Give(n)
	}
	w.dropped = w.dropped[:0]
}

// past is what happened to an entry before, if anything did.
func (w *Window) past(e *entry) past {
	if n := *w.pastLink(e); n != 0 {
		return *w.pasts.At(n - 1)
	}
	return past{}
}

func (w *Window) pastLink(e *entry) *uint32 {
	if e.has(waiting) {
		return &w.waits.At(e.link).past
	}
	return &e.link
}

// setPast keeps p as long as it can matter: coverEnd only rises.
func (w *Window) setPast(e *entry, p past) {
	if p.reach <= e.coverEnd {
		p.reach = 0
	}
	link := w.pastLink(e)
	switch {
	case p == past{}:
		if *link != 0 {
			w.pasts.Give(*link - 1)
			*link = 0
		}
		return
	case *link == 0:
		n, _ := w.pasts.Take()
		*link = n + 1
	}
	*w.pasts.At(*link - 1) = p
}

// reach notes how far a merged reporter told.
func (w *Window) reach(e *entry, end uint64) {
	if end <= e.coverEnd {
		return
	}
	p := w.past(e)
	p.reach = max(p.reach, end)
	w.setPast(e, p)
}

// cover notes that the time up to end is counted.
func (w *Window) cover(e *entry, end uint64) {
	e.coverEnd = max(e.coverEnd, end, 1)
	if *w.pastLink(e) != 0 {
		w.setPast(e, w.past(e))
	}
}
