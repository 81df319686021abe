package merge

import (
	"cmp"
	"slices"
)

// byVolume takes the largest unsampled claim. Among sampled ones the lowest rate
// wins, never the volume. Of equals, as most are, it is one that reports the other
// direction too: where both are counted by one point, their times are of one clock,
// and tell who spoke first.
func (w *Window) byVolume(e *entry, claims []claim) uint32 {
	equals := leading(claims)
	if len(equals) == 1 {
		return equals[0].point
	}
	back := w.wayBack(e)
	best, both := noPoint, false
	for i := range equals {
		p := equals[i].point
		reports := slices.ContainsFunc(back, func(c claim) bool { return w.alike(c.point, p) })
		if best == noPoint || reports && !both || reports == both && w.points.all[p].before(&w.points.all[best]) {
			best, both = p, reports
		}
	}
	return best
}

// wayBack are the claims one of which counts for the other direction of a
// conversation, or will, by what is known. It is the same before that is decided as
// after: of the two, none has to come first.
func (w *Window) wayBack(e *entry) []claim {
	k := w.key(e)
	k.Src, k.Dst = k.Dst, k.Src
	o, _ := w.lookup(&k, k.Hash())
	if o == nil {
		return nil
	}
	back, was := &w.out.back, w.standing(o)
	back.claims = back.claims[:0]
	if o.has(waiting) {
		back.queue = w.appendQueue(back.queue[:0], o)
		back.claims = w.appendClaims(back.claims, o, back.queue)
		if !w.keeps(was, back.claims) {
			return leading(back.claims)
		}
	}
	back.claims = append(back.claims[:0], claim{point: was.authority})
	return back.claims
}

// leading are those claims that no other betters. It spoils the rest.
func leading(claims []claim) []claim {
	best := claims[0]
	for i := range claims {
		if claims[i].compare(&best) > 0 {
			best = claims[i]
		}
	}
	return slices.DeleteFunc(claims, func(c claim) bool { return c.compare(&best) != 0 })
}

// compare is above 0 if c has the better right to count, and 0 if both have the same.
func (c *claim) compare(to *claim) int {
	sampled, toSampled := c.rate > 1, to.rate > 1
	switch {
	case sampled != toSampled:
		return unless(sampled)
	case sampled && c.rate != to.rate:
		return cmp.Compare(to.rate, c.rate)
	case c.shares != to.shares:
		return unless(c.shares) // of the other, only an estimate would count
	case sampled:
		return 0
	}
	return cmp.Or(cmp.Compare(c.bytes, to.bytes), cmp.Compare(c.packets, to.packets))
}

// unless is the order of what is worse, or better, than its like.
func unless(worse bool) int {
	if worse {
		return -1
	}
	return 1
}
