package simulate

import "time"

// route is a conversation's way along the path, there or back.
func (p *Path) route(hops []Hop, c *Conversation, reverse bool) []Hop {
	row := 0
	if reverse && p.comesBackElsewhere(c) {
		row = 1
	}
	for i := range p.cfg.Hops {
		hop := i
		if reverse {
			hop = p.cfg.Hops - 1 - i
		}
		hops = p.cross(hops, c, row, hop, reverse)
	}
	return hops
}

// cross appends the exporters that pass a conversation at a hop.
func (p *Path) cross(hops []Hop, c *Conversation, row, hop int, reverse bool) []Hop {
	h := Hop{In: ifClients, Out: ifServersSide, Zones: p.zones(c, hop, reverse)}
	if reverse {
		h.In, h.Out = h.Out, h.In
	}
	n := p.cfg.Parallel
	first := (row*p.cfg.Hops + hop) * n
	if !p.cfg.PerPacket && p.cfg.Turns == 0 {
		h.Exporter = first + int(p.chance(c, uint64(hop))*float64(n))
		if hop+1 == p.cfg.Twice {
			return append(hops, twice(h, reverse)...)
		}
		return append(hops, h)
	}
	for side := range n {
		h.Exporter, h.Of, h.Turn, h.Turns = first+side, uint32(n), uint32(side), p.cfg.Turns
		hops = append(hops, h)
	}
	return hops
}

// around is how long packets take that pass an exporter twice, from the one time to the other.
const around = 3 * time.Millisecond

// twice are the two ways through an exporter that packets pass twice: out to what is
// behind it, and in again from there.
func twice(h Hop, reverse bool) []Hop {
	first, second := h, h
	first.Out, second.In, second.Later = ifAround, ifBack, around
	if reverse {
		first.Out, second.In = second.In, first.Out
	}
	return []Hop{first, second}
}

// zones are those that an exporter's ingress and egress see.
func (p *Path) zones(c *Conversation, hop int, reverse bool) (z [2]uint8) {
	if c.Translated == (Conversation{}).Translated || hop+1 < p.cfg.NAT {
		return z
	}
	z = [2]uint8{outside, outside}
	if hop+1 == p.cfg.NAT {
		z[way(reverse)] = inside // translated between ingress and egress; back: the other way round
		z[1-way(reverse)] = outside
	}
	return z
}

// comesBackElsewhere tells whether a conversation's way back is another.
func (p *Path) comesBackElsewhere(c *Conversation) bool {
	return p.chance(c, 1000) < p.cfg.Asymmetric
}

// chance is a number from 0 to below 1 that a conversation has for a purpose:
// what a router takes from a hash of its addresses and ports.
func (p *Path) chance(c *Conversation, purpose uint64) float64 {
	h := mix(p.cfg.Seed ^ purpose<<32)
	for _, e := range [...]*[16]byte{(*[16]byte)(&c.Client.Addr), (*[16]byte)(&c.Server.Addr)} {
		for _, b := range e {
			h = h*31 + uint64(b)
		}
	}
	h = mix(h ^ uint64(c.Client.Port)<<24 ^ uint64(c.Server.Port)<<8 ^ uint64(c.Proto))
	return float64(h>>11) / (1 << 53)
}
