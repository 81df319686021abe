package capture

import (
	"encoding/binary"
	"net/netip"

	"github.com/gopacket/gopacket/layers"
)

// verdict is what a packet turned out to be.
type verdict int

const (
	isDatagram verdict = iota
	isSegment
	isFragment
	isOther
	isMalformed
	isUnknownLink
)

// Link types that gopacket does not name (www.tcpdump.org/linktypes.html).
const (
	linkRawBSD  layers.LinkType = 14
	linkSLL2    layers.LinkType = 276
	linkNullLen                 = 4
)

func knownLink(l layers.LinkType) bool {
	switch l {
	case layers.LinkTypeNull, layers.LinkTypeLoop, layers.LinkTypeEthernet, layers.LinkTypeRaw, 12, linkRawBSD,
		layers.LinkTypeIPv4, layers.LinkTypeIPv6, layers.LinkTypeLinuxSLL, linkSLL2, layers.LinkTypePPP:
		return true
	}
	return false
}

// dissector reads the headers of one packet, outside in, and leaves the
// datagram in out, or the segment.
type dissector struct {
	out       *Datagram
	segment   segment
	fragments *fragments
	stats     *Stats
}

func (d *dissector) link(l layers.LinkType, b []byte) verdict {
	switch l {
	case layers.LinkTypeEthernet:
		if len(b) < 14 {
			return isMalformed
		}
		return d.ether(binary.BigEndian.Uint16(b[12:]), b[14:])
	case layers.LinkTypeLinuxSLL:
		if len(b) < 16 {
			return isMalformed
		}
		return d.ether(binary.BigEndian.Uint16(b[14:]), b[16:])
	case linkSLL2:
		if len(b) < 20 {
			return isMalformed
		}
		return d.ether(binary.BigEndian.Uint16(b), b[20:])
	case layers.LinkTypeNull, layers.LinkTypeLoop:
		// The address family, in the byte order of whoever captured: the IP
		// version below says the same.
		if len(b) < linkNullLen {
			return isMalformed
		}
		return d.ip(b[linkNullLen:])
	case layers.LinkTypePPP:
		if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 { // HDLC framing, RFC 1662
			b = b[2:]
		}
		return d.ppp(b)
	}
	return d.ip(b)
}

// maxTags bounds how many tags or labels are walked through.
const maxTags = 8

// ether follows an EtherType through VLAN tags (802.1Q, QinQ), MPLS labels and
// PPPoE sessions.
func (d *dissector) ether(etype uint16, b []byte) verdict {
	for range maxTags {
		switch etype {
		case 0x0800, 0x86dd:
			return d.ip(b)
		case 0x8100, 0x88a8, 0x9100, 0x9200:
			if len(b) < 4 {
				return isMalformed
			}
			etype, b = binary.BigEndian.Uint16(b[2:]), b[4:]
		case 0x8847, 0x8848:
			return d.mpls(b)
		case 0x8864:
			if len(b) < 6 {
				return isMalformed
			}
			return d.ppp(b[6:])
		default:
			return isOther
		}
	}
	return isOther
}

func (d *dissector) mpls(b []byte) verdict {
	for range maxTags {
		if len(b) < 4 {
			return isMalformed
		}
		bottom := b[2]&1 == 1
		b = b[4:]
		if bottom {
			return d.ip(b)
		}
	}
	return isOther
}

func (d *dissector) ppp(b []byte) verdict {
	if len(b) < 2 {
		return isMalformed
	}
	switch binary.BigEndian.Uint16(b) {
	case 0x0021, 0x0057: // IPv4, IPv6
		return d.ip(b[2:])
	}
	return isOther
}

func (d *dissector) ip(b []byte) verdict {
	if len(b) == 0 {
		return isMalformed
	}
	switch b[0] >> 4 {
	case 4:
		return d.ipv4(b)
	case 6:
		return d.ipv6(b)
	}
	return isOther
}

// Protocol numbers (IANA).
const (
	protoTCP = 6
	protoUDP = 17
)

// ipv4 reads an RFC 791 header.
func (d *dissector) ipv4(b []byte) verdict {
	if len(b) < 20 {
		return isMalformed
	}
	header := int(b[0]&0x0f) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 {
		total = len(b) // captured above segmentation offload
	}
	if header < 20 || total < header || len(b) < header {
		return isMalformed
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	body := b[header:min(total, len(b))]
	frag := binary.BigEndian.Uint16(b[6:])
	switch {
	case b[9] == protoTCP && frag&0x3fff == 0:
		return d.tcp(src, dst, body)
	case b[9] != protoUDP:
		return isOther
	case frag&0x3fff == 0: // neither more fragments nor an offset
		return d.udp(src, dst, body, total-header)
	}
	if len(b) < total {
		return isMalformed
	}
	key := fragmentKey{src, dst, uint32(binary.BigEndian.Uint16(b[4:])), protoUDP}
	return d.fragment(key, int(frag&0x1fff)*8, frag&0x2000 != 0, body)
}

// ipv6 reads an RFC 8200 header and its extension headers.
func (d *dissector) ipv6(b []byte) verdict {
	if len(b) < 40 {
		return isMalformed
	}
	next, length := b[6], int(binary.BigEndian.Uint16(b[4:]))
	src, dst := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	b = b[40:]
	if length == 0 {
		length = len(b) // jumbogram, or captured above segmentation offload
	}
	return d.extensions(src, dst, next, b[:min(length, len(b))], length)
}

// extensions walks to the upper layer. length is what the IP header promises of
// b; the capture may hold less.
func (d *dissector) extensions(src, dst netip.Addr, next byte, b []byte, length int) verdict {
	for range maxTags {
		var size int
		switch next {
		case protoUDP:
			return d.udp(src, dst, b, length)
		case protoTCP:
			return d.tcp(src, dst, b)
		case 0, 43, 60, 135: // hop-by-hop, routing, destination options, mobility
			if len(b) < 8 {
				return isMalformed
			}
			size = 8 + int(b[1])*8
		case 51: // authentication header, RFC 4302
			if len(b) < 8 {
				return isMalformed
			}
			size = 8 + int(b[1])*4
		case 44:
			if len(b) < 8 || len(b) < length {
				return isMalformed
			}
			field := binary.BigEndian.Uint16(b[2:])
			key := fragmentKey{src, dst, binary.BigEndian.Uint32(b[4:]), b[0]}
			return d.fragment(key, int(field&0xfff8), field&1 != 0, b[8:])
		default:
			return isOther
		}
		if len(b) < size {
			return isMalformed
		}
		next, b, length = b[0], b[size:], length-size
	}
	return isOther
}

// udp reads an RFC 768 header. length is the size of the whole datagram by the
// IP header; the capture may hold less.
func (d *dissector) udp(src, dst netip.Addr, b []byte, length int) verdict {
	if len(b) < 8 {
		return isMalformed
	}
	size := int(binary.BigEndian.Uint16(b[4:]))
	if size == 0 || size > length {
		size = length
	}
	if size < 8 {
		return isMalformed
	}
	d.out.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b))
	d.out.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:]))
	d.out.Payload = b[8:min(size, len(b))]
	d.out.Truncated = len(b) < size
	return isDatagram
}

// tcp reads an RFC 9293 header. What the capture has cut off a segment is a hole.
func (d *dissector) tcp(src, dst netip.Addr, b []byte) verdict {
	if len(b) < 20 {
		return isOther
	}
	header, flags := int(b[12]>>4)*4, b[13]
	if header < 20 || len(b) < header {
		return isOther
	}
	d.segment = segment{
		from: netip.AddrPortFrom(src, binary.BigEndian.Uint16(b)), to: netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:])),
		seq: binary.BigEndian.Uint32(b[4:]), fin: flags&1 != 0, syn: flags&2 != 0, rst: flags&4 != 0, data: b[header:],
	}
	if d.segment.syn {
		d.segment.seq++ // data begins behind it
	}
	return isSegment
}

// fragment keeps a fragment, and goes on where it was the last one missing.
func (d *dissector) fragment(key fragmentKey, offset int, more bool, b []byte) verdict {
	whole, done := d.fragments.add(d.out.Time, key, offset, more, b)
	if !done {
		return isFragment
	}
	d.stats.Reassembled++
	if key.proto == protoUDP {
		return d.udp(key.src, key.dst, whole, len(whole))
	}
	return d.extensions(key.src, key.dst, key.proto, whole, len(whole))
}
