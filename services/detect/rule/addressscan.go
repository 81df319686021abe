package rule

import (
	"fmt"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// addressScan looks for a client that calls many servers which do not answer:
// within one prefix, on one port anywhere, or in a darknet.
type addressScan struct{ cfg AddressScan }

func newAddressScan(s *Set, cfg AddressScan) *addressScan {
	contacted := cfg.PrefixContacted.tier("prefix_contacted", 60)
	contacted.contacted = true
	prefix := tiersOf(cfg.Prefix.tier("prefix", 90), contacted)
	darknet := tiersOf(cfg.Darknet.tier("darknet", 95))
	s.tiers[byPrefix] = [2][]tier{prefix, prefix}
	s.tiers[byPort] = [2][]tier{tiersOf(cfg.Port.tier("port", 85)), tiersOf(cfg.PortInternal.tier("port_internal", 85))}
	s.tiers[byDarknet] = [2][]tier{darknet, darknet}
	return &addressScan{cfg}
}

func (r *addressScan) info() *Info     { return &addressScanInfo }
func (r *addressScan) common() *Common { return &r.cfg.Common }

var addressScanInfo = Info{
	Name: "address_scan", Title: "Address scan", Version: "1",
	What: "One client calls many servers that do not answer, refuse or are denied: servers of one /24 (IPv6: /64), " +
		"servers anywhere on one port, or addresses of a network that has no hosts. " +
		"Pings (ICMP echo) count towards prefixes and darknets, not towards ports.",
	Why: "Worms and intruders look for neighbours; who knows the network calls servers that exist.",
	Not: "A lone dead server, however often it is called, is one target. Multicast, broadcast, ICMP errors and flows whose way back " +
		"cannot be observed do not count. A busy client whose calls are answered is never remembered at all.",
	State: "Per client with failures: one window per prefix, per port and for the darknet, each with its distinct servers " +
		"(64 bytes each, at most 1,024), forgotten when a window's length and the lateness have passed.",
	Subject: "the client; one open finding per client, whatever the number of prefixes and ports",
	Attacks: []Attack{networkServiceDiscovery, remoteSystemDiscovery, scanningIPBlocks},
}

func (r *addressScan) observe(s *Set, c *client, x *sighting) *client {
	if c == nil && x.outcome != failed {
		return nil
	}
	s.place(c, x)
	var heats [3]heat
	c, heats[0] = s.watch(c, x, scope{kind: byPrefix, object: prefixOf(x.target.addr)})
	if x.target.port != 0 {
		c, heats[1] = s.watch(c, x, scope{kind: byPort, port: x.target.port, proto: x.target.proto})
	}
	if !s.darknet.Empty() && s.darknet.Contains(x.target.addr.Netip()) {
		c, heats[2] = s.watch(c, x, scope{kind: byDarknet})
	}
	return s.warm(c, addressScanID, x, heats[:])
}

// judge: a scan is told of at once.
func (r *addressScan) judge(_ *Set, c *client, e *episode) bool {
	e.severity = scanSeverity(c, r.cfg.Severity, r.cfg.ExternalSeverity)
	return true
}

func (r *addressScan) firstDue(e *episode) eventtime.Tick { return e.opened }

func scanSeverity(c *client, internal, external Severity) Severity {
	if c.internal {
		return internal
	}
	return external
}

func (r *addressScan) describe(s *Set, c *client, e *episode) description {
	bad, good, all := e.counts()
	d := description{
		title: "Address scan",
		message: fmt.Sprintf("%s called %s %s %s; %d failed, %d answered",
			c.subject.addr.Netip(), plural(all, "host"), e.where(), e.took(), bad, good),
		attacks: []Attack{scanningIPBlocks},
	}
	if c.internal {
		d.attacks = []Attack{networkServiceDiscovery}
		if !e.hasPorts() {
			d.attacks = []Attack{remoteSystemDiscovery}
		}
	}
	d.where = e.scopeSQL()
	return d
}
