package merge

// tidyEvery is after how many new points and standings it is looked which of them no
// flow has any more.
const tidyEvery = 4096

// tidy gives up the points and standings that no remembered flow has. Exporters come and
// go, and whoever forges addresses, or has an exporter change its timeouts, makes new ones
// without end. Those that stay keep their order, so that nothing that is said depends on
// when this is done.
func (w *Window) tidy() {
	if len(w.points.all)+len(w.standings.all) < w.tidyAt {
		return
	}
	points, standings := make([]bool, len(w.points.all)), make([]bool, len(w.standings.all))
	standings[0] = true // nobody's, of realm 0
	w.eachLive(func(e *entry, queue []*held) {
		standings[e.standing()] = true
		for _, h := range queue {
			points[h.point] = true
		}
	})
	for n, is := range w.standings.all {
		if standings[n] && is.authority != noPoint {
			points[is.authority] = true
		}
	}
	places := w.points.retain(points)
	numbers := w.standings.retain(standings, places)
	w.eachLive(func(e *entry, queue []*held) {
		e.setStanding(numbers[e.standing()])
		for _, h := range queue {
			h.point = places[h.point]
		}
	})
	w.topology.forget()
	clear(w.likes) // has the old numbers
	w.tidyAt = len(w.points.all) + len(w.standings.all) + tidyEvery
}

// eachLive shows every flow that is remembered, and its reports that wait.
func (w *Window) eachLive(see func(e *entry, queue []*held)) {
	for id := range w.entries.Len() {
		e := w.entries.At(id)
		switch {
		case !e.has(live):
		case e.has(waiting):
			see(e, w.queue(e))
		default:
			see(e, nil)
		}
	}
}

// retain keeps some of the points, and tells their new numbers by the old ones. What was
// emitted may alias the old list, which stays as it is.
func (p *points) retain(some []bool) (places []uint32) {
	old := p.all
	*p, places = points{}, make([]uint32, len(old))
	for n, v := range old {
		if some[n] {
			places[n] = p.id(v)
		}
	}
	return places
}

// retain keeps some of the standings, of points that have other numbers now, and tells
// their new numbers by the old ones.
func (s *standings) retain(some []bool, places []uint32) (numbers []uint32) {
	old := s.all
	*s, numbers = newStandings(), make([]uint32, len(old))
	for n, v := range old {
		if !some[n] {
			continue
		}
		if v.authority != noPoint {
			v.authority = places[v.authority]
		}
		numbers[n] = s.id(v)
	}
	return numbers
}
