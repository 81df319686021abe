// Package flow is what every stage knows of a flow: its keys, the hash that
// picks its partition, the order of records within a tick, and the codec of
// batches.
//
//	Flow ──KeyOf──▶ Key (one direction) ──Conversation──▶ ConvKey ──Hash──▶ partition
package flow

import (
	"cmp"
	"encoding/binary"
	"math/bits"
	"net/netip"

	"github.com/cespare/xxhash/v2"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// IP protocol numbers that are treated apart (IANA protocol numbers).
const (
	ProtoICMP   = 1
	ProtoTCP    = 6
	ProtoUDP    = 17
	ProtoICMPv6 = 58
	ProtoSCTP   = 132
)

// Addr is an address as 16 bytes; IPv4 is v4-mapped. Comparable and free of pointers.
type Addr [16]byte

// AddrFrom reads a wire address of 4 or 16 bytes. Anything else is the zero address.
func AddrFrom(b []byte) (a Addr) {
	a.Set(b)
	return a
}

// Set is AddrFrom in place, by whole words: what is written in pieces and then copied
// as a whole makes the copy wait.
func (a *Addr) Set(b []byte) {
	var high, low uint64
	switch len(b) {
	case 4:
		low = 0xffff<<16 | uint64(binary.LittleEndian.Uint32(b))<<32
	case 16:
		high, low = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	}
	binary.LittleEndian.PutUint64(a[:], high)
	binary.LittleEndian.PutUint64(a[8:], low)
}

// Is4 tells whether a is a v4-mapped address.
func (a *Addr) Is4() bool {
	return binary.BigEndian.Uint64(a[:8]) == 0 && a[8] == 0 && a[9] == 0 && a[10] == 0xff && a[11] == 0xff
}

// Wire is the address as it goes into messages: 4 bytes for IPv4, else 16. It aliases a.
func (a *Addr) Wire() []byte {
	if a.Is4() {
		return a[12:16]
	}
	return a[:]
}

// Netip is the address as a netip.Addr, unmapped.
func (a *Addr) Netip() netip.Addr { return netip.AddrFrom16(*a).Unmap() }

// Endpoint is an address and a port.
type Endpoint struct {
	Addr Addr
	Port uint16
}

// Compare orders endpoints by address, then port.
func (e *Endpoint) Compare(o *Endpoint) int {
	for i := 0; i < 16; i += 8 {
		x, y := binary.BigEndian.Uint64(e.Addr[i:]), binary.BigEndian.Uint64(o.Addr[i:])
		if x != y {
			if x < y {
				return -1
			}
			return 1
		}
	}
	return int(e.Port) - int(o.Port)
}

// Key identifies one direction of a conversation.
type Key struct {
	Src, Dst Endpoint
	Realm    uint32
	Proto    uint8
}

// Compare orders keys by source, destination, realm and protocol.
func (k *Key) Compare(o *Key) int {
	return cmp.Or(k.Src.Compare(&o.Src), k.Dst.Compare(&o.Dst), cmp.Compare(k.Realm, o.Realm), cmp.Compare(k.Proto, o.Proto))
}

// KeyOf reads a flow's key. ICMP has its request's type and code for the port of
// the side that is asked, so that request and reply meet and different
// messages stay apart; other protocols without ports have port 0 on both ends.
func KeyOf(f *flowv1.Flow) (k Key) {
	k.of(f)
	return k
}

func (k *Key) of(f *flowv1.Flow) {
	k.Realm, k.Proto = f.Realm, uint8(f.Proto)
	k.Src.Addr.Set(f.SrcAddr)
	k.Dst.Addr.Set(f.DstAddr)
	k.SetPorts(f.SrcPort, f.DstPort, f.IcmpType, f.IcmpCode)
}

// SetPorts sets the ports of a key that has its protocol; see KeyOf.
func (k *Key) SetPorts(src, dst, icmpType, icmpCode uint32) {
	k.Src.Port, k.Dst.Port = 0, 0
	switch {
	case HasPorts(k.Proto):
		k.Src.Port, k.Dst.Port = uint16(src), uint16(dst)
	case IsICMP(k.Proto):
		asked, reply := ICMPRequest(k.Proto, uint8(icmpType))
		port := uint16(asked)<<8 | uint16(uint8(icmpCode))
		switch {
		case src != 0: // a reply that mirrors its request's type and code
			k.Src.Port = uint16(src)
		case reply:
			k.Src.Port = port
		default:
			k.Dst.Port = port
		}
	}
}

// IsICMP tells ICMP and ICMPv6.
func IsICMP(proto uint8) bool { return proto == ProtoICMP || proto == ProtoICMPv6 }

// ICMPRequest is the type that a message of type typ replies to; anything that
// is no reply stands for itself (IANA icmp-parameters, icmpv6-parameters). An
// exporter that does not tell types looks as if all were echo replies.
func ICMPRequest(proto, typ uint8) (request uint8, reply bool) {
	if proto == ProtoICMP {
		switch typ {
		case 0:
			return 8, true
		case 9: // a router advertisement, to a solicitation (RFC 1256)
			return 10, true
		case 14, 16, 18, 43:
			return typ - 1, true
		}
		return typ, false
	}
	switch typ {
	case 129, 134, 136, 140, 161:
		return typ - 1, true
	}
	return typ, false
}

// ICMPWayBack is the type of what comes back: to a request the reply, to a reply the request.
// To anything else nothing does, so that it is the same type.
func ICMPWayBack(proto, typ uint8) uint8 {
	if request, reply := ICMPRequest(proto, typ); reply {
		return request
	}
	for _, t := range [...]uint8{typ + 1, typ - 1, 0} { // 10 is answered by 9, 8 by 0
		if request, reply := ICMPRequest(proto, t); reply && request == typ {
			return t
		}
	}
	return typ
}

// HasPorts tells whether a protocol has ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
func HasPorts(proto uint8) bool {
	switch proto {
	case ProtoTCP, ProtoUDP, 33, ProtoSCTP, 136:
		return true
	}
	return false
}

// ConvKey identifies a conversation, whichever way a flow went: Low is the
// endpoint that compares lower.
type ConvKey struct {
	Low, High Endpoint
	Realm     uint32
	Proto     uint8
}

// Conversation is the key of both directions; forward tells that k's source is Low.
func (k *Key) Conversation() (c ConvKey, forward bool) {
	c.Realm, c.Proto = k.Realm, k.Proto
	if k.Src.Compare(&k.Dst) <= 0 {
		c.Low, c.High = k.Src, k.Dst
		return c, true
	}
	c.Low, c.High = k.Dst, k.Src
	return c, false
}

// convLen is the canonical form: realm 4, proto 1, two endpoints of 18.
const convLen = 4 + 1 + 2*18

// AppendCanonical appends the key's canonical bytes: realm, protocol, low
// endpoint, high endpoint, all big-endian.
func (c *ConvKey) AppendCanonical(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, c.Realm)
	b = append(b, c.Proto)
	b = append(b, c.Low.Addr[:]...)
	b = binary.BigEndian.AppendUint16(b, c.Low.Port)
	b = append(b, c.High.Addr[:]...)
	return binary.BigEndian.AppendUint16(b, c.High.Port)
}

// Hash is xxhash64 over the canonical bytes: it picks the partition and starts
// the flow id.
func (c *ConvKey) Hash() uint64 {
	var buf [convLen]byte
	return xxhash.Sum64(c.AppendCanonical(buf[:0]))
}

// Partition is where a hash lives among n partitions.
func Partition(hash uint64, n int) int {
	if n&(n-1) == 0 { // as mostly, and a division takes as long as all else
		return int(hash) & (n - 1)
	}
	return int(hash % uint64(n))
}

// ConversationHash is the hash by which flows.raw and flows.deduped are partitioned.
func ConversationHash(f *flowv1.Flow) uint64 {
	if proto := uint8(f.Proto); len(f.SrcAddr) == 4 && len(f.DstAddr) == 4 && HasPorts(proto) {
		return conversationHash4(f.Realm, proto, f.SrcAddr, f.DstAddr, uint16(f.SrcPort), uint16(f.DstPort))
	}
	k := KeyOf(f)
	c, _ := k.Conversation()
	return c.Hash()
}

// HashOf is ConversationHash of a flow of which only that is known; ICMP is not for it.
func HashOf(realm uint32, proto uint8, src, dst []byte, srcPort, dstPort uint16) uint64 {
	if len(src) == 4 && len(dst) == 4 && HasPorts(proto) {
		return conversationHash4(realm, proto, src, dst, srcPort, dstPort)
	}
	return hashOf(realm, proto, src, dst, uint32(srcPort), uint32(dstPort), 0, 0)
}

// HashOfICMP is ConversationHash of a flow of ICMP that says its type and code.
func HashOfICMP(realm uint32, proto uint8, src, dst []byte, icmpType, icmpCode uint32) uint64 {
	return hashOf(realm, proto, src, dst, 0, 0, icmpType, icmpCode)
}

func hashOf(realm uint32, proto uint8, src, dst []byte, srcPort, dstPort, icmpType, icmpCode uint32) uint64 {
	k := Key{Realm: realm, Proto: proto}
	k.Src.Addr, k.Dst.Addr = AddrFrom(src), AddrFrom(dst)
	k.SetPorts(srcPort, dstPort, icmpType, icmpCode)
	c, _ := k.Conversation()
	return c.Hash()
}

// conversationHash4 is the hash of what most flows are, IPv4 with ports, without the
// detour by keys, which takes four times as long. The words are those of the canonical
// form, its 41 bytes read as little-endian numbers: realm, protocol, and each endpoint
// as ten zeroes, ff ff, address and port.
func conversationHash4(realm uint32, proto uint8, src, dst []byte, lowPort, highPort uint16) uint64 {
	low, high := binary.BigEndian.Uint32(src), binary.BigEndian.Uint32(dst)
	if low > high || low == high && lowPort > highPort {
		low, lowPort, high, highPort = high, highPort, low, lowPort
	}
	return hash41(
		uint64(bits.ReverseBytes32(realm))|uint64(proto)<<32,                              // 0xff<<56 follows: second4
		0xff|uint64(bits.ReverseBytes32(low))<<8|uint64(bits.ReverseBytes16(lowPort))<<40, // 0: fourth4
		0xffff<<8|uint64(bits.ReverseBytes32(high))<<24|uint64(highPort>>8)<<56,
		uint64(highPort&0xff))
}

// HostHash is the hash by which biflows (client), activity (host) and alerts
// (accused) are partitioned: xxhash64 of the 16-byte address.
func HostHash(addr []byte) uint64 {
	a := AddrFrom(addr)
	return xxhash.Sum64(a[:])
}

// ExporterHash is the hash by which events, dns, exporters and flows.dead are
// partitioned: xxhash64 of the 16-byte sampler address.
func ExporterHash(addr []byte) uint64 { return HostHash(addr) }
