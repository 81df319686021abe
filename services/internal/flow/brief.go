package flow

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Brief is what must be known of a flow to say what becomes of it, without the
// rest being decoded: dedup passes most flows on as they lie on the wire, with
// what it has to add put in between (Spliced).
type Brief struct {
	Key     Key
	Sampler Addr
	// Egress tells a point that meters what leaves.
	Egress bool
	Late   bool
	// Telling flows have fields that few exporters know: names, users, rules, and
	// addresses after translation.
	Telling bool
	// TCPFlags are 0 for other protocols.
	TCPFlags uint16
	// Tail is where in Wire the fields behind authority begin.
	Tail                               uint32
	InIf, Domain                       uint32
	ActiveTimeoutMs, InactiveTimeoutMs uint32

	Bytes, Packets, SamplingRate                             uint64
	TimeReceivedNs, TimeFlowStartNs, TimeFlowEndNs, RecordID uint64
	// Wire is the flow as it came. It aliases the batch.
	Wire []byte
}

// Of reads a flow that is decoded; it has no Wire.
func (b *Brief) Of(f *flowv1.Flow) {
	b.Key.of(f)
	b.Sampler.set(f.SamplerAddress)
	b.Egress, b.Late = f.Direction == flowv1.Direction_DIRECTION_EGRESS, f.Late
	b.InIf, b.Domain = f.InIf, f.ObservationDomainId
	b.ActiveTimeoutMs, b.InactiveTimeoutMs = f.ActiveTimeoutMs, f.InactiveTimeoutMs
	b.Bytes, b.Packets, b.SamplingRate = f.Bytes, f.Packets, f.SamplingRate
	b.TimeReceivedNs, b.TimeFlowStartNs, b.TimeFlowEndNs, b.RecordID = f.TimeReceivedNs, f.TimeFlowStartNs, f.TimeFlowEndNs, f.RecordId
	b.TCPFlags = tcpFlags(b.Key.Proto, uint64(f.TcpFlags))
	b.Telling = Telling(f)
	b.Wire, b.Tail = nil, 0
}

// Telling tells whether a flow has what few exporters know: names, users, rules,
// and addresses after translation.
func Telling(f *flowv1.Flow) bool {
	return len(f.PostSrcAddr)|len(f.PostDstAddr)|len(f.Application)|len(f.User)|len(f.HttpHost)|len(f.HttpUrl)|len(f.DnsName)|
		len(f.FirewallRule) != 0 || f.PostSrcPort|f.PostDstPort != 0
}

// tcpFlags are 0 for other protocols, where exporters put anything there.
func tcpFlags(proto uint8, flags uint64) uint16 {
	if proto != ProtoTCP {
		return 0
	}
	return uint16(flags)
}

// Field numbers of Flow that are spoken of here.
const (
	fieldReporters = 205
	fieldAuthority = 206
)

// trait is what a reader of wire forms must know of a field.
type trait uint8

const (
	// isVarint, isFixed and isBytes are how the field lies on the wire; with none
	// of them the field is unknown.
	isVarint trait = 1 << iota
	isFixed
	isBytes
	// repeated fields may come more than once.
	repeated
	// nested fields have something in them that may be wrong.
	nested
	// reported fields are Reporter's too, under the same number.
	reported
	// telling fields are what few exporters know, a firewall or a probe.
	telling
	// ours is what dedup says, which nobody may have said before, not even that it is zero.
	ours
)

// traits are those of Flow's fields by number.
var traits = [256]trait{
	1: isVarint | reported, 3: isVarint | reported, 4: isVarint, 6: isBytes, 7: isBytes,
	9: isVarint | reported, 10: isVarint | reported, 11: isBytes | reported, 12: isBytes | reported,
	13: isVarint, 14: isVarint | reported, 15: isVarint | reported, 16: isVarint, 17: isVarint,
	18: isVarint | reported, 19: isVarint | reported, 20: isVarint, 21: isVarint, 22: isVarint,
	23: isVarint | reported, 24: isVarint | reported, 25: isVarint, 26: isVarint | reported, 27: isVarint, 28: isVarint,
	29: isVarint | reported, 30: isVarint, 31: isVarint, 32: isVarint, 33: isVarint, 34: isVarint,
	35: isVarint, 36: isVarint, 37: isVarint, 38: isVarint,
	70: isVarint | reported, 71: isVarint,
	80: isBytes | nested, 81: isBytes | nested, 82: isBytes | repeated,
	100: isBytes, 101: isBytes | nested, 102: isBytes | nested,
	110: isVarint, 111: isVarint | reported, 112: isVarint | reported,
	200: isVarint | reported, 201: isVarint, 202: isVarint, 203: isFixed, 204: isVarint,
	fieldReporters: isBytes | repeated | nested, fieldAuthority: isVarint | ours,
	207: isBytes | reported | telling, 208: isBytes | reported | telling, 209: isVarint | reported | telling, 210: isVarint | reported | telling,
	211: isBytes | reported | telling, 212: isBytes | reported | telling, 213: isBytes | reported | telling, 214: isBytes | reported | telling, 215: isBytes | reported | telling,
	220: isBytes | nested, 230: isVarint, 231: isVarint, 232: isFixed | reported,
	233: isVarint, 234: isVarint, 235: isVarint, 236: isVarint | reported, 237: isBytes | reported | telling,
	238: isVarint, 239: isVarint, 240: isVarint, 241: isVarint, 242: isVarint, 243: isVarint,
}

// Places of the numbers that a Brief is made of; those of all other fields go
// to the first.
const (
	_ = iota
	atRate
	atBytes
	atPackets
	atInIf
	atProto
	atSrcPort
	atDstPort
	atICMPType
	atICMPCode
	atFlags
	atDomain
	atReceived
	atStart
	atEnd
	atDirection
	atRealm
	atActive
	atInactive
	atLate
	places
)

var placeOf = [256]uint8{
	3: atRate, 9: atBytes, 10: atPackets, 18: atInIf, 20: atProto, 21: atSrcPort, 22: atDstPort, 26: atFlags, 70: atDomain,
	31: atICMPType, 32: atICMPCode, 110: atReceived, 111: atStart, 112: atEnd, 200: atDirection, 201: atRealm,
	233: atActive, 234: atInactive, 241: atLate,
}

// reading is how a flow could be read.
type reading uint8

const (
	// plain flows are read.
	plain reading = iota
	// doubtful ones are read too, but have parts that only a decoder can judge.
	doubtful
	// unusual ones must be decoded and encoded anew: fields are out of order, or
	// there more than once, or they are not what they should be.
	unusual
)

// read reads a flow from its wire form.
func (b *Brief) read(wire []byte) reading {
	var (
		v    [places]uint64
		last uint
		told trait
		how  = plain
		tail = 0
		i    = 0
	)
	b.Key.Src.Addr, b.Key.Dst.Addr, b.Sampler, b.RecordID = Addr{}, Addr{}, Addr{}, 0
	for i < len(wire) {
		start, t := i, uint(wire[i])
		i++
		if t >= 0x80 && i < len(wire) {
			t = t&0x7f | uint(wire[i])<<7 // longer ones are of no field that we know
			i++
		}
		number := t >> 3
		if number >= uint(len(traits)) || traits[number] == 0 {
			known, _, n := protowire.ConsumeField(wire[start:])
			if n < 0 || int(known) < len(traits) && traits[known] != 0 { // one that we know, behind a tag that is too long
				return unusual
			}
			i = start + n
			continue
		}
		is := traits[number]
		if number <= last && (number < last || is&repeated == 0) {
			return unusual
		}
		last = number
		told |= is
		switch {
		case t&7 == varint && is&isVarint != 0:
			if i < len(wire) && wire[i] < 0x80 {
				v[placeOf[number]] = uint64(wire[i])
				i++
				break
			}
			x, end := Varint(wire, i)
			if end < 0 {
				return unusual
			}
			v[placeOf[number]] = x
			i = end
		case t&7 == text && is&isBytes != 0:
			size, begin := Varint(wire, i)
			if begin < 0 || size > uint64(len(wire)-begin) {
				return unusual
			}
			i = begin
			switch end := i + int(size); number {
			case 6:
				b.Key.Src.Addr.set(wire[i:end])
				i = end
			case 7:
				b.Key.Dst.Addr.set(wire[i:end])
				i = end
			case 11:
				b.Sampler.set(wire[i:end])
				i = end
			default:
				i = end
			}
			if is&nested != 0 {
				how = doubtful
			}
		case t&7 == fixed8 && is&isFixed != 0:
			if len(wire)-i < 8 {
				return unusual
			}
			if number == 232 {
				b.RecordID = binary.LittleEndian.Uint64(wire[i:])
			}
			i += 8
		default:
			return unusual
		}
		if number < fieldAuthority {
			tail = i
		}
	}
	if told&ours != 0 {
		return unusual
	}
	b.Wire, b.Tail = wire, uint32(tail)
	b.Key.Realm, b.Key.Proto = uint32(v[atRealm]), uint8(v[atProto])
	b.Key.SetPorts(uint32(v[atSrcPort]), uint32(v[atDstPort]), uint32(v[atICMPType]), uint32(v[atICMPCode]))
	b.Egress, b.Late = uint32(v[atDirection]) == uint32(flowv1.Direction_DIRECTION_EGRESS), v[atLate] != 0
	b.InIf, b.Domain = uint32(v[atInIf]), uint32(v[atDomain])
	b.ActiveTimeoutMs, b.InactiveTimeoutMs = uint32(v[atActive]), uint32(v[atInactive])
	b.TCPFlags, b.Telling = tcpFlags(b.Key.Proto, v[atFlags]), told&telling != 0
	b.Bytes, b.Packets, b.SamplingRate = v[atBytes], v[atPackets], v[atRate]
	b.TimeReceivedNs, b.TimeFlowStartNs, b.TimeFlowEndNs = v[atReceived], v[atStart], v[atEnd]
	return how
}
