package rule

import (
	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// ruleOf is the rule that a kind of window belongs to.
func ruleOf(k kind) ruleID {
	if k == byServer {
		return portScanID
	}
	return addressScanID
}

// heat is what a window says to a sighting.
type heat uint8

const (
	// cold: nothing so far.
	cold heat = iota
	// crossing: with this sighting a threshold was reached; it is in the episode.
	crossing
	// hot: crossed before; the sighting belongs to the open episode.
	hot
)

// watch shows a sighting to one window of its client, making both if it is a
// failure.
func (s *Set) watch(c *client, x *sighting, about scope) (*client, heat) {
	if len(s.tiers[about.kind][place(x.internal)]) == 0 {
		return c, cold // all switched off
	}
	hash := about.hash(x.hash)
	w := s.window(c, &about, hash)
	if w != nil && w.hot {
		return c, hot
	}
	if w != nil && s.expiry(w) <= s.now {
		if x.outcome != failed || x.late {
			return c, cold
		}
		w.begin()
	}
	if w == nil {
		if x.outcome != failed || x.late {
			return c, cold
		}
		if c == nil {
			c = s.client(x)
		}
		w = s.open(c, about, hash)
	}
	s.recent.use(c)
	if w.see(x, s.spans[about.kind]) {
		s.stats.ContactsEvicted++
	}
	if s.check(c, w) {
		return c, crossing
	}
	s.arm(c, s.wakes(c, w))
	return c, cold
}

// tiersFor are the thresholds that hold for a window of a client.
func (s *Set) tiersFor(c *client, k kind) []tier { return s.tiers[k][place(c.internal)] }

// check tells whether a window has reached a threshold; then it joins an episode.
func (s *Set) check(c *client, w *window) bool {
	t := w.crossed(s.tiersFor(c, w.scope.kind), s.now, s.cfg.Settle)
	if t != nil {
		s.cross(c, w, t)
	}
	return t != nil
}

// wakes is when a window must be looked at again without a new flow.
func (s *Set) wakes(c *client, w *window) eventtime.Tick {
	return min(s.expiry(w), w.settles(s.tiersFor(c, w.scope.kind), s.now, s.cfg.Settle))
}

// settle looks whether failures that are believed by now reach a threshold.
func (s *Set) settle(c *client) {
	for _, w := range c.windows {
		if !w.hot && s.expiry(w) > s.now {
			s.check(c, w)
		}
	}
}

// cross turns a window that reached a threshold into part of an episode: the
// client's open one of that rule, or a new one.
func (s *Set) cross(c *client, w *window, t *tier) {
	id := ruleOf(w.scope.kind)
	e := c.episodes[id]
	fresh := e == nil
	if fresh {
		e = s.begin(c, id)
		e.tier = t.name
		if !t.contacted {
			e.need = t.count
		}
	}
	e.trust = max(e.trust, t.confidence)
	for i := range w.contacts.list {
		if k := &w.contacts.list[i]; k.start+t.within > w.newest {
			e.put(k)
		}
	}
	if fresh {
		about := target{}
		if id == portScanID {
			about.addr = w.scope.object
		}
		e.uid = newUID(s.rules[id].info().Name, c.subject, about, e.first)
	}
	w.hot = true
	w.empty()
	e.addScope(w)
	e.active = s.now
	e.note(w.sampling, w.quality)
	s.touch(c)
}

// feed shows a sighting to the open episode of a scan. Failures and new targets
// keep it open; going on to use what has answered does not.
func (s *Set) feed(c *client, id ruleID, x *sighting) {
	e := c.episodes[id]
	k := x.contact()
	fresh, moved := e.put(&k)
	if fresh || moved && x.outcome == failed {
		e.active = s.now
	}
	e.note(x.sampling, flowv1.TimeQuality(x.quality))
	s.recent.use(c)
	s.touch(c)
}

// warm feeds a sighting that met a hot window to the open episode, once.
func (s *Set) warm(c *client, id ruleID, x *sighting, heats []heat) *client {
	top, in := cold, false
	for _, h := range heats {
		top, in = max(top, h), in || h == crossing
	}
	if top == hot && !in {
		s.feed(c, id, x)
	}
	x.scanning = x.scanning || top != cold
	return c
}

// place finds out whether the client is ours.
func (s *Set) place(c *client, x *sighting) {
	if c != nil {
		x.internal = c.internal
	} else {
		x.internal = s.isInternal(&x.subject.addr)
	}
}

// place is the index of tables that differ for our own clients.
func place(internal bool) int {
	if internal {
		return 1
	}
	return 0
}
