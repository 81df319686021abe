package merge

import (
	"net/netip"
	"slices"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// point is an observation point: where an exporter meters. Line cards
// (observation domains) of one exporter partition the packets, so they are one
// point and summed; ingress and egress see the same packets, so they are two
// (RFC 5982 §6.6: topology decides whether to sum). Where the topology is another,
// the configuration says so: Groups, SplitDomains.
type point struct {
	// sampler is the exporter, of a group the first.
	sampler flow.Addr
	// domain tells the points of an exporter apart that is split, else it is 0.
	domain uint32
	egress bool
}

// pointOf is the number of the point that a report is of.
func (w *Window) pointOf(r *arrival) uint32 {
	p := point{sampler: r.Sampler, egress: r.Egress}
	if w.topology != nil {
		at := w.topology.of(r.Sampler)
		p.sampler = at.sampler
		if at.split {
			p.domain = r.Domain
		}
	}
	return w.points.id(p)
}

// topology is what the configuration says of exporters.
type topology struct {
	groups []Group
	split  []netip.Prefix
	// known are the answers so far.
	known map[flow.Addr]place
}

// place is what the topology says of an exporter.
type place struct {
	sampler flow.Addr
	split   bool
}

// newTopology is nil where nothing is out of the ordinary.
func newTopology(cfg Config) *topology {
	if len(cfg.Groups)+len(cfg.SplitDomains) == 0 {
		return nil
	}
	return &topology{groups: cfg.Groups, split: cfg.SplitDomains, known: make(map[flow.Addr]place)}
}

func (t *topology) of(sampler flow.Addr) place {
	at, ok := t.known[sampler]
	if !ok {
		at = t.look(sampler)
		t.known[sampler] = at
	}
	return at
}

func (t *topology) look(sampler flow.Addr) place {
	at, addr := place{sampler: sampler}, sampler.Netip()
	for _, g := range t.groups {
		if containedIn(g.Exporters, addr) {
			at.sampler = flow.AddrFrom(g.Exporters[0].Masked().Addr().AsSlice())
			break
		}
	}
	at.split = containedIn(t.split, addr)
	return at
}

func containedIn(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// direction is the point's direction as it goes on the wire.
func (p point) direction() flowv1.Direction {
	if p.egress {
		return flowv1.Direction_DIRECTION_EGRESS
	}
	return flowv1.Direction_DIRECTION_INGRESS
}

// points numbers the observation points seen, so that a flow's state holds a
// small number instead of an address. Their number is that of the network's
// devices and never shrinks.
type points struct {
	byValue map[point]uint32
	all     []point
	recent  uint32
}

func (p *points) id(v point) uint32 {
	if int(p.recent) < len(p.all) && p.all[p.recent] == v {
		return p.recent // reports of a datagram come together
	}
	if id, ok := p.byValue[v]; ok {
		p.recent = id
		return id
	}
	if p.byValue == nil {
		p.byValue = make(map[point]uint32)
	}
	id := uint32(len(p.all))
	p.byValue[v], p.recent = id, id
	p.all = append(p.all, v)
	return id
}
