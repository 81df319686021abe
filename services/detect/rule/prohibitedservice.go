package rule

import (
	"fmt"
	"slices"
	"strings"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// prohibitedService looks for services that policy forbids: those that our
// clients must not reach outside, and those that nobody should use.
type prohibitedService struct {
	cfg   ProhibitedService
	lists map[Service]lists
	// ports are those of the services, so that most flows need no more than a bit.
	ports ports
}

// lists says on which lists a service stands.
type lists struct{ blocked, listed bool }

func newProhibitedService(cfg ProhibitedService) *prohibitedService {
	r := &prohibitedService{cfg: cfg, lists: map[Service]lists{}}
	for _, s := range cfg.Blocked {
		r.lists[s] = lists{blocked: true}
		r.ports.add(s.Port)
	}
	for _, s := range cfg.Listed {
		r.lists[s] = lists{blocked: r.lists[s].blocked, listed: true}
		r.ports.add(s.Port)
	}
	return r
}

func (r *prohibitedService) info() *Info     { return &prohibitedServiceInfo }
func (r *prohibitedService) common() *Common { return &r.cfg.Common }

var prohibitedServiceInfo = Info{
	Name: "prohibited_service", Title: "Prohibited service", Version: "1",
	What: "A client of ours calls a server outside on a port that the firewall should block (`blocked`), " +
		"or anybody uses a service that nobody should (`listed`).",
	Why: "A firewall that lets SMB or RDP out is not the firewall people think they have; Telnet, FTP and TFTP carry passwords in clear, or none.",
	Not: "Attempts on a listed service that nobody answered; a listed TCP service that sent no more than a handshake; " +
		"attempts that are part of an address or port scan already told of.",
	State:   "Per offending client: one episode with its distinct services (64 bytes each, at most 1,024).",
	Subject: "the client; answered calls are told at once, attempts alone together after `aggregate`",
	Attacks: []Attack{exfiltrationAlternative, remoteServices},
}

// holds tells whether a service stands on a list.
func (r *prohibitedService) holds(t *target) bool {
	return r.ports.has(t.port) && r.lists[t.service()] != lists{}
}

func (r *prohibitedService) observe(s *Set, c *client, x *sighting) *client {
	if !x.listed {
		return c
	}
	on := r.lists[x.target.service()]
	s.place(c, x)
	blocked := on.blocked && x.internal && !s.isInternal(&x.target.addr)
	hit := blocked && (x.outcome == answered || x.outcome == failed && !x.scanning && !x.late) ||
		on.listed && x.outcome == answered && r.inUse(x)
	known := c != nil && c.episodes[prohibitedServiceID] != nil
	if !hit && !known {
		return c
	}
	if c == nil {
		c = s.client(x)
	}
	r.record(s, c, x, hit)
	return c
}

// record puts a hit into the client's episode; what is no hit can only change
// what an earlier version of the flow said.
func (r *prohibitedService) record(s *Set, c *client, x *sighting, hit bool) {
	e := c.episodes[prohibitedServiceID]
	if !hit {
		if i := e.targets.find(x.target); i < 0 || e.targets.list[i].flow != x.flow {
			return
		}
	}
	fresh := e == nil
	if fresh {
		e = s.begin(c, prohibitedServiceID)
		e.tier, e.trust = "policy", 90
	}
	k := x.contact()
	e.put(&k)
	if fresh {
		e.uid = newUID(prohibitedServiceInfo.Name, c.subject, target{}, e.first)
	}
	if hit {
		e.active = s.now // a session that goes on is no new finding
	}
	e.note(x.sampling, flowv1.TimeQuality(x.quality))
	s.recent.use(c)
	s.touch(c)
}

// inUse tells whether a listed service did more than shake hands.
func (r *prohibitedService) inUse(x *sighting) bool {
	return x.target.proto != flow.ProtoTCP || x.serverPackets >= r.cfg.ListedPackets
}

// judge: calls that were answered are told at once, attempts together. Before,
// those are left out that a scan explains.
func (r *prohibitedService) judge(s *Set, c *client, e *episode) bool {
	due := s.now >= r.firstDue(e)
	if !e.announced && e.all == nil {
		e.targets.keep(func(k *contact) bool { return k.outcome == answered || !s.scans(c, k.target) })
	}
	level := r.cfg.DeniedSeverity
	ready := due
	for i := range e.targets.list {
		switch k := &e.targets.list[i]; {
		case k.outcome == answered:
			level = max(level, r.levelOf(s, c, k))
			ready = true
		case k.outcome == failed && k.connState() != flowv1.ConnState_CONN_STATE_DENIED:
			level = max(level, r.cfg.AttemptSeverity)
		}
	}
	e.severity = level
	if e.all != nil {
		e.severity = max(level, e.toldLevel)
	}
	return ready
}

// levelOf is the severity of one use.
func (r *prohibitedService) levelOf(s *Set, c *client, k *contact) Severity {
	inside := s.isInternal(&k.target.addr)
	if r.lists[k.target.service()].blocked && c.internal && !inside || inside && !c.internal {
		return r.cfg.Severity
	}
	return r.cfg.ListedSeverity
}

// scans tells whether a target is part of an open scan of the client.
func (s *Set) scans(c *client, t target) bool {
	for _, about := range [...]scope{
		{kind: byServer, object: t.addr},
		{kind: byPrefix, object: prefixOf(t.addr)},
		{kind: byPort, port: t.port, proto: t.proto},
	} {
		if w := s.window(c, &about, about.hash(c.hash)); w != nil && w.hot {
			return true
		}
	}
	return false
}

func (r *prohibitedService) firstDue(e *episode) eventtime.Tick {
	return e.opened.After(r.cfg.Aggregate)
}

func (r *prohibitedService) describe(s *Set, c *client, e *episode) description {
	used, tried := e.services()
	d := description{title: "Prohibited service", attacks: []Attack{exfiltrationAlternative}}
	client := c.subject.addr.Netip()
	_, _, all := e.counts()
	switch {
	case len(used) > 0:
		d.title = "Prohibited service in use"
		d.message = fmt.Sprintf("%s used %s of %s %s", client, joined(used), e.servers(all), e.took())
	default:
		d.title = "Attempts on prohibited services"
		d.message = fmt.Sprintf("%s tried %s of %s %s; nobody answered", client, joined(tried), e.servers(all), e.took())
	}
	if slices.ContainsFunc(e.targets.list, func(k contact) bool { return k.outcome == answered && s.isInternal(&k.target.addr) }) {
		d.attacks = []Attack{remoteServices}
	}
	d.where = "server_port IN (" + strings.Join(e.ports(), ", ") + ")"
	return d
}
