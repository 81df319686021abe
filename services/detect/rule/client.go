package rule

import (
	"slices"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// client is what is remembered of one client: nothing, as long as all its flows
// are answered.
type client struct {
	subject  subject
	internal bool
	due      eventtime.Tick // when it must be looked at next; a timer is set
	windows  []*window      // in order of creation
	count    [kinds]int     // of windows
	episodes [ruleCount]*episode
	// dirty: an episode may have something to say when the tick's records are through.
	dirty bool
	// Neighbours in the order of last use.
	newer, older *client
}

// idle tells that nothing is remembered.
func (c *client) idle() bool {
	return len(c.windows) == 0 && c.episodes == [ruleCount]*episode{}
}

// recent orders clients by last use.
type recent struct {
	newest, oldest *client
}

func (r *recent) use(c *client) {
	if r.newest == c {
		return
	}
	r.remove(c)
	c.older = r.newest
	if r.newest != nil {
		r.newest.newer = c
	}
	r.newest = c
	if r.oldest == nil {
		r.oldest = c
	}
}

func (r *recent) remove(c *client) {
	if c.newer != nil {
		c.newer.older = c.older
	} else if r.newest == c {
		r.newest = c.older
	}
	if c.older != nil {
		c.older.newer = c.newer
	} else if r.oldest == c {
		r.oldest = c.newer
	}
	c.newer, c.older = nil, nil
}

// client finds or makes the client of a sighting. If there are too many, the
// one that was silent longest is forgotten.
func (s *Set) client(x *sighting) *client {
	c := s.clients[x.subject]
	if c == nil {
		if len(s.clients) >= s.cfg.MaxClients {
			s.stats.ClientsEvicted++
			s.forget(s.recent.oldest)
		}
		c = &client{subject: x.subject, internal: x.internal, due: eventtime.Never}
		s.clients[x.subject] = c
	}
	s.recent.use(c)
	return c
}

// forget closes what a client has open and drops it.
func (s *Set) forget(c *client) {
	for _, e := range c.episodes {
		if e != nil {
			s.close(c, e, closedEvicted)
		}
	}
	for _, w := range c.windows {
		delete(s.windows, w.key)
	}
	s.drop(c)
}

func (s *Set) drop(c *client) {
	s.recent.remove(c)
	delete(s.clients, c.subject)
}

// open makes a window of a client, first making room if it has too many.
func (s *Set) open(c *client, key windowKey) *window {
	if c.count[key.kind] >= s.cfg.MaxWindows {
		s.makeRoom(c, key.kind)
	}
	w := &window{key: key}
	w.contacts.byAddr = key.kind != byServer
	c.windows = append(c.windows, w)
	c.count[key.kind]++
	s.windows[key] = w
	return w
}

// makeRoom drops a kind's expired windows, and if that is not enough, the
// quarter that was quiet longest.
func (s *Set) makeRoom(c *client, k kind) {
	s.expire(c)
	if c.count[k] < s.cfg.MaxWindows {
		return
	}
	var newest []uint64
	for _, w := range c.windows {
		if w.key.kind == k {
			newest = append(newest, w.newest)
		}
	}
	slices.Sort(newest)
	quarter := newest[len(newest)/4]
	left := c.count[k] - len(newest)/4
	s.dropWindows(c, func(w *window) bool {
		if w.key.kind != k || w.newest > quarter || c.count[k] <= left {
			return false
		}
		s.stats.WindowsEvicted++
		return true
	})
}

// expire drops the windows in which nothing can count any more.
func (s *Set) expire(c *client) {
	s.dropWindows(c, func(w *window) bool { return !w.hot && s.expiry(w) <= s.now })
}

func (s *Set) dropWindows(c *client, f func(*window) bool) {
	c.windows = slices.DeleteFunc(c.windows, func(w *window) bool {
		if !f(w) {
			return false
		}
		c.count[w.key.kind]--
		delete(s.windows, w.key)
		return true
	})
}

// expiry is when a window can be forgotten.
func (s *Set) expiry(w *window) eventtime.Tick {
	return w.expires(s.spans[w.key.kind], s.cfg.Lateness)
}

// schedule sets the client's timer to the earliest of what it waits for.
func (s *Set) schedule(c *client) {
	for _, w := range c.windows {
		if !w.hot {
			s.arm(c, s.wakes(c, w))
		}
	}
	s.scheduleEpisodes(c)
}

// scheduleEpisodes sets the timer for what the open findings wait for.
func (s *Set) scheduleEpisodes(c *client) {
	for _, e := range c.episodes {
		if e != nil {
			s.arm(c, s.due(e))
		}
	}
}

// arm sets a timer unless one that comes first is set.
func (s *Set) arm(c *client, due eventtime.Tick) {
	if due = max(due, s.now+1); due < c.due {
		c.due = due
		s.timers.Set(due, c.subject)
	}
}
