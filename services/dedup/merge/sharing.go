package merge

import (
	"cmp"
	"slices"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// Exporters that share the packets of a flow between them (ECMP by packet) look like those
// that see the same, of which one counts: up to half of the volume is missing, unless the
// configuration groups them. Of one flow nobody can tell. Of many one can: views of the same
// packets are mostly alike, and shares hardly ever are. So the first reports of flows are compared,
// and it is told which exporters seem to share. It decides nothing and is in no snapshot.

// Sharing are two exporters that seem to share packets: of the flows that were Compared,
// both reporting the same time, they counted other packets in Unlike.
type Sharing struct {
	A, B             flow.Addr
	Compared, Unlike uint32
}

const (
	// Of few packets both may have half by chance, and of many about half.
	leastCompared, mostCompared = 8, 256
	// unlikeBy is the part of the packets by which views differ at most.
	unlikeBy = 16
	// enoughCompared flows tell; maxPairs of exporters are told apart, the first to meet.
	enoughCompared, maxPairs = 50, 1024
)

// likeness is what was seen of two points.
type likeness struct{ compared, unlike uint32 }

// compare looks how alike the first reports of a flow are.
func (w *Window) compare(winner uint32, claims []claim, queue []*held) {
	at := slices.IndexFunc(claims, func(c claim) bool { return c.point == winner })
	most := &claims[at]
	if most.rate > 1 || most.packets < leastCompared || most.packets > mostCompared {
		return
	}
	start, end := extent(winner, queue)
	for i := range claims {
		c := &claims[i]
		if c.rate > 1 || w.points.all[c.point].sampler == w.points.all[winner].sampler {
			continue
		}
		from, to := extent(c.point, queue)
		if apart(from, start) > uint64(w.cfg.Slack) || apart(to, end) > uint64(w.cfg.Slack) {
			continue
		}
		pair := [2]uint32{min(c.point, winner), max(c.point, winner)}
		l, known := w.likes[pair]
		if !known && len(w.likes) == maxPairs {
			continue
		}
		l.compared++
		if apart(c.packets, most.packets) > max(c.packets, most.packets)/unlikeBy {
			l.unlike++
		}
		if w.likes == nil {
			w.likes = make(map[[2]uint32]likeness)
		}
		w.likes[pair] = l
	}
}

// extent is the time from the first to the last packet that a point tells of.
func extent(point uint32, queue []*held) (start, end uint64) {
	start = ^uint64(0)
	for _, h := range queue {
		if h.point == point {
			start, end = min(start, h.start), max(end, h.end)
		}
	}
	return start, end
}

// Sharing tells which exporters seem to share packets and are in no group: two of three
// flows that were compared differ.
func (w *Window) Sharing() (all []Sharing) {
	for pair, l := range w.likes {
		if l.compared >= enoughCompared && l.unlike > l.compared/3*2 {
			a, b := &w.points.all[pair[0]], &w.points.all[pair[1]]
			if b.before(a) {
				a, b = b, a
			}
			all = append(all, Sharing{a.sampler, b.sampler, l.compared, l.unlike})
		}
	}
	slices.SortFunc(all, func(a, b Sharing) int {
		return cmp.Or(slices.Compare(a.A[:], b.A[:]), slices.Compare(a.B[:], b.B[:]))
	})
	return all
}
