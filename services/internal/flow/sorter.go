package flow

import (
	"cmp"
	"math/bits"
	"slices"
)

// Place is where a record stood before it was sorted, and the word that tells most
// of where it belongs.
type Place struct {
	Key uint64
	At  uint32
}

// Sorter puts records into an order by one word of each, so that every record is
// looked at once, and again only where words are equal: records lie scattered in
// memory, and to fetch two of them for every comparison was a tenth of all that
// `flowctl run` did. What is in order already costs one pass. The buffers are used
// again; the zero value is ready.
type Sorter struct{ places, spare []Place }

// Places lends n places to be filled, valid until the next call.
func (s *Sorter) Places(n int) []Place {
	s.places = slices.Grow(s.places[:0], n)[:n]
	return s.places
}

// Sort puts the places lent last into the order of their keys; where keys are
// equal, into that of tie, which compares records by At, and where that is 0 into that
// of At. Without tie, places of equal keys stay as they stood. The result is valid until
// the next call. moved tells whether any place is another than before.
func (s *Sorter) Sort(tie func(a, b uint32) int) (sorted []Place, moved bool) {
	least, most, rising := survey(s.places)
	shift := 0
	if !rising {
		shift = s.roughly(least, most)
	}
	return s.places, settle(s.places, least, shift, tie) || !rising
}

// survey tells between which keys all are, and whether they do not fall.
func survey(places []Place) (least, most uint64, rising bool) {
	if len(places) == 0 {
		return 0, 0, true
	}
	least, most, rising = places[0].Key, places[0].Key, true
	last := least
	for i := range places {
		k := places[i].Key
		least, most = min(least, k), max(most, k)
		rising = rising && last <= k
		last = k
	}
	return least, most, rising
}

// Up to fewPlaces are not worth to be dealt out, and up to somePlaces not twice.
const (
	fewPlaces  = 48
	somePlaces = 512
)

// roughly deals the places out by the upper bits of where their keys are between
// least and most: the lower ones, of which it returns the number, are not in order.
func (s *Sorter) roughly(least, most uint64) (shift int) {
	n := len(s.places)
	if n <= fewPlaces {
		return 64
	}
	s.spare = slices.Grow(s.spare[:0], n)[:n]
	width := bits.Len64(most - least)
	if n > somePlaces && width > 8 {
		shift = max(0, width-16)
		s.deal(least, shift)
		s.deal(least, shift+8)
		return shift
	}
	shift = max(0, width-8)
	s.deal(least, shift)
	return shift
}

// deal moves the places by eight bits of their keys, in their order where those are equal.
func (s *Sorter) deal(least uint64, shift int) {
	from, to := s.places, s.spare
	var next [256]uint32
	for i := range from {
		next[uint8((from[i].Key-least)>>shift)]++
	}
	sum := uint32(0)
	for i, n := range next {
		next[i] = sum
		sum += n
	}
	for _, p := range from {
		n := &next[uint8((p.Key-least)>>shift)]
		to[*n] = p
		*n++
	}
	s.places, s.spare = to, from
}

// settle orders the places whose keys are equal but for their lowest bits, and tells
// whether any had to move.
func settle(places []Place, least uint64, shift int, tie func(a, b uint32) int) (moved bool) {
	compare := func(a, b Place) int {
		if a.Key != b.Key || tie == nil {
			return cmp.Compare(a.Key, b.Key)
		}
		return cmp.Or(tie(a.At, b.At), cmp.Compare(a.At, b.At))
	}
	for first, i := 0, 1; i <= len(places); i++ {
		if i < len(places) && (places[i].Key-least)>>shift == (places[first].Key-least)>>shift {
			continue
		}
		if alike := places[first:i]; len(alike) > 1 && !slices.IsSortedFunc(alike, compare) {
			if tie == nil {
				slices.SortStableFunc(alike, compare)
			} else {
				slices.SortFunc(alike, compare)
			}
			moved = true
		}
		first = i
	}
	return moved
}
