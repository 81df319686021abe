package rule

import (
	"cmp"
	"slices"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// sightings are those of one tick, as they came. Most are of clients of whom
// nothing is known and who did nothing that a rule looks for: once all are there,
// those are passed over, and the others put in order.
type sightings struct {
	list []sighting
	// kept is how many matter whatever else comes.
	kept int
	// suspects are the subjects of whom a rule may come to know something in this tick.
	suspects suspects
	order    flow.Sorter
}

// next lends the place of the next sighting, which counts once it is kept.
func (s *sightings) next() *sighting {
	n := len(s.list)
	if n == cap(s.list) {
		s.list = slices.Grow(s.list, max(n, 256))
	}
	return &s.list[:n+1][n]
}

// keep keeps the sighting lent last. known tells that something may be remembered
// of its subject already.
func (s *sightings) keep(x *sighting, known bool) {
	s.list = s.list[:len(s.list)+1]
	telling := x.listed || x.outcome == failed
	if telling && !known {
		s.suspects.add(x.hash)
	}
	if x.kept = telling || known; x.kept {
		s.kept++
	}
}

func (s *sightings) at(place flow.Place) *sighting { return &s.list[place.At] }

// inOrder lists those that may matter, by start, then id, then version, whatever
// way they came.
func (s *sightings) inOrder() []flow.Place {
	if s.kept == 0 {
		return nil
	}
	places := s.order.Places(len(s.list))[:0]
	for i := range s.list {
		if x := &s.list[i]; x.kept || s.suspects.has(x.hash) {
			places = append(places, flow.Place{Key: x.start, At: uint32(i)})
		}
	}
	s.order.Places(len(places)) // those just filled in
	sorted, _ := s.order.Sort(func(a, b uint32) int {
		x, y := &s.list[a], &s.list[b]
		return cmp.Or(cmp.Compare(x.flow, y.flow), cmp.Compare(x.version, y.version))
	})
	return sorted
}

func (s *sightings) reset() {
	s.list, s.kept = s.list[:0], 0
	s.suspects.clear()
}
