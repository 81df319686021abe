package merge

import (
	"bytes"
	"cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// point is an observation point: where an exporter meters. Line cards
// (observation domains) of one exporter partition the packets, so they are one
// point and summed; ingress and egress see the same packets, so they are two
// (RFC 5982 §6.6: topology decides whether to sum). Where the topology is another,
// the configuration says so: Groups, SplitDomains, SplitInterfaces.
type point struct {
	// sampler is the exporter, of a group the first.
	sampler flow.Addr
	// domain tells the points of an exporter apart that is split, else it is 0.
	domain uint32
	// port is the interface that meters, where each of an exporter's sees the packets
	// anew, else 0.
	port   uint32
	egress bool
}

// pointOf is the number of the point that a report is of.
func (w *Window) pointOf(r *arrival) uint32 {
	if ps := &w.points; w.topology == nil && len(ps.all) > 0 {
		// Reports of a datagram come together. A point made of one only to be compared
		// would be copied before it has got to the cache, and wait for that.
		if last := &ps.all[ps.recent]; last.sampler == r.Sampler && last.egress == r.Egress && last.port == 0 {
			return ps.recent
		}
	}
	p := point{sampler: r.Sampler, egress: r.Egress}
	if w.topology != nil {
		at := w.topology.of(r.Sampler)
		p.sampler = at.sampler
		if at.split {
			p.domain = r.Domain
		}
		if at.ports {
			p.port = w.portOf(r)
		}
	}
	return w.points.id(p)
}

// portOf is the interface at which a report was metered: that by which the packets came
// in, or, at egress, left. 0 is not told.
func (w *Window) portOf(r *arrival) uint32 {
	if r.Egress {
		return w.full(r).OutIf
	}
	return r.InIf
}

// before is an order of points that depends on nothing but themselves.
func (p *point) before(o *point) bool {
	order := cmp.Or(bytes.Compare(p.sampler[:], o.sampler[:]), cmp.Compare(p.domain, o.domain), cmp.Compare(p.port, o.port))
	return order < 0 || order == 0 && !p.egress && o.egress
}

// direction is the point's direction as it goes on the wire.
func (p point) direction() flowv1.Direction {
	if p.egress {
		return flowv1.Direction_DIRECTION_EGRESS
	}
	return flowv1.Direction_DIRECTION_INGRESS
}

// points numbers the observation points, so that a flow's state holds a small number
// instead of an address. Those of which no flow is remembered are given up (tidy.go).
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
