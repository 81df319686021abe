package rule

import (
	"slices"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// client is what is remembered of one client: nothing, as long as all its flows
// are answered.
type client struct {
	subject  subject
	number   uint32 // in the slab
	hash     uint64
	internal bool
	// dirty: an episode may have something to say when the tick's records are through.
	dirty bool
	due   eventtime.Tick // when it must be looked at next; a timer is set
	// windows are in order of creation. Going through a scanner's thousand is mostly
	// waiting for memory; from a list the processor fetches many at once.
	windows  []*window
	marks    uint64       // of the windows
	count    [kinds]int32 // of the windows
	episodes [ruleCount]*episode
	// Neighbours in the order of last use.
	newer, older *client
}

// idle tells that nothing is remembered.
func (c *client) idle() bool {
	return len(c.windows) == 0 && c.episodes == [ruleCount]*episode{}
}

// held is the number of its windows.
func (c *client) held() (n int) {
	for _, k := range c.count {
		n += int(k)
	}
	return n
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
	c := s.find(&x.subject, x.hash)
	if c == nil {
		if s.byClient.Len() >= s.cfg.MaxClients {
			s.stats.ClientsEvicted++
			s.forget(s.recent.oldest)
		}
		c = s.add(x.subject, x.hash)
		c.internal = x.internal
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
	s.dropWindows(c, func(*window) bool { return true })
	s.remove(c)
}

// open makes a window of a client, first making room if it has too many.
func (s *Set) open(c *client, about scope, hash uint64) *window {
	if int(c.count[about.kind]) >= s.cfg.MaxWindows {
		s.makeRoom(c, about.kind)
	}
	return s.addWindow(c, about, hash)
}

// makeRoom drops a kind's expired windows, and if that is not enough, the
// quarter that was quiet longest.
func (s *Set) makeRoom(c *client, k kind) {
	s.expire(c)
	if int(c.count[k]) < s.cfg.MaxWindows {
		return
	}
	var newest []uint64
	for _, w := range c.windows {
		if w.scope.kind == k {
			newest = append(newest, w.newest)
		}
	}
	slices.Sort(newest)
	quarter := newest[len(newest)/4]
	left := int(c.count[k]) - len(newest)/4
	s.dropWindows(c, func(w *window) bool {
		if w.scope.kind != k || w.newest > quarter || int(c.count[k]) <= left {
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

// expiry is when a window can be forgotten.
func (s *Set) expiry(w *window) eventtime.Tick {
	return w.expires(s.spans[w.scope.kind], s.cfg.Lateness)
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
		s.timers.Set(due, c.number)
	}
}
