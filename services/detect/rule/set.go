package rule

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/netset"
)

// Alert is one message about a finding: created, updated or closed.
type Alert struct {
	// Host is the accused, by which alerts are partitioned.
	Host flow.Addr
	// UID names the finding; all its messages carry it.
	UID string
	// JSON is the OCSF Detection Finding.
	JSON []byte

	realm uint32
}

// Stats counts what the operator should know of.
type Stats struct {
	// Late is flows that started too long ago to enter a window.
	Late uint64
	// ClientsEvicted, WindowsEvicted and ContactsEvicted count what was
	// forgotten early for want of room.
	ClientsEvicted, WindowsEvicted, ContactsEvicted uint64
}

// rule is one behaviour to look for. It keeps its state in the client's windows
// and episodes.
type rule interface {
	// info says what the rule is.
	info() *Info
	common() *Common
	// observe looks at one flow version. c is nil as long as nothing is known
	// of the client; the rule returns the client it has made of it.
	observe(s *Set, c *client, x *sighting) *client
	// judge brings an episode's severity up to date, and says whether it is to
	// be told of at a tick.
	judge(s *Set, c *client, e *episode) (ready bool)
	// firstDue is when an untold episode becomes ready by itself.
	firstDue(e *episode) eventtime.Tick
	// describe says what happened.
	describe(s *Set, c *client, e *episode) description
}

// Set runs all rules over the clients of one partition.
type Set struct {
	cfg               Config
	internal, darknet *netset.Set
	rules             [ruleCount]rule
	allowed           [ruleCount]struct{ clients, servers *netset.Set }
	tiers             [kinds][2][]tier // by whether the client is ours
	spans             [kinds]uint64    // longest window per kind, ns

	now     eventtime.Tick
	clients map[subject]*client
	windows map[windowKey]*window
	recent  recent
	timers  eventtime.Queue[subject]
	stats   Stats

	// Scratch of one tick.
	dirty   []*client
	alerts  []Alert
	json    bytes.Buffer
	sighted sighting
}

// New makes a set of the enabled rules.
func New(cfg Config) (*Set, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("cannot make detection rules: %w", err)
	}
	s := &Set{
		cfg:      cfg,
		internal: netset.New(cfg.Networks.Internal),
		darknet:  netset.New(cfg.Networks.Darknet),
		clients:  map[subject]*client{},
		windows:  map[windowKey]*window{},
	}
	s.rules = [ruleCount]rule{
		addressScanID:       newAddressScan(s, cfg.AddressScan),
		portScanID:          newPortScan(s, cfg.PortScan),
		prohibitedServiceID: newProhibitedService(cfg.ProhibitedService),
	}
	for i, r := range s.rules {
		s.allowed[i].clients = netset.New(r.common().AllowClients)
		s.allowed[i].servers = netset.New(r.common().AllowServers)
	}
	for k, t := range s.tiers {
		s.spans[k] = max(longest(t[0]), longest(t[1]))
	}
	return s, nil
}

// Stats is what has been counted so far.
func (s *Set) Stats() Stats { return s.stats }

// NextTimer is the earliest tick at which Tick must be called, or Never.
func (s *Set) NextTimer() eventtime.Tick { return s.timers.Next() }

// Tick fires the timers due at or before t, then applies the biflows of t, in
// the order of flow.SortBiflows, and emits what there is to tell, ordered by
// host and finding.
func (s *Set) Tick(t eventtime.Tick, in []*flowv1.Biflow, emit func(*Alert)) {
	s.fire(t)
	s.now = t
	for _, b := range in {
		if s.sighted.read(b, t, s.cfg.SureDirection) {
			s.apply(&s.sighted)
		}
	}
	s.flush()
	s.emit(emit)
}

// End closes every open finding: the timeline has ended at t.
func (s *Set) End(t eventtime.Tick, emit func(*Alert)) {
	s.fire(t)
	s.now = t
	for c := s.recent.oldest; c != nil; c = c.newer {
		s.end(c)
	}
	s.emit(emit)
	clear(s.clients)
	clear(s.windows)
	s.recent = recent{}
	s.timers = eventtime.Queue[subject]{}
}

// end closes what a client has open. What was about to be told together is
// told now.
func (s *Set) end(c *client) {
	for id := len(c.episodes) - 1; id >= 0; id-- {
		e := c.episodes[id]
		if e == nil {
			continue
		}
		s.rules[id].judge(s, c, e)
		s.announce(c, e)
	}
	for _, e := range c.episodes {
		if e != nil {
			s.close(c, e, closedEndOfInput)
		}
	}
}

// fire serves the clients whose timers are due, each at its own tick.
func (s *Set) fire(t eventtime.Tick) {
	for {
		key, ok := s.timers.Pop(t)
		if !ok {
			return
		}
		c := s.clients[key]
		if c == nil || c.due > t {
			continue // dropped meanwhile, or served by an earlier timer
		}
		s.now, c.due = c.due, eventtime.Never
		s.settle(c)
		s.decide(c)
		s.expire(c)
		if c.idle() {
			s.drop(c)
			continue
		}
		s.schedule(c)
	}
}

// apply shows a flow version to every rule. A client of whom nothing is known
// and whose flow was answered has little to fear: only forbidden services.
func (s *Set) apply(x *sighting) {
	c := s.clients[x.subject]
	if x.outcome == neither && c == nil {
		return
	}
	x.late = x.start+uint64(s.cfg.Lateness) <= s.now.Ns()
	for id, r := range s.rules {
		if r.common().Enabled && !s.allows(ruleID(id), x) {
			c = r.observe(s, c, x)
		}
	}
	if x.late && x.outcome == failed {
		s.stats.Late++
	}
}

// allows tells whether a rule's allow-lists hold the client or the server.
func (s *Set) allows(id ruleID, x *sighting) bool {
	a := &s.allowed[id]
	return !a.clients.Empty() && a.clients.Contains(x.subject.addr.Netip()) ||
		!a.servers.Empty() && a.servers.Contains(x.target.addr.Netip())
}

// isInternal tells whether an address is ours.
func (s *Set) isInternal(a *flow.Addr) bool { return s.internal.Contains(a.Netip()) }

// touch marks that a client's findings may have news when the tick is through.
func (s *Set) touch(c *client) {
	if !c.dirty {
		c.dirty = true
		s.dirty = append(s.dirty, c)
	}
}

// flush tells the news of the tick: once, with all its records in.
func (s *Set) flush() {
	for _, c := range s.dirty {
		c.dirty = false
		if s.clients[c.subject] == c {
			s.decide(c)
			s.scheduleEpisodes(c)
			if c.idle() {
				s.drop(c)
			}
		}
	}
	clear(s.dirty)
	s.dirty = s.dirty[:0]
}

// emit hands the tick's alerts on, ordered by host and finding.
func (s *Set) emit(emit func(*Alert)) {
	slices.SortStableFunc(s.alerts, func(a, b Alert) int {
		if c := bytes.Compare(a.Host[:], b.Host[:]); c != 0 {
			return c
		}
		if c := cmp.Compare(a.realm, b.realm); c != 0 {
			return c
		}
		return cmp.Compare(a.UID, b.UID)
	})
	for i := range s.alerts {
		emit(&s.alerts[i])
	}
	clear(s.alerts)
	s.alerts = s.alerts[:0]
}
