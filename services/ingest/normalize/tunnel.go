package normalize

import (
	"encoding/binary"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// Tunnels by protocol and port.
const (
	protoIPv4   = 4
	protoIPv6   = 41
	protoGRE    = 47
	protoMPLS   = 137 // RFC 4023
	protoFrame  = 143 // an Ethernet frame (RFC 8986 §4.9)
	portVXLAN   = 4789
	portVXLANit = 8472 // as Linux had it before there was a number
	portGeneve  = 6081
	portMPLS    = 6635 // RFC 7510
	portVXLANge = 4790 // VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe)
	portGTP     = 2152 // GTP-U (3GPP TS 29.281)

	etherTransparent = 0x6558 // an Ethernet frame (RFC 7637)
	// maxTunnels is how many tunnels in tunnels are followed.
	maxTunnels = 4
)

// inside goes on to the packet in a tunnel (IP in IP, GRE, VXLAN, Geneve, GTP, Ethernet
// or MPLS in IP): who talks to whom is said there. Where it is cut off or is not IP, the
// flow stays the tunnel's, and so it does of what mirrors packets that went elsewhere
// (ERSPAN). b is what follows the IP header.
func (p *packetReader) inside(proto uint8, b []byte) {
	if p.outer || p.tunnels == maxTunnels {
		return
	}
	switch proto {
	case protoIPv4, protoIPv6:
		p.insideIP(b)
	case protoGRE:
		p.insideGRE(b)
	case protoMPLS:
		p.insideMPLS(b)
	case protoFrame:
		p.insideFrame(b, 0)
	case flow.ProtoUDP:
		if len(b) < 16 {
			return
		}
		switch binary.BigEndian.Uint16(b[2:]) {
		case portVXLAN, portVXLANit: // RFC 7348 §5
			if b[8]&0x08 != 0 {
				p.insideFrame(b[16:], uint32(uintOf(b[12:15])))
			}
		case portVXLANge:
			p.insideGPE(b[8:])
		case portGTP:
			p.insideGTP(b[8:])
		case portMPLS:
			p.insideMPLS(b[8:])
		case portGeneve: // RFC 8926 §3.4
			options := 4 * int(b[8]&0x3f)
			if b[8]>>6 == 0 && len(b) >= 16+options {
				p.insideAny(binary.BigEndian.Uint16(b[10:]), b[16+options:], uint32(uintOf(b[12:15])))
			}
		}
	}
}

// insideGPE skips the header of VXLAN-GPE, which names what follows if it says so (P),
// and else has a frame behind it (draft-ietf-nvo3-vxlan-gpe §3).
func (p *packetReader) insideGPE(b []byte) {
	const instance, nextProtocol, version = 0x08, 0x04, 0x30
	if len(b) < 8 || b[0]&instance == 0 || b[0]&version != 0 {
		return
	}
	next := b[3]
	if b[0]&nextProtocol == 0 {
		next = 3
	}
	switch next {
	case 1, 2:
		p.insideIP(b[8:])
	case 3:
		p.insideFrame(b[8:], uint32(uintOf(b[4:7])))
	case 5:
		p.insideMPLS(b[8:])
	}
}

// insideGTP skips the header of a GTP-U packet that carries a user's, and the
// extension headers behind it (3GPP TS 29.281 §5.1, §5.2.1).
func (p *packetReader) insideGTP(b []byte) {
	const version1, user, optional, extended = 0x30, 0xff, 0x07, 0x04
	if len(b) < 8 || b[0]&0xf0 != version1 || b[1] != user {
		return
	}
	at := 8
	if b[0]&optional != 0 {
		at = 12
		for more := b[0]&extended != 0; more && len(b) > at && b[at-1] != 0; {
			if b[at] == 0 {
				return
			}
			at += 4 * int(b[at]) // its last byte names the next one
			more = len(b) >= at
		}
	}
	if len(b) >= at {
		p.insideIP(b[at:])
	}
}

// insideGRE skips GRE's header, of version 0 (RFC 2784, RFC 2890).
func (p *packetReader) insideGRE(b []byte) {
	if len(b) < 4 || b[1]&7 != 0 || b[0]&0x40 != 0 {
		return
	}
	size := 4
	for _, bit := range []byte{0x80, 0x20, 0x10} { // checksum, key, sequence number
		if b[0]&bit != 0 {
			size += 4
		}
	}
	if len(b) < size {
		return
	}
	vni := uint32(0)
	kind := binary.BigEndian.Uint16(b[2:])
	if b[0]&0x20 != 0 && kind == etherTransparent { // NVGRE: the upper 24 bits of the key
		at := size - 4
		if b[0]&0x10 != 0 {
			at -= 4
		}
		vni = uint32(uintOf(b[at : at+3]))
	}
	p.insideAny(kind, b[size:], vni)
}

// insideAny goes on to what an EtherType announces.
func (p *packetReader) insideAny(kind uint16, b []byte, vni uint32) {
	switch kind {
	case etherIPv4, etherIPv6:
		p.insideIP(b)
	case etherTransparent:
		p.insideFrame(b, vni)
	case etherMPLS:
		p.insideMPLS(b)
	}
}

// insideMPLS goes on to the IP packet below a label stack.
func (p *packetReader) insideMPLS(b []byte) {
	at := 0
	for len(b) >= at+4 && b[at+2]&1 == 0 { // not the bottom of the stack
		at += 4
	}
	if len(b) >= at+4 && wholeIP(b[at+4:]) {
		p.leaveOuter()
		p.mpls(b)
	}
}

func (p *packetReader) insideIP(b []byte) {
	if wholeIP(b) {
		p.leaveOuter()
		p.anyIP(b)
	}
}

func (p *packetReader) insideFrame(b []byte, vni uint32) {
	if !framedIP(b) {
		return
	}
	p.leaveOuter()
	f := p.f
	f.SrcVlan, f.DstVlan, f.VlanId = 0, 0, 0
	if vni != 0 {
		p.vni = vni
	}
	p.ethernet(b)
}

// framedIP tells whether a frame is there as far as the IP header in it.
func framedIP(b []byte) bool {
	at := ethernetHeader
	for tags := 0; tags < maxVLANTags && len(b) >= at+4; tags++ {
		kind := binary.BigEndian.Uint16(b[at-2:])
		if kind != etherVLAN && kind != etherQinQ && kind != etherQinQOld {
			break
		}
		at += 4
	}
	if len(b) < at {
		return false
	}
	kind := binary.BigEndian.Uint16(b[at-2:])
	return (kind == etherIPv4 || kind == etherIPv6) && wholeIP(b[at:])
}

// leaveOuter forgets of the tunnel's packet what the one inside may not have.
func (p *packetReader) leaveOuter() {
	p.tunnels++
	f := p.f
	f.SrcPort, f.DstPort, f.TcpFlags, f.IcmpType, f.IcmpCode = 0, 0, 0, 0, 0
	f.FragmentId, f.FragmentOffset, f.IpFlags, f.Ipv6FlowLabel = 0, 0, 0, 0
}

// wholeIP tells whether a packet's IP header is there.
func wholeIP(b []byte) bool {
	return len(b) >= 20 && b[0]>>4 == 4 && b[0]&15 >= 5 || len(b) >= 40 && b[0]>>4 == 6
}
