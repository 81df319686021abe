package rule

import (
	"slices"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// contact is a target with the newest flow to it.
type contact struct {
	target  target
	outcome outcome
	state   uint8 // flowv1.ConnState
	firm    bool
	unsure  bool
	version uint32
	flow    uint64
	start   uint64 // ns, as the first version told it
	seen    eventtime.Tick
}

func (x *sighting) contact() contact {
	return contact{target: x.target, outcome: x.outcome, state: x.state, firm: x.firm, unsure: x.unsure,
		version: x.version, flow: x.flow, start: x.start, seen: x.seen}
}

// believed is the tick from which a failure counts: at once if it is firm, else
// when a report of the answer would have come.
func (c *contact) believed(settle time.Duration) eventtime.Tick {
	if c.firm {
		return c.seen
	}
	return c.seen.After(settle)
}

// isOpen tells that the target answered, be it only with a SYN|ACK that nobody
// took up: a door that is open.
func (c *contact) isOpen() bool {
	return c.outcome == answered || c.outcome == failed && c.connState() == flowv1.ConnState_CONN_STATE_HALF_OPEN
}

func (c *contact) connState() flowv1.ConnState { return flowv1.ConnState(c.state) }

// contacts are distinct targets in the order of their first contact. With
// byAddr, a server is one target whatever the service.
type contacts struct {
	list   []contact
	index  map[target]int32 // only while the list is long
	byAddr bool
}

// indexFrom is the length from which looking up beats looking through.
const indexFrom = 24

func (c *contacts) key(t target) target {
	if c.byAddr {
		return target{addr: t.addr}
	}
	return t
}

// find is the position of a target, -1 if it is new.
func (c *contacts) find(t target) int {
	if c.index != nil {
		if i, ok := c.index[c.key(t)]; ok {
			return int(i)
		}
		return -1
	}
	for i := range c.list {
		o := &c.list[i].target
		if o.addr == t.addr && (c.byAddr || o.port == t.port && o.proto == t.proto) {
			return i
		}
	}
	return -1
}

func (c *contacts) add(k contact) {
	c.list = append(c.list, k)
	switch {
	case c.index != nil:
		c.index[c.key(k.target)] = int32(len(c.list) - 1)
	case len(c.list) > indexFrom:
		c.reindex()
	}
}

func (c *contacts) reindex() {
	c.index = nil
	if len(c.list) <= indexFrom {
		return
	}
	c.index = make(map[target]int32, 2*len(c.list))
	for i := range c.list {
		c.index[c.key(c.list[i].target)] = int32(i)
	}
}

// keep drops the contacts that f does not want.
func (c *contacts) keep(f func(*contact) bool) {
	n := len(c.list)
	c.list = slices.DeleteFunc(c.list, func(k contact) bool { return !f(&k) })
	if len(c.list) < n {
		c.reindex()
	}
}

// dropOldest forgets the older half.
func (c *contacts) dropOldest() {
	starts := make([]uint64, len(c.list))
	for i := range c.list {
		starts[i] = c.list[i].start
	}
	slices.Sort(starts)
	median := starts[len(starts)/2]
	c.keep(func(k *contact) bool { return k.start > median })
}

// judge applies a sighting: a target stands as the newest version of the newest
// flow to it says. Only a flow that is not late can be new.
func (c *contacts) judge(x *sighting) {
	i := c.find(x.target)
	if i < 0 {
		if !x.late && x.outcome != neither {
			c.add(x.contact())
		}
		return
	}
	k := &c.list[i]
	switch {
	case k.flow == x.flow:
		if x.version >= k.version {
			k.version, k.outcome, k.state = x.version, x.outcome, x.state
			k.firm, k.unsure = x.firm, x.unsure
		}
	case !x.late && x.outcome != neither && (x.start > k.start || x.start == k.start && x.flow > k.flow):
		*k = x.contact()
	}
}
