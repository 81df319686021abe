package normalize

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// EtherTypes of what may stand between Ethernet and IP.
const (
	etherVLAN       = 0x8100
	etherQinQ       = 0x88a8
	etherQinQOld    = 0x9100
	etherMPLS       = 0x8847
	etherMPLSMulti  = 0x8848
	etherPPPoE      = 0x8864
	maxVLANTags     = 4
	maxMPLSLabels   = 10
	maxIPv6Headers  = 8
	noNextHeader    = 59 // of IPv6: nothing follows
	ethernetHeader  = 14
	etherLengthsEnd = 0x0600 // below, the EtherType is a length (IEEE 802.3)
)

// packetReader takes the headers of one sampled packet apart, into a flow. A
// header that is cut off leaves the fields it would have filled empty.
type packetReader struct {
	f   *flowv1.Flow
	out *Result
	// l2 is the number of bytes before the network layer.
	l2 int
	// l3 is the length of the packet by its IP header, 0 where it has none.
	l3 int
	ip bool
	// total is the number of bytes of the header that was sampled.
	total int
	// outer says that what is in tunnels is of no interest, tunnels counts those
	// that were entered, and vni is the virtual network of the innermost, 0 if none.
	outer   bool
	tunnels int
	vni     uint32
}

// ethernet reads a frame from its destination MAC on: VLAN tags (the first two
// are kept as src_vlan, the outer, and dst_vlan, the inner), MPLS labels, IP.
func (p *packetReader) ethernet(b []byte) {
	if len(b) < ethernetHeader {
		return
	}
	p.f.DstMac, p.f.SrcMac = uintOf(b[0:6]), uintOf(b[6:12])
	kind := binary.BigEndian.Uint16(b[12:])
	rest := b[ethernetHeader:]
	for tags := 0; tags < maxVLANTags && (kind == etherVLAN || kind == etherQinQ || kind == etherQinQOld); tags++ {
		if len(rest) < 4 {
			return
		}
		id := uint32(binary.BigEndian.Uint16(rest) & 0x0fff)
		switch tags {
		case 0:
			p.f.SrcVlan, p.f.VlanId = id, id
		case 1:
			p.f.DstVlan = id
		}
		kind, rest = binary.BigEndian.Uint16(rest[2:]), rest[4:]
	}
	p.f.Etype = uint32(kind)
	if kind < etherLengthsEnd {
		p.f.Etype = 0
	}
	if kind < etherLengthsEnd && bytes.HasPrefix(rest, snapHeader) && len(rest) >= len(snapHeader)+2 {
		rest = rest[len(snapHeader):]
		kind, rest = binary.BigEndian.Uint16(rest), rest[2:]
		p.f.Etype = uint32(kind)
	}
	p.l2 = len(b) - len(rest)
	p.network(kind, rest)
}

// snapHeader is what stands between a length and an EtherType (RFC 1042).
var snapHeader = []byte{0xaa, 0xaa, 3, 0, 0, 0}

// network reads what an EtherType announces.
func (p *packetReader) network(kind uint16, b []byte) {
	switch kind {
	case etherIPv4:
		p.ipv4(b)
	case etherIPv6:
		p.ipv6(b)
	case etherMPLS, etherMPLSMulti:
		p.mpls(b)
	case etherPPPoE: // RFC 2516 §4
		if len(b) >= pppoeHeader {
			p.ppp(b[pppoeHeader:])
		}
	}
}

// Numbers of PPP (RFC 1661, RFC 2516).
const (
	pppoeHeader = 6
	pppIPv4     = 0x0021
	pppIPv6     = 0x0057
	pppMPLS     = 0x0281
)

// pppAddress is the address and control of PPP's frames, which may be left out.
var pppAddress = []byte{0xff, 0x03}

// ppp reads a PPP frame from its protocol on.
func (p *packetReader) ppp(b []byte) {
	if len(b) < 2 {
		return
	}
	switch binary.BigEndian.Uint16(b) {
	case pppIPv4, pppIPv6:
		p.anyIP(b[2:])
	case pppMPLS:
		p.mpls(b[2:])
	}
}

// mpls reads a label stack (RFC 3032) and what is below it.
func (p *packetReader) mpls(b []byte) {
	for labels := 0; len(b) >= 4; labels++ {
		v := binary.BigEndian.Uint32(b)
		b = b[4:]
		p.l2 += 4
		if labels < maxMPLSLabels {
			if p.f.MplsLabel == nil {
				p.f.MplsLabel = p.out.words.take(maxMPLSLabels)[:0]
				p.f.MplsTtl = p.out.words.take(maxMPLSLabels)[:0]
			}
			p.f.MplsLabel = append(p.f.MplsLabel, v>>12)
			p.f.MplsTtl = append(p.f.MplsTtl, v&0xff)
		}
		if v&0x100 != 0 { // bottom of the stack
			break
		}
	}
	p.underLabels(b)
}

// underLabels reads an IP packet or the frame of a pseudowire, with a control word
// (RFC 4448 §4.6) or without: what it is, only its looks tell. A frame is taken for one
// where it holds IP; of MAC addresses that look like IP without a control word, RFC 8469
// tells.
func (p *packetReader) underLabels(b []byte) {
	switch {
	case wholeIP(b):
	case len(b) >= 4 && b[0] == 0 && b[1] == 0 && framedIP(b[4:]):
		p.insideFrame(b[4:], 0)
		return
	case framedIP(b):
		p.insideFrame(b, 0)
		return
	}
	p.anyIP(b)
}

// anyIP reads an IP packet of either version.
func (p *packetReader) anyIP(b []byte) {
	if len(b) == 0 {
		return
	}
	switch b[0] >> 4 {
	case 4:
		p.f.Etype = etherIPv4
		p.ipv4(b)
	case 6:
		p.f.Etype = etherIPv6
		p.ipv6(b)
	}
}

func (p *packetReader) ipv4(b []byte) {
	if len(b) < 20 || b[0]>>4 != 4 || b[0]&15 < 5 {
		return
	}
	f := p.f
	p.ip, p.l3, p.l2 = true, int(binary.BigEndian.Uint16(b[2:])), p.total-len(b)
	f.IpTos = uint32(b[1])
	f.FragmentId = uint32(binary.BigEndian.Uint16(b[4:]))
	fragment := binary.BigEndian.Uint16(b[6:])
	f.IpFlags, f.FragmentOffset = uint32(fragment>>13), uint32(fragment&0x1fff)
	f.IpTtl, f.Proto = uint32(b[8]), uint32(b[9])
	f.SrcAddr, f.DstAddr = p.out.copyBytes(b[12:16]), p.out.copyBytes(b[16:20])
	// What follows the packet in the frame is no part of it.
	if p.l3 > 0 && p.l3 < len(b) {
		b = b[:p.l3]
	}
	if header := int(b[0]&15) * 4; f.FragmentOffset == 0 && len(b) > header {
		p.transport(uint8(f.Proto), b[header:])
		if f.IpFlags&1 == 0 { // not the first of several fragments
			p.inside(uint8(f.Proto), b[header:])
		}
	}
}

func (p *packetReader) ipv6(b []byte) {
	if len(b) < 40 || b[0]>>4 != 6 {
		return
	}
	f := p.f
	p.ip, p.l3, p.l2 = true, 40+int(binary.BigEndian.Uint16(b[4:])), p.total-len(b)
	if p.l3 == 40 && b[6] != noNextHeader {
		p.l3 = 0 // not said: jumbograms (RFC 2675), segmentation offload
	}
	first := binary.BigEndian.Uint32(b)
	f.IpTos, f.Ipv6FlowLabel = first>>20&0xff, first&0xfffff
	f.IpTtl = uint32(b[7])
	f.SrcAddr, f.DstAddr = p.out.copyBytes(b[8:24]), p.out.copyBytes(b[24:40])
	if p.l3 > 0 && p.l3 < len(b) {
		b = b[:p.l3]
	}
	next, rest := b[6], b[40:]
	more := false // fragments
	for range maxIPv6Headers {
		switch next {
		case 0, 43, 60: // hop-by-hop, routing, destination options
			if len(rest) < 2 || len(rest) < 8+8*int(rest[1]) {
				f.Proto = uint32(next)
				return
			}
			next, rest = rest[0], rest[8+8*int(rest[1]):]
			continue
		case 44: // fragment
			if len(rest) < 8 {
				f.Proto = uint32(next)
				return
			}
			f.FragmentOffset = uint32(binary.BigEndian.Uint16(rest[2:]) >> 3)
			f.FragmentId = binary.BigEndian.Uint32(rest[4:])
			more = rest[3]&1 != 0
			next, rest = rest[0], rest[8:]
			if f.FragmentOffset != 0 {
				f.Proto = uint32(next)
				return
			}
			continue
		}
		break
	}
	f.Proto = uint32(next)
	p.transport(next, rest)
	if !more {
		p.inside(next, rest)
	}
}

// transport reads ports, TCP flags, ICMP type and code.
func (p *packetReader) transport(proto uint8, b []byte) {
	switch {
	case proto == flow.ProtoICMP || proto == flow.ProtoICMPv6:
		if len(b) >= 2 {
			p.f.IcmpType, p.f.IcmpCode = uint32(b[0]), uint32(b[1])
		}
	case flow.HasPorts(proto):
		if len(b) >= 4 {
			p.f.SrcPort, p.f.DstPort = uint32(binary.BigEndian.Uint16(b)), uint32(binary.BigEndian.Uint16(b[2:]))
		}
		if proto == flow.ProtoTCP && len(b) >= 14 {
			p.f.TcpFlags = uint32(b[12]&15)<<8 | uint32(b[13]) // all that are no data offset (RFC 9565 §3)
		}
	}
}

// length is the packet's length at the network layer, which is what NetFlow
// counts: by the IP header; where that says nothing (segmentation offload), the
// frame's length without what came before it and stripped bytes after it.
func (p *packetReader) length(frame, stripped int) uint64 {
	if p.l3 > 0 {
		return uint64(p.l3)
	}
	return uint64(max(frame-stripped-p.l2, 0))
}

// linkEthernet is Ethernet among the types of frames (element 408).
const linkEthernet = 1

// packetRecord makes a flow of one packet out of a record that holds a section of
// it (PSAMP, RFC 5477 §8.5, RFC 7133 §3.1). It returns false where the section is not
// IP, or begins later than the packet.
func (n *Normalizer) packetRecord(m *message, t *template, data []byte, bounds []span, out *Result) bool {
	f := out.newFlow()
	s := &n.scratch
	*s = scratch{}
	n.runAll(m, t, data, bounds, f, s, out)
	frame, link, offset := uint64(0), uint64(linkEthernet), uint64(0)
	for i := range t.fields {
		switch b := t.value(i, data, bounds); t.fields[i].element {
		case ieFrameSize:
			frame = min(uintOf(b), math.MaxUint16)
		case ieFrameType:
			link = uintOf(b)
		case ieLayer2SectionOffset, ieSectionOffset:
			offset = uintOf(b)
		}
	}
	if offset != 0 {
		return false
	}
	p := packetReader{f: f, out: out, outer: m.exp.outerTunnels}
	for i := range t.fields {
		b := t.value(i, data, bounds)
		switch t.fields[i].element {
		case ieFrameSection, ieLayer2Section:
			if p.total = len(b); link == linkEthernet {
				p.ethernet(b)
			}
		case ieIPHeaderSection:
			frame, p.total = 0, len(b) // it begins behind the frame's header
			p.anyIP(b)
		}
		if p.ip {
			break
		}
	}
	if !p.ip {
		return false
	}
	m.common(f)
	n.stamp(m, &t.plan, f, s)
	f.Bytes, f.Packets, f.PacketsUnknown = p.length(max(int(frame), p.total), 0), 1, false
	got := m.samplingOf(s.sel.rate(), s.sampler, f.InIf)
	f.SamplingRate, f.SamplingKind = got.rate, got.kind
	f.Realm = m.exp.realmOfPacket(f, p.vni)
	f.RecordId = m.nextID()
	n.finish(m, f, out)
	return true
}
