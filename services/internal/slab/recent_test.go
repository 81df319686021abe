package slab

import "testing"

func TestRecentForgetsNothing(t *testing.T) {
	var r Recent
	const n = 64
	wrong := 0
	for i := range uint64(n) {
		h := i * 0x9e3779b97f4a7c15
		if r.Has(h) {
			wrong++
		}
		if r.Add(h); !r.Has(h) {
			t.Fatalf("%x was added and is not there", h)
		}
	}
	if wrong > n/8 {
		t.Errorf("%d of %d were taken for others", wrong, n)
	}
}
