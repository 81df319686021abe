package merge

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// held is one waiting report. What exporters commonly tell lies here flat: it
// goes in and comes out by copying. A report that tells more is kept encoded
// beside it; what a decision needs is here of every report.
type held struct {
	bytes, packets       uint64
	rate                 uint64
	received, start, end uint64
	recordID             uint64
	sequence             uint32
	nextHopAs            uint32
	srcAs, dstAs         uint32
	inIf, outIf          uint32
	domain               uint32
	active, inactive     uint32
	// point is the id of the observation point; next the number of the report
	// that waits behind this one, one higher; rare that of its encoded form.
	point, next, rare uint32

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
func (w *Window) pack(h *held, f *flowv1.Flow) {
	h.bytes, h.packets, h.rate = f.Bytes, f.Packets, f.SamplingRate
	h.received, h.start, h.end, h.recordID = f.TimeReceivedNs, f.TimeFlowStartNs, f.TimeFlowEndNs, f.RecordId
	h.active, h.inactive = f.ActiveTimeoutMs, f.InactiveTimeoutMs
	h.inIf, h.outIf = f.InIf, f.OutIf
	h.rare = 0
	if !common(f) {
		h.rare = w.rares.put(f) + 1
		return
	}
	h.sequence, h.domain = f.SequenceNum, f.ObservationDomainId
	h.nextHopAs, h.srcAs, h.dstAs = f.NextHopAs, f.SrcAs, f.DstAs
	h.srcPort, h.dstPort = uint16(f.SrcPort), uint16(f.DstPort)
	h.tcpFlags, h.initialTCPFlags = uint16(f.TcpFlags), uint16(f.InitialTcpFlags)
	h.vlan, h.etype = uint16(f.VlanId), uint16(f.Etype)
	h.nextHopLen = uint8(copy(h.nextHop[:], f.NextHop))
	h.srcNet, h.dstNet = uint8(f.SrcNet), uint8(f.DstNet)
	h.tos, h.ttl = uint8(f.IpTos), uint8(f.IpTtl)
	h.icmpType, h.icmpCode = uint8(f.IcmpType), uint8(f.IcmpCode)
	h.typ, h.direction = uint8(f.Type), uint8(f.Direction)
	h.quality, h.kind = uint8(f.TimeQuality), uint8(f.SamplingKind)
	h.endReason, h.hint = uint8(f.FlowEndReason), uint8(f.InitiatorHint)
	h.marks = 0
	if f.ReverseObservable {
		h.marks |= reverseObservable
	}
	if f.PacketsUnknown {
		h.marks |= packetsUnknown
	}
	if f.TimeSuspect {
		h.marks |= timeSuspect
	}
}

// unpack lends the report again, field for field. It aliases the state until
// the next call.
func (w *Window) unpack(e *entry, h *held) *flowv1.Flow {
	f := w.out.flow()
	if h.rare != 0 {
		w.rares.get(h.rare-1, f)
		return f
	}
	f.SrcAddr, f.DstAddr = w.wire(e)
	f.SamplerAddress = w.points.all[h.point].sampler.Wire()
	f.Realm, f.Proto = e.realm, uint32(e.proto)
	f.Bytes, f.Packets, f.SamplingRate = h.bytes, h.packets, h.rate
	f.TimeReceivedNs, f.TimeFlowStartNs, f.TimeFlowEndNs, f.RecordId = h.received, h.start, h.end, h.recordID
	f.ActiveTimeoutMs, f.InactiveTimeoutMs = h.active, h.inactive
	f.InIf, f.OutIf = h.inIf, h.outIf
	f.SequenceNum, f.ObservationDomainId = h.sequence, h.domain
	f.NextHopAs, f.SrcAs, f.DstAs = h.nextHopAs, h.srcAs, h.dstAs
	f.SrcPort, f.DstPort = uint32(h.srcPort), uint32(h.dstPort)
	f.TcpFlags, f.InitialTcpFlags = uint32(h.tcpFlags), uint32(h.initialTCPFlags)
	f.VlanId, f.Etype = uint32(h.vlan), uint32(h.etype)
	if n := h.nextHopLen; n > 0 {
		f.NextHop = h.nextHop[:n:n]
	}
	f.SrcNet, f.DstNet = uint32(h.srcNet), uint32(h.dstNet)
	f.IpTos, f.IpTtl = uint32(h.tos), uint32(h.ttl)
	f.IcmpType, f.IcmpCode = uint32(h.icmpType), uint32(h.icmpCode)
	f.Type, f.Direction = flowv1.FlowType(h.typ), flowv1.Direction(h.direction)
	f.TimeQuality, f.SamplingKind = flowv1.TimeQuality(h.quality), flowv1.SamplingKind(h.kind)
	f.FlowEndReason, f.InitiatorHint = uint32(h.endReason), flowv1.InitiatorHint(h.hint)
	f.ReverseObservable = h.marks&reverseObservable != 0
	f.PacketsUnknown = h.marks&packetsUnknown != 0
	f.TimeSuspect = h.marks&timeSuspect != 0
	return f
}

// drop gives back what a report holds beside itself.
func (w *Window) drop(h *held) {
	if h.rare != 0 {
		w.rares.drop(h.rare - 1)
	}
}
