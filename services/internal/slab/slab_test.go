package slab

import "testing"

func TestValuesStayAndNumbersAreUsedAgain(t *testing.T) {
	var s Slab[int]
	first, p := s.Take()
	*p = 7
	for i := range 5 * pageSize {
		_, q := s.Take()
		*q = i
	}
	if *p != 7 || s.At(first) != p {
		t.Fatal("a value moved when the slab grew")
	}
	s.Give(first)
	if id, _ := s.Take(); id != first || s.Len() != 5*pageSize+1 {
		t.Fatalf("took %d of %d, want the number that was given back", id, s.Len())
	}
}

func TestAllThatWasGivenBackIsTakenAgain(t *testing.T) {
	const n = 3*pageSize + 7
	var s Slab[int]
	for range n {
		s.Take()
	}
	for range 2 {
		for id := range uint32(n) {
			s.Give(id)
		}
		taken := make(map[uint32]bool)
		for range n {
			id, _ := s.Take()
			taken[id] = true
		}
		if len(taken) != n || s.Len() != n {
			t.Fatalf("%d numbers were taken of %d, %d are in use", len(taken), n, s.Len())
		}
	}
}
