package biflow

import (
	"encoding/binary"
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// place is where a flow belongs: its conversation's key in the form in which
// conversations hold it, its hash, and the half of its source.
type place struct {
	hash uint64
	// pair has the addresses if they are not both of IPv4; else low and high are they.
	pair              *pair
	low, high         [4]byte
	realm             uint32
	lowPort, highPort uint16
	proto             uint8
	side              uint8
}

// pair is the addresses of a key that is not IPv4's.
type pair struct{ low, high flow.Addr }

// locate finds the place of a flow.
func (in *Input) locate(p *place, r *report) {
	n := &r.Numbers
	src, dst := r.Texts[flow.AtSrc], r.Texts[flow.AtDst]
	p.realm, p.proto = uint32(n[flow.AtRealm]), uint8(n[flow.AtProto])
	if len(src) != 4 || len(dst) != 4 || !flow.HasPorts(p.proto) {
		in.locateAny(p, r)
		return
	}
	low, lowPort := binary.BigEndian.Uint32(src), uint16(n[flow.AtSrcPort])
	high, highPort := binary.BigEndian.Uint32(dst), uint16(n[flow.AtDstPort])
	p.side = 0
	if low > high || low == high && lowPort > highPort {
		low, lowPort, high, highPort = high, highPort, low, lowPort
		p.side = 1
	}
	p.pair = nil
	binary.BigEndian.PutUint32(p.low[:], low)
	binary.BigEndian.PutUint32(p.high[:], high)
	p.lowPort, p.highPort = lowPort, highPort
	p.hash = hash4(low, high, lowPort, highPort, p.realm, p.proto)
}

// locateAny is locate for all flows: IPv6, and protocols without ports.
func (in *Input) locateAny(p *place, r *report) {
	n := &r.Numbers
	k := flow.Key{Realm: p.realm, Proto: p.proto}
	k.Src.Addr, k.Dst.Addr = flow.AddrFrom(r.Texts[flow.AtSrc]), flow.AddrFrom(r.Texts[flow.AtDst])
	k.SetPorts(uint32(n[flow.AtSrcPort]), uint32(n[flow.AtDstPort]), uint32(n[flow.AtICMPType]), uint32(n[flow.AtICMPCode]))
	c, forward := k.Conversation()
	p.side = 0
	if !forward {
		p.side = 1
	}
	p.lowPort, p.highPort = c.Low.Port, c.High.Port
	if !c.Low.Addr.Is4() || !c.High.Addr.Is4() {
		_, p.pair = in.pairs.Next()
		*p.pair = pair{c.Low.Addr, c.High.Addr}
		p.hash = p.pair.hash(p.lowPort, p.highPort, p.realm, p.proto)
		return
	}
	p.pair = nil
	p.low, p.high = [4]byte(c.Low.Addr[12:]), [4]byte(c.High.Addr[12:])
	p.hash = hash4(binary.BigEndian.Uint32(p.low[:]), binary.BigEndian.Uint32(p.high[:]), p.lowPort, p.highPort, p.realm, p.proto)
}

// hash4 is where a conversation of IPv4 lies in the index.
func hash4(low, high uint32, lowPort, highPort uint16, realm uint32, proto uint8) uint64 {
	h := flow.Mix(uint64(low)<<32|uint64(high), uint64(lowPort)<<48|uint64(highPort)<<32|uint64(realm))
	return flow.Mix(h, uint64(proto))
}

// fold mixes a word of ours, as numbers are: the halves of its product with an odd one.
func fold(a, odd uint64) uint64 {
	hi, lo := bits.Mul64(a^0x2d358dccaa6c78a5, odd)
	return hi ^ lo
}

func (p *pair) hash(lowPort, highPort uint16, realm uint32, proto uint8) uint64 {
	k := flow.Key{Src: flow.Endpoint{Addr: p.low, Port: lowPort}, Dst: flow.Endpoint{Addr: p.high, Port: highPort}, Realm: realm, Proto: proto}
	return k.Hash()
}

// lookup finds the newest conversation of a key.
func (t *Table) lookup(p *place) (uint32, bool) {
	for probe := t.index.Probe(p.hash); probe.Next(); {
		if t.is(t.convs.At(probe.Number()), p) {
			return probe.Number(), true
		}
	}
	return 0, false
}

// newest finds the newest conversation of c's key.
func (t *Table) newest(c *conv) (uint32, bool) {
	for probe := t.index.Probe(t.hash(c)); probe.Next(); {
		if t.sameKey(t.convs.At(probe.Number()), c) {
			return probe.Number(), true
		}
	}
	return 0, false
}

// is tells whether a conversation is one of a key.
func (t *Table) is(c *conv, p *place) bool {
	a, b := &c.half[0], &c.half[1]
	if a.port != p.lowPort || b.port != p.highPort || c.proto != p.proto || c.realm != p.realm || c.has(wide) != (p.pair != nil) {
		return false
	}
	if p.pair != nil {
		return *t.pairOf(a) == *p.pair
	}
	return a.addr == p.low && b.addr == p.high
}

// sameKey tells whether two conversations are of one key.
func (t *Table) sameKey(a, b *conv) bool {
	if a.half[0].port != b.half[0].port || a.half[1].port != b.half[1].port || a.proto != b.proto || a.realm != b.realm || a.has(wide) != b.has(wide) {
		return false
	}
	if a.has(wide) {
		return *t.pairOf(&a.half[0]) == *t.pairOf(&b.half[0])
	}
	return a.half[0].addr == b.half[0].addr && a.half[1].addr == b.half[1].addr
}

// hash is where the conversations of c's key lie in the index.
func (t *Table) hash(c *conv) uint64 {
	a, b := &c.half[0], &c.half[1]
	if c.has(wide) {
		return t.pairOf(a).hash(a.port, b.port, c.realm, c.proto)
	}
	return hash4(binary.BigEndian.Uint32(a.addr[:]), binary.BigEndian.Uint32(b.addr[:]), a.port, b.port, c.realm, c.proto)
}

// setKey makes c a conversation of a key.
func (t *Table) setKey(c *conv, p *place) {
	a, b := &c.half[0], &c.half[1]
	c.realm, c.proto, a.port, b.port = p.realm, p.proto, p.lowPort, p.highPort
	if p.pair == nil {
		a.addr, b.addr = p.low, p.high
		c.set(groupLow, isGroup4(p.low))
		c.set(groupHigh, isGroup4(p.high))
		return
	}
	n, addrs := t.pairs.Take()
	*addrs = *p.pair
	binary.NativeEndian.PutUint32(a.addr[:], n)
	b.addr = [4]byte{}
	c.marks |= wide
	c.set(groupLow, isGroup(&p.pair.low))
	c.set(groupHigh, isGroup(&p.pair.high))
}

// pairOf are the addresses of a wide conversation, by its low half.
func (t *Table) pairOf(low *half) *pair { return t.pairs.At(low.pair()) }

func (h *half) pair() uint32 { return binary.NativeEndian.Uint32(h.addr[:]) }

// addresses are those of both endpoints.
func (t *Table) addresses(c *conv) (low, high flow.Addr) {
	if c.has(wide) {
		p := t.pairOf(&c.half[0])
		return p.low, p.high
	}
	return flow.AddrFrom(c.half[0].addr[:]), flow.AddrFrom(c.half[1].addr[:])
}

// wires are the addresses as they go into messages. They alias the table's state.
func (t *Table) wires(c *conv) (low, high []byte) {
	if c.has(wide) {
		p := t.pairOf(&c.half[0])
		return p.low.Wire(), p.high.Wire()
	}
	return c.half[0].addr[:], c.half[1].addr[:]
}

// isGroup tells multicast (224/4, ff00::/8) and limited broadcast addresses.
func isGroup(a *flow.Addr) bool {
	if a.Is4() {
		return isGroup4([4]byte(a[12:]))
	}
	return a[0] == 0xff
}

func isGroup4(a [4]byte) bool { return a[0]>>4 == 0xe || a == [4]byte{255, 255, 255, 255} }

// key is what the conversation is about.
func (t *Table) key(c *conv) (k flow.ConvKey) {
	k.Low.Addr, k.High.Addr = t.addresses(c)
	k.Low.Port, k.High.Port = c.half[0].port, c.half[1].port
	k.Realm, k.Proto = c.realm, c.proto
	return k
}

// flowID names a conversation: xxhash64 over its key, the start and the record
// id of its first flow. 64 bits are enough, because every store also keys by
// endpoints or time. 0 means none, so it is never given.
func (t *Table) flowID(c *conv, s *segment) uint64 {
	var buf [keyLen + 16]byte
	t.putKey(&buf, c)
	binary.BigEndian.PutUint64(buf[keyLen:], s.start)
	binary.BigEndian.PutUint64(buf[keyLen+8:], s.recordID)
	return max(xxhash.Sum64(buf[:]), 1)
}

// keyLen is the length of a key's canonical form (flow.ConvKey.AppendCanonical).
const keyLen = 4 + 1 + 2*18

// putKey writes the canonical form of c's key.
func (t *Table) putKey(b *[keyLen + 16]byte, c *conv) {
	const low, high = 5, 5 + 18 // where the endpoints stand
	binary.BigEndian.PutUint32(b[:], c.realm)
	b[4] = c.proto
	if c.has(wide) {
		p := t.pairOf(&c.half[0])
		copy(b[low:], p.low[:])
		copy(b[high:], p.high[:])
	} else {
		b[low+10], b[low+11], b[high+10], b[high+11] = 0xff, 0xff, 0xff, 0xff
		*(*[4]byte)(b[low+12:]) = c.half[0].addr
		*(*[4]byte)(b[high+12:]) = c.half[1].addr
	}
	binary.BigEndian.PutUint16(b[low+16:], c.half[0].port)
	binary.BigEndian.PutUint16(b[high+16:], c.half[1].port)
}
