package merge

import "github.com/flowledger/flowledger/services/internal/eventtime"

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
	h.point = p
	w.keep(h, r)
	w.stats.Waiting++
	w.enqueue(e, id, n, due)
}

// enqueue has a report wait, behind those that do.
func (w *Window) enqueue(e *entry, id, n uint32, due eventtime.Tick) {
	h := w.held.At(n)
	h.next = n
	if e.has(waiting) {
		last := w.held.At(e.link)
		h.next, last.next = last.next, n
		e.link = n
		return
	}
	h.due, h.past = uint32(due), e.link
	e.link = n
	e.set(waiting)
	w.holds.Set(due, id)
}

// first is the report of an entry that has waited longest.
func (w *Window) first(e *entry) *held { return w.held.At(w.held.At(e.link).next) }

// due is when the reports that wait in an entry are decided.
func (w *Window) due(e *entry) eventtime.Tick { return w.tick(w.first(e).due) }

// hasten has the reports that wait be decided at a tick, if they were not sooner.
func (w *Window) hasten(e *entry, id uint32, due eventtime.Tick) {
	if due < w.due(e) {
		w.first(e).due = uint32(due)
		w.holds.Set(due, id)
	}
}

// queue lists the reports that wait, oldest first.
func (w *Window) queue(e *entry) []*held {
	w.out.queue = w.appendQueue(w.out.queue[:0], e)
	return w.out.queue
}

func (w *Window) appendQueue(q []*held, e *entry) []*held {
	last := w.held.At(e.link)
	for h := last; ; {
		h = w.held.At(h.next)
		q = append(q, h)
		if h == last {
			return q
		}
	}
}

// empty ends the wait of all that is held, but for what is ahead of the authority. What
// was emitted may alias it: it is free only after the next call has begun, or at once
// where nothing emitted is looked at again.
func (w *Window) empty(e *entry, id uint32, ahead []*held) {
	n, last := w.held.At(e.link).next, e.link
	e.link = w.held.At(n).past
	e.clear(waiting)
	for {
		h := w.held.At(n)
		next := h.next
		switch {
		case len(ahead) > 0 && h == ahead[0]:
			ahead = ahead[1:]
			w.enqueue(e, id, n, w.dueOf(e, h.start, h.rate))
		case w.out.passing:
			w.free(n)
			w.stats.Waiting--
		default:
			w.dropped = append(w.dropped, n)
			w.stats.Waiting--
		}
		if n == last {
			break
		}
		n = next
	}
	if !e.has(waiting) {
		w.rest(e, id)
	}
}

// release frees what the last call dropped.
func (w *Window) release() {
	for _, n := range w.dropped {
		w.free(n)
	}
	w.dropped = w.dropped[:0]
}

func (w *Window) free(n uint32) {
	w.drop(w.held.At(n))
	w.held.Give(n)
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
		return &w.first(e).past
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
