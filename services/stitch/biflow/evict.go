package biflow

import (
	"cmp"
	"slices"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// candidates are conversations in the order in which memory pressure closes them.
// They are gathered many at once, since to find one takes a walk over all.
type candidates struct {
	list []candidate
	next int
}

type candidate struct {
	id uint64 // the flow id
	// age is how many ticks before the gathering its last flow came.
	age, last, number uint32
}

// gatherShare is the share of all conversations that is gathered at once, at least.
const gatherShare = 16

// evict keeps the table within its bound: the longest silent go first, of those
// equally long silent the one with the lowest flow id. Neither depends on where
// the table has put them.
func (t *Table) evict(out outlet) {
	for t.open > t.cfg.MaxConversations {
		c := &t.candidates
		if c.next == len(c.list) {
			t.gather()
		}
		next := c.list[c.next]
		c.next++
		// One that got a flow since is as young as any that is not in the list.
		if v := t.convs.At(next.number); v.has(live) && v.id == next.id && v.last == next.last {
			if v.ended == 0 {
				t.rememberEvicted(v)
			}
			t.close(next.number, flowv1.CloseReason_CLOSE_REASON_EVICTED, out)
			t.stats.Evicted++
		}
	}
	if t.open*2 < t.cfg.MaxConversations {
		t.candidates = candidates{}
	}
}

// gather lists the longest silent conversations: all that are as old as the
// youngest on the list, so that whoever is not on it is younger.
func (t *Table) gather() {
	const ages = 1 << 12 // half an hour; what is older counts as that old here
	var byAge [ages]int
	t.eachAge(func(_ uint32, age uint32, _ *conv) { byAge[min(age, ages-1)]++ })
	want, youngest := max(t.open/gatherShare, t.open-t.cfg.MaxConversations), ages
	for n := 0; n < want; {
		youngest--
		n += byAge[youngest]
	}
	list := t.candidates.list[:0]
	t.eachAge(func(number, age uint32, c *conv) {
		if age >= uint32(youngest) {
			list = append(list, candidate{c.id, age, c.last, number})
		}
	})
	slices.SortFunc(list, func(a, b candidate) int { return cmp.Or(cmp.Compare(b.age, a.age), cmp.Compare(a.id, b.id)) })
	t.candidates = candidates{list: list}
}

// eachAge visits every conversation with its number and the ticks since its last flow.
func (t *Table) eachAge(f func(number, age uint32, c *conv)) {
	for id := range t.convs.Len() {
		if c := t.convs.At(id); c.has(live) {
			f(id, uint32(t.now)-c.last, c)
		}
	}
}
