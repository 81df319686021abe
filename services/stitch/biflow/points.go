package biflow

import (
	"bytes"
	"cmp"
	"encoding/binary"

	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/slab"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// point is who reported: an observation point, and the line card by its domain.
type point struct {
	sampler flow.Addr
	domain  uint32
	egress  bool
}

func (p *point) compare(o *point) int {
	return cmp.Or(bytes.Compare(p.sampler[:], o.sampler[:]), cmp.Compare(p.domain, o.domain),
		cmp.Compare(p.direction(), o.direction()))
}

func (p *point) direction() flowv1.Direction {
	if p.egress {
		return flowv1.Direction_DIRECTION_EGRESS
	}
	return flowv1.Direction_DIRECTION_INGRESS
}

func (p *point) hash() uint64 {
	h := fold(binary.LittleEndian.Uint64(p.sampler[:]), 0x8bb84b93962eacc9)
	h = fold(h^binary.LittleEndian.Uint64(p.sampler[8:]), 0x4b33a62ed433d4a3)
	return fold(h^uint64(p.domain)<<1^uint64(p.direction()), 0x8bb84b93962eacc9)
}

// points gives numbers to observation points, so that conversations hold a small
// number instead of an address. Who is held by nobody any more is forgotten:
// there are never more than conversations tell of.
type points struct {
	all   slab.Slab[heldPoint]
	index slab.Index
	// latest was asked for last, and is likely asked for again.
	latest uint32
}

type heldPoint struct {
	point
	holders uint32
}

// take numbers a point and holds it.
func (ps *points) take(v *point) uint32 {
	if ps.latest < ps.all.Len() {
		if p := ps.all.At(ps.latest); p.holders > 0 && p.point == *v {
			p.holders++
			return ps.latest
		}
	}
	h := v.hash()
	for probe := ps.index.Probe(h); probe.Next(); {
		if p := ps.all.At(probe.Number()); p.point == *v {
			p.holders++
			ps.latest = probe.Number()
			return ps.latest
		}
	}
	n, p := ps.all.Take()
	*p = heldPoint{*v, 1}
	ps.index.Insert(h, n)
	ps.latest = n
	return n
}

// hold adds a holder to a number that somebody holds.
func (ps *points) hold(n uint32) { ps.all.At(n).holders++ }

// drop takes a holder off.
func (ps *points) drop(n uint32) {
	p := ps.all.At(n)
	if p.holders--; p.holders == 0 {
		ps.index.Delete(p.hash(), n)
		ps.all.Give(n)
	}
}

func (ps *points) at(n uint32) *point { return &ps.all.At(n).point }
