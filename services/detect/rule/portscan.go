package rule

import (
	"fmt"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// portScan looks for a client that tries many ports of a server.
type portScan struct{ cfg PortScan }

func newPortScan(s *Set, cfg PortScan) *portScan {
	contacted := cfg.Contacted.tier("contacted", 60)
	contacted.contacted = true
	sensitive := cfg.Sensitive.tier("sensitive", 75)
	sensitive.ports = map[uint16]bool{}
	for _, p := range cfg.SensitivePorts {
		sensitive.ports[p] = true
	}
	rest := []tier{cfg.Slow.tier("slow", 80), sensitive, contacted}
	s.tiers[byServer] = [2][]tier{
		tiersOf(append([]tier{cfg.Fast.tier("fast", 90)}, rest...)...),
		tiersOf(append([]tier{cfg.FastInternal.tier("fast_internal", 90)}, rest...)...),
	}
	return &portScan{cfg}
}

func (r *portScan) info() *Info     { return &portScanInfo }
func (r *portScan) common() *Common { return &r.cfg.Common }

var portScanInfo = Info{
	Name: "port_scan", Title: "Port scan", Version: "1",
	What: "One client tries many distinct ports of one server that do not answer, refuse or are denied: fast, slowly over a day, " +
		"or a few that are sensitive.",
	Why: "Before a way in is used it has to be found. Users of a server know its ports.",
	Not: "ICMP and the ports of traceroute (33434 to 33534/udp) do not count; many flows to one port are one port; " +
		"many ports that answer (passive FTP, RPC) are no scan as long as nearly none fails.",
	State: "Per client with failures: one window per server with its distinct ports (64 bytes each, at most 1,024), " +
		"forgotten when the longest window and the lateness have passed.",
	Subject: "the client and the server that it scanned first; further servers join the client's open finding",
	Attacks: []Attack{networkServiceDiscovery, activeScanning},
}

// Ports that traceroute sends to, one per probe, so that nobody answers.
const tracerouteFirst, tracerouteLast = 33434, 33534

func (r *portScan) observe(s *Set, c *client, x *sighting) *client {
	if c == nil && x.outcome != failed || x.target.port == 0 {
		return c
	}
	if x.target.proto == flow.ProtoUDP && x.target.port >= tracerouteFirst && x.target.port <= tracerouteLast {
		return c
	}
	s.place(c, x)
	var h [1]heat
	c, h[0] = s.watch(c, x, scope{kind: byServer, object: x.target.addr})
	return s.warm(c, portScanID, x, h[:])
}

// judge: a scan is told of at once.
func (r *portScan) judge(_ *Set, c *client, e *episode) bool {
	e.severity = scanSeverity(c, r.cfg.Severity, r.cfg.ExternalSeverity)
	return true
}

func (r *portScan) firstDue(e *episode) eventtime.Tick { return e.opened }

func (r *portScan) describe(_ *Set, c *client, e *episode) description {
	bad, good, all := e.counts()
	d := description{
		title: "Port scan",
		message: fmt.Sprintf("%s tried %s of %s %s; %d failed, %d answered",
			c.subject.addr.Netip(), plural(all, "port"), e.where(), e.took(), bad, good),
		attacks: []Attack{activeScanning},
	}
	if c.internal {
		d.attacks = []Attack{networkServiceDiscovery}
	}
	d.where = e.scopeSQL()
	return d
}
