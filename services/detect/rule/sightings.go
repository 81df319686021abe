package rule

import (
	"cmp"
	"slices"
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
	places   []uint32
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

func (s *sightings) at(place uint32) *sighting { return &s.list[place] }

// inOrder lists those that may matter, by start, then id, then version, whatever
// way they came.
func (s *sightings) inOrder() []uint32 {
	s.places = s.places[:0]
	if s.kept == 0 {
		return nil
	}
	for i := range s.list {
		if x := &s.list[i]; x.kept || s.suspects.has(x.hash) {
			s.places = append(s.places, uint32(i))
		}
	}
	slices.SortFunc(s.places, func(a, b uint32) int {
		x, y := &s.list[a], &s.list[b]
		return cmp.Or(cmp.Compare(x.start, y.start), cmp.Compare(x.flow, y.flow), cmp.Compare(x.version, y.version), cmp.Compare(a, b))
	})
	return s.places
}

func (s *sightings) reset() {
	s.list, s.kept = s.list[:0], 0
	s.suspects.clear()
}
