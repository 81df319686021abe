package normalize

import (
	"math"
	"net/netip"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

const (
	// silentNs is how long an exporter must have been silent to make room for
	// another, and passingNs how long one that was only heard for a moment: a flood
	// from forged addresses keeps no real exporter out for long.
	silentNs  = uint64(time.Hour)
	passingNs = uint64(time.Minute)
	// sweepNs is how often we look for silent ones.
	sweepNs = 10 * nsPerS
)

// exporter is what is kept of one device.
type exporter struct {
	addr   netip.Addr
	wire   []byte // 4 or 16 bytes; never changes, so flows may share it
	policy *Override

	realm                uint32
	forced, configured   sampling
	activeMs, inactiveMs uint32 // as configured
	uptimeSeconds        bool   // QuirkUptimeSeconds
	outerTunnels         bool   // TunnelsOuter

	domains    map[domainKey]*domain
	lastDomain *domain
	// templates, fields, samplers and pools count those of all its domains.
	templates, fields, samplers, pools int
	firstNs, lastNs                    uint64
	// expiryNs is before when none of its templates expires.
	expiryNs uint64
	// announced counts its new templates, told its options records.
	announced, told minutely
	// notices counts those of all its domains.
	notices      int
	waitingBytes int

	skew         skewClock
	reverse      reverseWatch
	order        orderWatch
	applications recent[uint64, string] // application id → name
	elements     map[element]elementType
	// elementsChanged counts how often one of elements did.
	elementsChanged uint64
	firewall        recent[connKey, connCount]
}

// domainKey tells observation domains apart. sFlow's agents and their sub-agents
// are domains of the address they send from.
type domainKey struct {
	kind  flowv1.FlowType
	id    uint32
	agent netip.Addr
	// session tells the transport sessions of RFC 7011 §10.4 (TCP, TLS) apart; 0 is UDP.
	session uint64
	// variety is NetFlow v8's way of adding up, and tells v1 and v7 from v5.
	variety uint8
}

// domain is what is kept of one observation domain: RFC 7011 §3.1's scope of
// templates and sequence numbers.
type domain struct {
	key       domainKey
	exp       *exporter
	agentWire []byte // sampler_address of its records
	lastNs    uint64

	templates map[uint16]*template
	// variants are those that only hold for data from their own port.
	variants map[variant]*template
	// alone has until when data from a port is not read by templates of other ports.
	alone map[variant]uint64
	// last is the template looked up last; most data sets use the same one.
	last *template
	// waiting has the data sets without template, by its id.
	waiting map[uint16][]*waitingSet
	notices map[noticeKey]*notice

	sequences  sequences
	duplicates duplicates
	// datagrams, records, duplicated and lostRecords are as in DomainStats.
	datagrams, records, duplicated, lostRecords uint64

	boot       bootClock
	uptimeUnit uptimeUnit
	inferred   inferredBoot
	systemInit uint64 // ms since the epoch, as told by options; 0 is unknown
	samplers   samplers
	// pools are the data sources of an sFlow agent.
	pools map[uint64]*samplePool
	// activeMs and inactiveMs are as told by options; 0 is unknown.
	activeMs, inactiveMs uint32
	// timeoutsNs and systemInitNs are when they were told.
	timeoutsNs, systemInitNs uint64
}

// exporterOf finds or adds an exporter; nil if there is no room.
func (n *Normalizer) exporterOf(addr netip.Addr, receivedNs uint64) *exporter {
	if e := n.lastExporter; e != nil && e.addr == addr {
		e.lastNs = max(e.lastNs, receivedNs)
		return e
	}
	e, ok := n.exporters[addr]
	if !ok {
		if len(n.exporters) >= n.cfg.MaxExporters && !n.dropSilent(receivedNs) {
			return nil
		}
		e = n.newExporter(addr)
		e.firstNs = receivedNs
		n.exporters[addr] = e
	}
	e.lastNs = max(e.lastNs, receivedNs)
	n.lastExporter = e
	return e
}

func (n *Normalizer) newExporter(addr netip.Addr) *exporter {
	e := &exporter{
		addr: addr, wire: addr.AsSlice(), policy: n.cfg.overrideOf(addr),
		domains:      map[domainKey]*domain{},
		applications: newRecent[uint64, string](n.cfg.MaxOptionsEntries, &n.applications),
		firewall:     newRecent[connKey, connCount](n.cfg.MaxFirewallConns, &n.connections),
	}
	if p := e.policy; p != nil {
		e.realm = p.Realm
		e.configured = oneIn(p.SamplingRate, flowv1.SamplingKind_SAMPLING_KIND_PACKET)
		if p.SamplingForce {
			e.forced = e.configured
		}
		e.uptimeSeconds = p.has(QuirkUptimeSeconds)
		e.outerTunnels = p.Tunnels == TunnelsOuter
		e.activeMs = uint32(p.ActiveTimeout.Milliseconds())
		e.inactiveMs = uint32(p.InactiveTimeout.Milliseconds())
	}
	return e
}

// patience is how long an exporter may be silent and stay, where room is needed.
func (e *exporter) patience() uint64 {
	if e.lastNs-e.firstNs < passingNs {
		return passingNs
	}
	return silentNs
}

// dropSilent forgets the exporters that have been silent for long, and tells
// whether there was any.
func (n *Normalizer) dropSilent(receivedNs uint64) bool {
	if receivedNs < n.nextSweepNs {
		return false
	}
	n.nextSweepNs = receivedNs + sweepNs
	dropped := false
	for addr, e := range n.exporters {
		if e.lastNs+e.patience() <= receivedNs {
			for _, d := range e.domains {
				n.forgetDomain(d)
			}
			e.applications.forget()
			e.firewall.forget()
			n.options.used -= len(e.elements)
			delete(n.exporters, addr)
			dropped = true
		}
	}
	if dropped {
		n.lastExporter = nil
	}
	return dropped
}

// enter finds or adds the observation domain of a message. It returns false where
// there is no room for it.
func (n *Normalizer) enter(m *message, key domainKey) bool {
	key.session = m.session
	if m.dom = n.domainOf(m.exp, key, m.receivedNs); m.dom == nil {
		m.fail("too_many_domains")
		return false
	}
	return true
}

// domainOf finds or adds an observation domain; nil if there is no room.
func (n *Normalizer) domainOf(e *exporter, key domainKey, nowNs uint64) *domain {
	d := e.lastDomain
	if d == nil || d.key != key {
		if d = e.domains[key]; d == nil {
			if !n.roomForDomain(e, nowNs) {
				return nil
			}
			d = &domain{key: key, exp: e, agentWire: e.wire}
			d.sequences.byDatagrams = countsDatagrams(key.kind)
			if key.agent.IsValid() {
				d.agentWire = key.agent.AsSlice()
			}
			e.domains[key] = d
			n.domains++
		}
		e.lastDomain = d
	}
	d.lastNs = max(d.lastNs, nowNs)
	return d
}

// roomForDomain tells whether a domain may be added. Where there is no room, it
// forgets the domains of the exporter that have been silent for an hour, or, if
// they are too many in total, everybody's.
func (n *Normalizer) roomForDomain(e *exporter, nowNs uint64) bool {
	fits := func() bool {
		own := len(e.domains)
		return own < n.cfg.MaxDomains && (own < grantedDomains || n.domains < n.cfg.MaxTotalDomains)
	}
	if fits() {
		return true
	}
	if nowNs < n.nextSweepNs {
		return false
	}
	n.nextSweepNs = nowNs + sweepNs
	n.dropDomains(e, nowNs)
	if n.domains >= n.cfg.MaxTotalDomains {
		for _, other := range n.exporters {
			n.dropDomains(other, nowNs)
		}
	}
	return fits()
}

// dropDomains forgets the silent domains of an exporter.
func (n *Normalizer) dropDomains(e *exporter, nowNs uint64) {
	for _, d := range e.domains {
		if d.lastNs+silentNs <= nowNs {
			n.forgetDomain(d)
		}
	}
}

// forgetDomain gives up all that is kept of a domain. What waits for one of its
// templates is buried in time.
func (n *Normalizer) forgetDomain(d *domain) {
	for t := range d.allTemplates() {
		n.forgetTemplate(d.exp, d, t)
	}
	for _, c := range d.notices {
		n.forgetNotice(c)
	}
	samplers := d.samplers.len()
	d.exp.samplers -= samplers
	d.exp.pools -= len(d.pools)
	n.options.used -= samplers + len(d.pools)
	delete(d.exp.domains, d.key)
	if d.exp.lastDomain == d {
		d.exp.lastDomain = nil
	}
	n.domains--
}

// realmOf is the address space of a record: its virtual network's, its VRF's, its
// VLAN's, or the exporter's.
func (e *exporter) realmOf(vni, vrf, vlan uint32) uint32 {
	if p := e.policy; p != nil {
		if r, ok := p.VNIRealms[vni]; ok && vni != 0 {
			return r
		}
		if r, ok := p.VRFRealms[vrf]; ok && vrf != 0 {
			return r
		}
		if r, ok := p.VLANRealms[vlan]; ok && vlan != 0 {
			return r
		}
	}
	return e.realm
}

// tellsRealms tells whether the address space depends on the record.
func (o *Override) tellsRealms() bool {
	return o != nil && len(o.VNIRealms)+len(o.VRFRealms)+len(o.VLANRealms) > 0
}

// realmOfPacket is the address space of a flow in a virtual network, 0 if in none.
func (e *exporter) realmOfPacket(f *flowv1.Flow, vni uint32) uint32 {
	return e.realmOf(vni, f.IngressVrfId, uint32(nonzero(uint64(f.VlanId), uint64(f.SrcVlan))))
}

// segmentVNI is the virtual network of a layer2SegmentId (IANA element 351): its upper
// byte says of VXLAN (1) or NVGRE (2), the lower three bytes which.
func segmentVNI(v uint64) uint64 {
	if kind := v >> 56; kind != 1 && kind != 2 {
		return 0
	}
	return v & 0xffffff
}

// nonzeroVNI keeps the virtual network that was told first; what has more than 32 bits
// (STT) is none of those that have a realm.
func nonzeroVNI(first uint32, v uint64) uint32 {
	if first != 0 || v > math.MaxUint32 {
		return first
	}
	return uint32(v)
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
