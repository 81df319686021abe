package biflow

import (
	"encoding/binary"
	"math/bits"

	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Wire types (protobuf encoding).
const (
	varint = 0
	fixed8 = 1
	text   = 2
)

// known are the fields of Flow and Reporter that a reader may pass over, by number:
// one higher than the wire type they must have. All else is not for a reader in a
// hurry: it gives up, and the generated code decides.
type known [256]uint8

var flowPassed = passed([]int{4, 13, 14, 15, 16, 17, 18, 19, 23, 25, 27, 28, 29, 30, 33, 34, 35, 36, 37, 38, 71, 206, 234, 239, 240, 243},
	[]int{12, 100}, []int{203})

var reporterPassed = passed([]int{1, 3, 9, 10, 14, 15, 18, 19, 23, 26, 29, 111, 112, 209, 210},
	[]int{12, 207, 208, 211, 212, 213, 214, 215, 237}, []int{232})

func passed(varints, texts, fixed []int) (k known) {
	for _, n := range varints {
		k[n] = 1 + varint
	}
	for _, n := range texts {
		k[n] = 1 + text
	}
	for _, n := range fixed {
		k[n] = 1 + fixed8
	}
	return k
}

// read reads what a table looks at off a flow's message into an empty segment, and
// tells whether that was all as it mostly is. If not, s is of no use. Flows have
// some thirty fields, so this is one loop without calls for most of them.
func (s *segment) read(msg []byte, in *Input) bool {
	var did actions
	views := len(in.views)
	for i := 0; i < len(msg); {
		tag := uint(msg[i])
		i++
		if tag >= 0x80 {
			if i == len(msg) || msg[i] >= 0x10 {
				return in.giveUp(views) // no number below 256
			}
			tag = tag&0x7f | uint(msg[i])<<7
			i++
		}
		number := uint8(tag >> 3)
		if tag&7 == fixed8 && len(msg)-i >= 8 {
			if number == 232 {
				s.recordID = binary.LittleEndian.Uint64(msg[i:])
			} else if flowPassed[number] != 1+fixed8 {
				return in.giveUp(views)
			}
			i += 8
			continue
		}
		if i == len(msg) {
			return in.giveUp(views)
		}
		v := uint64(msg[i])
		i++
		if v >= 0x80 {
			if v, i = longer(msg, i); i < 0 {
				return in.giveUp(views)
			}
		}
		switch tag & 7 {
		case varint:
			if !s.number(number, v, &did) {
				return in.giveUp(views)
			}
		case text:
			if v > uint64(len(msg)-i) || !s.text(number, msg[i:i+int(v):i+int(v)], in) {
				return in.giveUp(views)
			}
			i += int(v)
		default:
			return in.giveUp(views)
		}
	}
	s.marks, s.deleted = did.marks, did.firewall == eventDeleted
	s.marks.set(denied, did.denied())
	if len(in.views) > views {
		s.reporters = in.views[views:]
	}
	return true
}

// giveUp forgets the views of a flow that is read in another way.
func (in *Input) giveUp(views int) bool {
	in.views = in.views[:views]
	return false
}

// longer reads a number whose first byte, before msg[i], says that there are more,
// and tells where it ends; -1 if it does not. Up to nine bytes, as times have, are
// taken at once.
func longer(msg []byte, i int) (uint64, int) {
	if len(msg)-i >= 8 {
		x := binary.LittleEndian.Uint64(msg[i:])
		if last := ^x & 0x8080808080808080; last != 0 {
			x &= last ^ (last - 1) // up to the first byte that says that it is the last
			x = x&0x007f007f007f007f | x>>1&0x3f803f803f803f80
			x = x&0x00003fff00003fff | x>>2&0x0fffc0000fffc000
			x = x&0x000000000fffffff | x>>4&0x00fffffff0000000
			return x<<7 | uint64(msg[i-1])&0x7f, i + bits.TrailingZeros64(last)/8 + 1
		}
	}
	v, n := binary.Uvarint(msg[i-1:])
	if n <= 0 {
		return 0, -1
	}
	return v, i - 1 + n
}

// actions are what was done to a flow, and what it says of itself.
type actions struct {
	forwarding, firewall uint32
	marks                marks
}

// setTo sets a mark or takes it off: of a field that comes twice the last counts.
func (a *actions) setTo(m marks, v bool) {
	a.marks &^= m
	a.marks.set(m, v)
}

func (a *actions) denied() bool { return denies(a.firewall, a.forwarding, nil) }

// number takes a number in.
func (s *segment) number(number uint8, v uint64, did *actions) bool {
	switch number {
	case 1:
		s.typ = flowv1.FlowType(v)
	case 3:
		s.rate = v
	case 9:
		s.bytes = v
	case 10:
		s.packets = v
	case 20:
		s.proto = uint8(v)
	case 21:
		s.srcPort = uint32(v)
	case 22:
		s.dstPort = uint32(v)
	case 24:
		did.forwarding = uint32(v)
	case 26:
		s.tcpFlags = uint32(v)
	case 31:
		s.icmpType = uint32(v)
	case 32:
		s.icmpCode = uint32(v)
	case 70:
		s.domain = uint32(v)
	case 110:
		s.received = v
	case 111:
		s.start = v
	case 112:
		s.end = v
	case 200:
		s.egress = flowv1.Direction(v) == flowv1.Direction_DIRECTION_EGRESS
	case 201:
		s.realm = uint32(v)
	case 202:
		s.endReason = uint32(v)
	case 204:
		s.hint = flowv1.InitiatorHint(v)
	case 230:
		s.quality = uint8(v)
	case 231:
		s.kind = uint8(v)
	case 233:
		s.activeMs = uint32(v)
	case 235:
		did.setTo(reverse, v != 0)
	case 236:
		did.firewall = uint32(v)
	case 238:
		s.initialFlags = uint32(v)
	case 241:
		s.late = v != 0
	case 242:
		did.setTo(packetsUnknown, v != 0)
	default:
		return flowPassed[number] == 1+varint
	}
	return true
}

// text takes bytes in. What few flows tell is not read here.
func (s *segment) text(number uint8, b []byte, in *Input) bool {
	switch number {
	case 6:
		s.src = b
	case 7:
		s.dst = b
	case 11:
		s.sampler = b
	case 205:
		v, ok := readView(b)
		in.views = append(in.views, v)
		return ok
	default:
		return flowPassed[number] == 1+text
	}
	return true
}

// readView reads a reporter.
func readView(msg []byte) (v view, ok bool) {
	var did actions
	for i := 0; i < len(msg); {
		f, next := nextField(msg, i)
		if next < 0 {
			return v, false
		}
		i = next
		switch {
		case f.number == 11 && f.kind == text:
			v.sampler = flow.AddrFrom(f.bytes)
		case f.number == 70 && f.kind == varint:
			v.domain = uint32(f.value)
		case f.number == 200 && f.kind == varint:
			v.egress = flowv1.Direction(f.value) == flowv1.Direction_DIRECTION_EGRESS
		case f.number == 24 && f.kind == varint:
			did.forwarding = uint32(f.value)
		case f.number == 236 && f.kind == varint:
			did.firewall = uint32(f.value)
		case reporterPassed[f.number] != 1+f.kind:
			return v, false
		}
	}
	v.denied = did.denied()
	return v, true
}

// field is one field of a reporter.
type field struct {
	number uint8
	kind   uint8
	// value is a number, bytes a text.
	value uint64
	bytes []byte
}

// nextField reads the field at msg[i] and tells where the next is; -1 if it is
// none that is expected there.
func nextField(msg []byte, i int) (f field, next int) {
	tag := uint(msg[i])
	i++
	if tag >= 0x80 {
		if i == len(msg) || msg[i] >= 0x10 {
			return f, -1
		}
		tag = tag&0x7f | uint(msg[i])<<7
		i++
	}
	f.number, f.kind = uint8(tag>>3), uint8(tag&7)
	if f.kind == fixed8 && len(msg)-i >= 8 {
		return f, i + 8 // nothing fixed is looked at
	}
	if f.kind != varint && f.kind != text || i == len(msg) {
		return f, -1
	}
	f.value = uint64(msg[i])
	i++
	if f.value >= 0x80 {
		if f.value, i = longer(msg, i); i < 0 {
			return f, -1
		}
	}
	if f.kind == text {
		if f.value > uint64(len(msg)-i) {
			return f, -1
		}
		f.bytes = msg[i : i+int(f.value)]
		i += int(f.value)
	}
	return f, i
}
