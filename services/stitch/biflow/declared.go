package biflow

import (
	"errors"
	"fmt"
	"math"
	"net/netip"

	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/netset"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// declared are the servers that a policy names.
type declared struct {
	protos map[uint8]*declaredProto
}

// declaredProto are those of one protocol.
type declaredProto struct {
	// ports are all that any server is named with: most lookups end here.
	ports  portSet
	groups []declaredPorts
}

// declaredPorts are the servers of the same ports: those in networks, or anybody.
type declaredPorts struct {
	first, last uint16
	networks    netset.List // until they are a set
	where       *netset.Set
	anywhere    bool
}

// Policy replaces the policy that holds; nil is none. What the table has said
// already stays said; a conversation that goes on is judged by the new one. The
// policy is not part of the snapshot: it comes from outside, before the next tick.
// An error changes nothing.
func (t *Table) Policy(p *flowv1.Policy) error {
	if len(p.GetServices()) == 0 {
		t.declared = nil
		return nil
	}
	d := &declared{protos: map[uint8]*declaredProto{}}
	for i, s := range p.Services {
		if err := d.add(s); err != nil {
			return fmt.Errorf("services[%d]: %w", i, err)
		}
	}
	d.finish()
	t.declared = d
	return nil
}

func (d *declared) add(s *flowv1.KnownService) error {
	if s.Proto > math.MaxUint8 || !flow.HasPorts(uint8(s.Proto)) {
		return fmt.Errorf("protocol %d has no ports", s.Proto)
	}
	network, err := netset.FromWire(s.Addr, s.PrefixLength)
	if err != nil {
		return err
	}
	if len(s.Ports) == 0 {
		return errors.New("it has no ports")
	}
	proto := d.protos[uint8(s.Proto)]
	if proto == nil {
		proto = &declaredProto{}
		d.protos[uint8(s.Proto)] = proto
	}
	for _, r := range s.Ports {
		if r.First == 0 || r.First > r.Last || r.Last > math.MaxUint16 {
			return fmt.Errorf("%d to %d is no range of ports", r.First, r.Last)
		}
		g := proto.group(uint16(r.First), uint16(r.Last))
		if network.IsValid() {
			g.networks = append(g.networks, network)
		} else {
			g.anywhere = true
		}
	}
	return nil
}

// group finds the servers of the same ports, or begins with them.
func (p *declaredProto) group(first, last uint16) *declaredPorts {
	for i := range p.groups {
		if g := &p.groups[i]; g.first == first && g.last == last {
			return g
		}
	}
	for port := uint32(first); port <= uint32(last); port++ {
		p.ports.add(uint16(port))
	}
	p.groups = append(p.groups, declaredPorts{first: first, last: last})
	return &p.groups[len(p.groups)-1]
}

func (d *declared) finish() {
	for _, p := range d.protos {
		for i := range p.groups {
			g := &p.groups[i]
			g.where, g.networks = netset.New(g.networks), nil
		}
	}
}

// standing is what the policy says of an endpoint.
func (d *declared) standing(proto uint8, addr *flow.Addr, port uint16) standing {
	p := d.protos[proto]
	if p == nil || !has(p.ports[:], port) {
		return unlisted
	}
	best := unlisted
	for i := range p.groups {
		g := &p.groups[i]
		switch {
		case port < g.first || port > g.last:
		case g.where.Contains(netip.AddrFrom16(*addr)):
			return declaredHere
		case g.anywhere:
			best = declaredAnywhere
		}
	}
	return best
}
