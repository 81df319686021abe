package rule

import (
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/slab"
)

// memory is all that a set remembers between ticks. Clients and windows lie in
// slabs and are found by indexes of their hashes; what is given back is used
// again with the list it had, so that steady traffic allocates nothing.
type memory struct {
	clients  slab.Slab[client]
	byClient slab.Index
	windows  slab.Slab[window]
	byWindow slab.Index
	// recent orders clients by last use.
	recent recent
	// timers hold numbers of clients; one that is due at another tick by now, or
	// whose number is another client's, is passed over.
	timers eventtime.Queue[uint32]
}

// find is the client of a subject, nil if nothing is remembered of it.
func (m *memory) find(who *subject, hash uint64) *client {
	for p := m.byClient.Probe(hash); p.Next(); {
		if c := m.clients.At(p.Number()); c.subject == *who {
			return c
		}
	}
	return nil
}

// mayKnow tells whether something may be remembered of a subject: it is seldom
// wrong, and looks at no client.
func (m *memory) mayKnow(hash uint64) bool {
	p := m.byClient.Probe(hash)
	return p.Next()
}

// add makes a client.
func (m *memory) add(who subject, hash uint64) *client {
	number, c := m.clients.Take()
	*c = client{subject: who, hash: hash, number: number, due: eventtime.Never, windows: c.windows}
	m.byClient.Insert(hash, number)
	return c
}

// remove forgets a client that has no windows.
func (m *memory) remove(c *client) {
	m.recent.remove(c)
	m.byClient.Delete(c.hash, c.number)
	number, list := c.number, c.windows
	if cap(list) > keptList {
		list = nil
	}
	*c = client{due: eventtime.Never, windows: list}
	m.clients.Give(number)
}

// window is a client's window of a scope, nil if it has none.
func (m *memory) window(c *client, about *scope, hash uint64) *window {
	if c == nil || c.marks&mark(hash) == 0 {
		return nil
	}
	for p := m.byWindow.Probe(hash); p.Next(); {
		if w := m.windows.At(p.Number()); w.client == c && w.scope == *about {
			return w
		}
	}
	return nil
}

// addWindow makes a window, the client's last.
func (m *memory) addWindow(c *client, about scope, hash uint64) *window {
	number, w := m.windows.Take()
	*w = window{client: c, scope: about, hash: hash, number: number, contacts: w.contacts}
	w.empty()
	w.contacts.byAddr = about.kind != byServer
	c.windows = append(c.windows, w)
	c.count[about.kind]++
	c.marks |= mark(hash)
	m.byWindow.Insert(hash, number)
	return w
}

// dropWindows forgets the windows of a client that f does not want, in the order
// in which they were made.
func (m *memory) dropWindows(c *client, f func(*window) bool) {
	left := c.windows[:0]
	c.marks = 0
	for _, w := range c.windows {
		if !f(w) {
			left = append(left, w)
			c.marks |= mark(w.hash)
			continue
		}
		c.count[w.scope.kind]--
		m.byWindow.Delete(w.hash, w.number)
		w.client = nil
		w.empty()
		m.windows.Give(w.number)
	}
	c.windows = left
}

// hash is where a scope of a client lies in an index.
func (s *scope) hash(client uint64) uint64 {
	h := flow.Mix(half(&s.object, 0)^client, half(&s.object, 8))
	return flow.Mix(h, uint64(s.port)<<16^uint64(s.proto)<<8^uint64(s.kind))
}

// mark is a bit that stands for a window of a client, so that most flows of a
// client that meet none of its windows are known by one look.
func mark(hash uint64) uint64 { return 1 << (hash >> 58) }

// suspects remembers roughly of whom there is anything to look at in this tick.
type suspects struct {
	bits [1 << 8]uint64
	any  bool
}

func (s *suspects) add(hash uint64) {
	s.bits[hash>>56] |= 1 << (hash >> 50 & 63)
	s.any = true
}

func (s *suspects) has(hash uint64) bool { return s.bits[hash>>56]>>(hash>>50&63)&1 != 0 }

func (s *suspects) clear() {
	if s.any {
		*s = suspects{}
	}
}

// ports is a set of port numbers.
type ports [1 << 10]uint64

func (p *ports) add(n uint16)      { p[n>>6] |= 1 << (n & 63) }
func (p *ports) has(n uint16) bool { return p[n>>6]>>(n&63)&1 != 0 }
