package merge

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// packed is what exporters commonly tell beyond what is in entry and held, of a
// report that came as a struct: it goes in and comes out by copying. A report that
// tells more is encoded.
type packed struct {
	sequence, nextHopAs, srcAs, dstAs, outIf, domain, active, inactive uint32

	srcPort, dstPort   uint16
	tcpFlags           uint16
	initialTCPFlags    uint16
	vlan, etype        uint16
	nextHop            [16]byte
	nextHopLen         uint8
	srcNet, dstNet     uint8
	tos, ttl           uint8
	icmpType, icmpCode uint8
	typ                uint8
	direction          uint8
	quality, kind      uint8
	endReason, hint    uint8
	marks              mark
}

// mark is one of a flow's truth values.
type mark uint8

const (
	reverseObservable mark = 1 << iota
	packetsUnknown
	timeSuspect
)

// pack copies a report.
func (p *packed) pack(f *flowv1.Flow) {
	p.active, p.inactive, p.outIf = f.ActiveTimeoutMs, f.InactiveTimeoutMs, f.OutIf
	p.sequence, p.domain = f.SequenceNum, f.ObservationDomainId
	p.nextHopAs, p.srcAs, p.dstAs = f.NextHopAs, f.SrcAs, f.DstAs
	p.srcPort, p.dstPort = uint16(f.SrcPort), uint16(f.DstPort)
	p.tcpFlags, p.initialTCPFlags = uint16(f.TcpFlags), uint16(f.InitialTcpFlags)
	p.vlan, p.etype = uint16(f.VlanId), uint16(f.Etype)
	p.nextHopLen = uint8(copy(p.nextHop[:], f.NextHop))
	p.srcNet, p.dstNet = uint8(f.SrcNet), uint8(f.DstNet)
	p.tos, p.ttl = uint8(f.IpTos), uint8(f.IpTtl)
	p.icmpType, p.icmpCode = uint8(f.IcmpType), uint8(f.IcmpCode)
	p.typ, p.direction = uint8(f.Type), uint8(f.Direction)
	p.quality, p.kind = uint8(f.TimeQuality), uint8(f.SamplingKind)
	p.endReason, p.hint = uint8(f.FlowEndReason), uint8(f.InitiatorHint)
	p.marks = 0
	if f.ReverseObservable {
		p.marks |= reverseObservable
	}
	if f.PacketsUnknown {
		p.marks |= packetsUnknown
	}
	if f.TimeSuspect {
		p.marks |= timeSuspect
	}
}

// unpack copies it back.
func (p *packed) unpack(f *flowv1.Flow) {
	f.ActiveTimeoutMs, f.InactiveTimeoutMs, f.OutIf = p.active, p.inactive, p.outIf
	f.SequenceNum, f.ObservationDomainId = p.sequence, p.domain
	f.NextHopAs, f.SrcAs, f.DstAs = p.nextHopAs, p.srcAs, p.dstAs
	f.SrcPort, f.DstPort = uint32(p.srcPort), uint32(p.dstPort)
	f.TcpFlags, f.InitialTcpFlags = uint32(p.tcpFlags), uint32(p.initialTCPFlags)
	f.VlanId, f.Etype = uint32(p.vlan), uint32(p.etype)
	if n := p.nextHopLen; n > 0 {
		f.NextHop = p.nextHop[:n:n]
	}
	f.SrcNet, f.DstNet = uint32(p.srcNet), uint32(p.dstNet)
	f.IpTos, f.IpTtl = uint32(p.tos), uint32(p.ttl)
	f.IcmpType, f.IcmpCode = uint32(p.icmpType), uint32(p.icmpCode)
	f.Type, f.Direction = flowv1.FlowType(p.typ), flowv1.Direction(p.direction)
	f.TimeQuality, f.SamplingKind = flowv1.TimeQuality(p.quality), flowv1.SamplingKind(p.kind)
	f.FlowEndReason, f.InitiatorHint = uint32(p.endReason), flowv1.InitiatorHint(p.hint)
	f.ReverseObservable = p.marks&reverseObservable != 0
	f.PacketsUnknown = p.marks&packetsUnknown != 0
	f.TimeSuspect = p.marks&timeSuspect != 0
}
