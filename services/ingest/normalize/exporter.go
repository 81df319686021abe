package normalize

import (
	"net/netip"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// silentNs is how long an exporter must have been silent to make room for another.
const silentNs = uint64(time.Hour)

// exporter is what is kept of one device.
type exporter struct {
	addr   netip.Addr
	wire   []byte // 4 or 16 bytes; never changes, so flows may share it
	policy *Override

	realm                uint32
	forced, configured   sampling
	activeMs, inactiveMs uint32 // as configured
	uptimeSeconds        bool   // QuirkUptimeSeconds

	domains   map[domainKey]*domain
	templates int
	lastNs    uint64

	reverse      reverseWatch
	applications recent[uint64, string] // application id → name
	firewall     recent[connKey, connCount]
}

// domainKey tells observation domains apart. sFlow's agents and their sub-agents
// are domains of the address they send from.
type domainKey struct {
	kind  flowv1.FlowType
	id    uint32
	agent netip.Addr
}

// domain is what is kept of one observation domain: RFC 7011 §3.1's scope of
// templates and sequence numbers.
type domain struct {
	key       domainKey
	agentWire []byte // sampler_address of its records

	templates map[uint16]*template
	// last is the template looked up last; most data sets use the same one.
	last *template

	boot       bootClock
	inferred   inferredBoot
	systemInit uint64 // ms since the epoch, as told by options; 0 is unknown
	samplers   samplers
	// activeMs and inactiveMs are as told by options; 0 is unknown.
	activeMs, inactiveMs uint32
}

// exporterOf finds or adds an exporter; nil if there is no room.
func (n *Normalizer) exporterOf(addr netip.Addr, receivedNs uint64) *exporter {
	if e := n.lastExporter; e != nil && e.addr == addr {
		e.lastNs = receivedNs
		return e
	}
	e, ok := n.exporters[addr]
	if !ok {
		if len(n.exporters) >= n.cfg.MaxExporters && !n.dropSilent(receivedNs) {
			return nil
		}
		e = n.newExporter(addr)
		n.exporters[addr] = e
	}
	e.lastNs = receivedNs
	n.lastExporter = e
	return e
}

func (n *Normalizer) newExporter(addr netip.Addr) *exporter {
	e := &exporter{
		addr: addr, wire: addr.AsSlice(), policy: n.cfg.overrideOf(addr),
		domains:      map[domainKey]*domain{},
		applications: newRecent[uint64, string](n.cfg.MaxOptionsEntries),
		firewall:     newRecent[connKey, connCount](n.cfg.MaxFirewallConns),
	}
	if p := e.policy; p != nil {
		e.realm = p.Realm
		e.configured = oneIn(p.SamplingRate, flowv1.SamplingKind_SAMPLING_KIND_PACKET)
		if p.SamplingForce {
			e.forced = e.configured
		}
		e.uptimeSeconds = p.has(QuirkUptimeSeconds)
		e.activeMs = uint32(p.ActiveTimeout.Milliseconds())
		e.inactiveMs = uint32(p.InactiveTimeout.Milliseconds())
	}
	return e
}

// dropSilent forgets the exporters that have been silent for an hour, and tells
// whether there was any. It looks at most once a minute.
func (n *Normalizer) dropSilent(receivedNs uint64) bool {
	if receivedNs < n.nextSweepNs {
		return false
	}
	n.nextSweepNs = receivedNs + uint64(time.Minute)
	dropped := false
	for addr, e := range n.exporters {
		if e.lastNs+silentNs <= receivedNs {
			n.templates -= e.templates
			delete(n.exporters, addr)
			dropped = true
		}
	}
	if dropped {
		n.lastExporter = nil
	}
	return dropped
}

// domainOf finds or adds an observation domain; nil if there is no room.
func (n *Normalizer) domainOf(e *exporter, key domainKey) *domain {
	d, ok := e.domains[key]
	if !ok {
		if len(e.domains) >= n.cfg.MaxDomains {
			return nil
		}
		d = &domain{key: key, agentWire: e.wire}
		if key.agent.IsValid() {
			d.agentWire = key.agent.AsSlice()
		}
		e.domains[key] = d
	}
	return d
}

// realmOf is the address space of a record: its VLAN's, its VRF's, or the exporter's.
func (e *exporter) realmOf(vrf, vlan uint32) uint32 {
	if p := e.policy; p != nil {
		if r, ok := p.VRFRealms[vrf]; ok && vrf != 0 {
			return r
		}
		if r, ok := p.VLANRealms[vlan]; ok && vlan != 0 {
			return r
		}
	}
	return e.realm
}

// timeouts are the exporter's, in milliseconds, as told by options or else
// configured; 0 is unknown.
func (m *message) timeouts() (active, inactive uint32) {
	active, inactive = m.dom.activeMs, m.dom.inactiveMs
	if active == 0 {
		active = m.exp.activeMs
	}
	if inactive == 0 {
		inactive = m.exp.inactiveMs
	}
	return active, inactive
}
