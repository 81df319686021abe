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
	enabled           [ruleCount]bool
	allowed           [ruleCount]struct{ clients, servers *netset.Set }
	tiers             [kinds][2][]tier // by whether the client is ours
	spans             [kinds]uint64    // longest window per kind, ns

	forbidden *prohibitedService

	now eventtime.Tick
	memory
	stats Stats

	// Scratch of one tick.
	sightings sightings
	dirty     []*client
	alerts    []Alert
	json      bytes.Buffer
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
	}
	s.forbidden = newProhibitedService(cfg.ProhibitedService)
	s.rules = [ruleCount]rule{
		addressScanID:       newAddressScan(s, cfg.AddressScan),
		portScanID:          newPortScan(s, cfg.PortScan),
		prohibitedServiceID: s.forbidden,
	}
	for i, r := range s.rules {
		s.enabled[i] = r.common().Enabled
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

// See takes in a biflow of the next tick. It is only read during the call; their
// order is of no account.
func (s *Set) See(b *flowv1.Biflow) {
	x := s.sightings.next()
	if !x.read(b, s.cfg.SureDirection) {
		return
	}
	x.listed = s.forbidden.holds(&x.target)
	s.sightings.keep(x, s.mayKnow(x.hash))
}

// HasSeen tells whether a biflow has been seen for which Tick must be called.
func (s *Set) HasSeen() bool { return len(s.sightings.list) > 0 }

// Tick fires the timers due at or before t, then applies the biflows that were
// seen, which are those of t, by start, id and version, and emits what there is
// to tell, ordered by host and finding.
func (s *Set) Tick(t eventtime.Tick, emit func(*Alert)) {
	s.fire(t)
	s.now = t
	for _, place := range s.sightings.inOrder() {
		x := s.sightings.at(place)
		x.at(t, s.cfg.Lateness)
		s.apply(x)
	}
	s.sightings.reset()
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
	s.memory = memory{}
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
		due := s.timers.Next()
		number, ok := s.timers.Pop(t)
		if !ok {
			return
		}
		c := s.clients.At(number)
		if c.due != due {
			continue // dropped meanwhile, or served by an earlier timer
		}
		s.now, c.due = c.due, eventtime.Never
		s.settle(c)
		s.decide(c)
		s.expire(c)
		if c.idle() {
			s.remove(c)
			continue
		}
		s.schedule(c)
	}
}

// apply shows a flow version to every rule. A client of whom nothing is known
// and whose flow was answered has little to fear: only forbidden services.
func (s *Set) apply(x *sighting) {
	c := s.find(&x.subject, x.hash)
	if x.outcome == neither && c == nil {
		return
	}
	for id, r := range s.rules {
		if s.enabled[id] && !s.allows(ruleID(id), x) {
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
		if !c.dirty {
			continue // forgotten meanwhile
		}
		c.dirty = false
		s.decide(c)
		s.scheduleEpisodes(c)
		if c.idle() {
			s.remove(c)
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
