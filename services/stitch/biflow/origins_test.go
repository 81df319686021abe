package biflow

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// TestOriginsAreWhatCameTogether holds origins, and the steps between them, against
// lists of what came, with more points and ways of measuring than steps are known.
func TestOriginsAreWhatCameTogether(t *testing.T) {
	type model struct {
		origin  uint32
		members []point
		first   [2]*point
		measured
	}
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func() point { // the zero point among them
		p := point{domain: uint32(rng.IntN(3))}
		if n := rng.IntN(4); n > 0 {
			p.sampler = flow.AddrFrom([]byte{192, 0, 2, byte(n)})
		}
		return p
	}
	var os origins
	convs := make([]model, 40)
	for i := range convs {
		convs[i].origin = none
	}
	for range 20_000 {
		c := &convs[rng.IntN(len(convs))]
		if c.origin != none && rng.IntN(6) == 0 {
			os.drop(c.origin)
			*c = model{origin: none}
			continue
		}
		p := draw()
		s := segment{point: &p, rate: uint64(rng.IntN(3)), kind: uint8(rng.IntN(2)), quality: uint8(rng.IntN(2))}
		s.side = uint8(rng.IntN(2))
		earliest := c.first[s.side] == nil || rng.IntN(3) == 0
		came := []point{p}
		if rng.IntN(4) == 0 {
			v := view{point: draw()}
			s.extra = &extra{reporters: []view{v}}
			came = append(came, v.point)
		}
		c.origin = os.after(c.origin, &s, earliest)
		c.mixed = c.mixed || c.first != [2]*point{} && max(c.rate, 1) != max(s.rate, 1)
		if earliest {
			c.first[s.side] = &p
		}
		for _, p := range came {
			if !slices.Contains(c.members, p) {
				c.members = append(c.members, p)
			}
		}
		c.rate, c.kind, c.quality = max(c.rate, s.rate), max(c.kind, s.kind), max(c.quality, s.quality)
		slices.SortFunc(c.members, func(a, b point) int { return a.compare(&b) })

		o := os.at(c.origin)
		var members []point
		for _, m := range o.members {
			members = append(members, *os.points.at(m))
		}
		if !slices.Equal(members, c.members) || o.measured != c.measured {
			t.Fatalf("origin %d has %v and %v, want %v and %v", c.origin, members, o.measured, c.members, c.measured)
		}
		for side, n := range o.first {
			if want := c.first[side]; (n == none) != (want == nil) || want != nil && *os.points.at(n) != *want {
				t.Fatalf("the first of side %d is number %d, want %v", side, n, want)
			}
		}
	}
	for _, c := range convs {
		os.release(c.origin)
	}
	os.settle()
	if n := os.index.Len() + os.points.index.Len(); n > 0 {
		t.Errorf("%d are left", n)
	}
}

// TestNoStepIsKnownAtFirst: a flow that says nothing of itself is none that was seen.
func TestNoStepIsKnownAtFirst(t *testing.T) {
	var os origins
	n := os.after(none, &segment{point: &point{domain: 1}}, true)
	if n = os.after(n, &segment{point: new(point)}, false); len(os.at(n).members) != 2 {
		t.Errorf("has %d reporters, want 2", len(os.at(n).members))
	}
}
