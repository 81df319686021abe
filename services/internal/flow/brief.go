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
	b.Sampler.Set(f.SamplerAddress)
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
	fieldReporters: isBytes | repeated | nested, fieldAuthority: isVarint,
	207: isBytes | reported | telling, 208: isBytes | reported | telling, 209: isVarint | reported | telling, 210: isVarint | reported | telling,
	211: isBytes | reported | telling, 212: isBytes | reported | telling, 213: isBytes | reported | telling, 214: isBytes | reported | telling, 215: isBytes | reported | telling,
	220: isBytes | nested, 230: isVarint, 231: isVarint, 232: isFixed | reported,
	233: isVarint, 234: isVarint, 235: isVarint, 236: isVarint | reported, 237: isBytes | reported | telling,
	238: isVarint, 239: isVarint, 240: isVarint, 241: isVarint, 242: isVarint, 243: isVarint,
}

// placeOf is where the fields go that a Brief is made of; all others go to the first place.
var placeOf = [256]uint8{
	6: AtSrc, 7: AtDst, 11: AtSampler, 232: AtRecordID,
	3: AtRate, 9: AtBytes, 10: AtPackets, 18: AtInIf, 20: AtProto, 21: AtSrcPort, 22: AtDstPort, 26: AtFlags, 70: AtDomain,
	31: AtICMPType, 32: AtICMPCode, 110: AtReceived, 111: AtStart, 112: AtEnd, 200: AtDirection, 201: AtRealm,
	233: AtActive, 234: AtInactive, 241: AtLate,
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

// quick reads a flow if it is as they mostly are.
func (b *Brief) quick(wire []byte, f *Fields) bool {
	if !f.ordinary(wire) || len(f.Nested) > 0 || hasAuthority(wire[f.Tail:]) {
		return false
	}
	b.Wire, b.Tail, b.Telling = wire, uint32(f.Tail), false
	b.fill(f)
	return true
}

// hasAuthority tells whether there is an authority at the beginning, if only nobody.
func hasAuthority(wire []byte) bool {
	return len(wire) > 1 && binary.LittleEndian.Uint16(wire) == tag(fieldAuthority, varint)
}

// read reads any flow.
func (b *Brief) read(wire []byte, f *Fields) reading {
	var (
		last uint
		told trait
		how  = plain
		tail = 0
		i    = 0
	)
	f.Numbers, f.Texts = [numberPlaces]uint64{}, [textPlaces][]byte{}
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
		if number <= last && (number < last || is&repeated == 0) || number == fieldAuthority { // authority is dedup's to say
			return unusual
		}
		last = number
		told |= is
		switch {
		case t&7 == varint && is&isVarint != 0:
			x, end := Varint(wire, i)
			if end < 0 {
				return unusual
			}
			f.Numbers[placeOf[number]%numberPlaces] = x
			i = end
		case t&7 == text && is&isBytes != 0:
			size, begin := Varint(wire, i)
			if begin < 0 || size > uint64(len(wire)-begin) {
				return unusual
			}
			i = begin + int(size)
			f.Texts[placeOf[number]%textPlaces] = wire[begin:i]
			if is&nested != 0 {
				how = doubtful
			}
		case t&7 == fixed8 && is&isFixed != 0:
			if len(wire)-i < 8 {
				return unusual
			}
			f.Numbers[placeOf[number]%numberPlaces] = binary.LittleEndian.Uint64(wire[i:])
			i += 8
		default:
			return unusual
		}
		if number < fieldAuthority {
			tail = i
		}
	}
	b.Wire, b.Tail, b.Telling = wire, uint32(tail), told&telling != 0
	b.fill(f)
	return how
}

// fill takes in the fields.
func (b *Brief) fill(f *Fields) {
	v := &f.Numbers
	b.Key.Src.Addr.Set(f.Texts[AtSrc])
	b.Key.Dst.Addr.Set(f.Texts[AtDst])
	b.Sampler.Set(f.Texts[AtSampler])
	b.Key.Realm, b.Key.Proto = uint32(v[AtRealm]), uint8(v[AtProto])
	b.Key.SetPorts(uint32(v[AtSrcPort]), uint32(v[AtDstPort]), uint32(v[AtICMPType]), uint32(v[AtICMPCode]))
	b.Egress, b.Late = uint32(v[AtDirection]) == uint32(flowv1.Direction_DIRECTION_EGRESS), v[AtLate] != 0
	b.InIf, b.Domain = uint32(v[AtInIf]), uint32(v[AtDomain])
	b.ActiveTimeoutMs, b.InactiveTimeoutMs = uint32(v[AtActive]), uint32(v[AtInactive])
	b.TCPFlags = tcpFlags(b.Key.Proto, v[AtFlags])
	b.Bytes, b.Packets, b.SamplingRate = v[AtBytes], v[AtPackets], v[AtRate]
	b.TimeReceivedNs, b.TimeFlowStartNs, b.TimeFlowEndNs, b.RecordID = v[AtReceived], v[AtStart], v[AtEnd], v[AtRecordID]
}
