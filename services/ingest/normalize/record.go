package normalize

import (
	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// flowRecord makes the flow, or the two flows, of a record, and the event where
// it tells of one too.
func (n *Normalizer) flowRecord(m *message, t *template, data []byte, bounds []span, out *Result) {
	p := &t.plan
	f := out.newFlow()
	s := &n.scratch
	*s = scratch{}
	n.runAll(m, t, data, bounds, f, s, out)
	more := p.lists != nil || p.dns != nil
	if more {
		n.readMore(m, t, data, bounds, f, s, out)
	}
	m.common(f)
	n.stamp(m, p, f, s)
	icmp(p.icmp, f, s)
	got := m.samplingOf(s.sel.rate(), s.sampler, f.InIf)
	f.SamplingRate, f.SamplingKind = got.rate, got.kind
	f.Realm = m.exp.realmOfPacket(f, s.vni)
	f.VlanId = f.SrcVlan
	if f.Etype == 0 {
		f.Etype = etherType(f.SrcAddr)
	}
	f.PacketsUnknown = p.packetsUnknown
	if p.fromServer(s) {
		f.SrcAddr, f.DstAddr, f.SrcPort, f.DstPort = f.DstAddr, f.SrcAddr, f.DstPort, f.SrcPort
	}

	if p.labels.firewall || p.labels.nat {
		if p.session {
			m.countSession(f, s)
		}
		counted := f.Bytes|f.Packets|s.reverseBytes|s.reversePackets != 0
		if counted {
			n.emit(m, p, f, s, out)
			out.Records.FlowAndEvent++
		} else {
			out.Records.Event++
		}
		n.event(m, t, data, bounds, out)
		return
	}
	n.emit(m, p, f, s, out)
	out.Records.Flow++
	if more {
		n.tellDNS(m, f, out)
	}
}

// common sets what all flows of a message have in common.
func (m *message) common(f *flowv1.Flow) {
	f.Type = m.kind
	f.SequenceNum = m.sequence
	f.SamplerAddress = m.dom.agentWire
	f.ObservationDomainId = m.dom.key.id
	f.TimeReceivedNs = m.receivedNs
	f.ActiveTimeoutMs, f.InactiveTimeoutMs = m.timeouts()
}

// emit puts the flow of a record into the result, and the flow of the way back
// where the record counts one: two flows with one pair id. Of a way that had no
// packets there is no flow, unless neither had.
func (n *Normalizer) emit(m *message, p *plan, f *flowv1.Flow, s *scratch, out *Result) {
	f.RecordId = m.nextID()
	hint := p.hintOf(s)
	if hint == flowv1.InitiatorHint_INITIATOR_HINT_SOURCE_BY_ORDER {
		if m.exp.order.observe(f); !m.exp.order.tells() {
			hint = flowv1.InitiatorHint_INITIATOR_HINT_UNSPECIFIED
		}
	}
	f.InitiatorHint = hint
	back := p.reverse && s.reverseBytes|s.reversePackets != 0
	if !back {
		n.finish(m, f, out)
		return
	}
	b := n.wayBack(m, f, s, out)
	b.InitiatorHint = opposite(hint)
	if f.Bytes|f.Packets != 0 {
		f.PairId, b.PairId = f.RecordId, f.RecordId
		n.finish(m, f, out)
	}
	n.finish(m, b, out)
}

// finish hands a flow to the result.
func (n *Normalizer) finish(m *message, f *flowv1.Flow, out *Result) {
	m.exp.reverse.observe(f.SrcAddr, f.DstAddr, f.SrcPort, f.DstPort, f.Proto, acknowledges(f.TcpFlags, f.SamplingRate), int64(m.receivedNs))
	f.ReverseObservable = m.exp.reverse.observable()
	out.add(f)
}

// hintOf is the exporter's word on who opened the conversation. Element 239
// says it (1 the source, 2 the destination; 0 and 3 do not); where a record of
// both ways has no such element, the first way is mostly that of the first packet seen.
func (p *plan) hintOf(s *scratch) flowv1.InitiatorHint {
	switch {
	case p.fromServer(s):
		return flowv1.InitiatorHint_INITIATOR_HINT_DESTINATION
	case p.hint:
		return flowv1.InitiatorHint_INITIATOR_HINT_SOURCE
	case p.biflowDir && s.biflowDirection == 1:
		return flowv1.InitiatorHint_INITIATOR_HINT_SOURCE
	case p.biflowDir && s.biflowDirection == 2:
		return flowv1.InitiatorHint_INITIATOR_HINT_DESTINATION
	case p.biflowDir:
		return flowv1.InitiatorHint_INITIATOR_HINT_UNSPECIFIED
	case p.rfc5103:
		return flowv1.InitiatorHint_INITIATOR_HINT_SOURCE_BY_ORDER
	}
	return flowv1.InitiatorHint_INITIATOR_HINT_UNSPECIFIED
}

// fromServer tells whether a record counts, of a connection with a client and a server, the
// packets of the server alone: those that the one who opened it did not send (Cisco's
// "connection initiator" is element 239).
func (p *plan) fromServer(s *scratch) bool {
	return p.clients && !p.reverse && s.biflowDirection == 2
}

// opposite is a hint as seen from the other end.
func opposite(h flowv1.InitiatorHint) flowv1.InitiatorHint {
	switch h {
	case flowv1.InitiatorHint_INITIATOR_HINT_SOURCE:
		return flowv1.InitiatorHint_INITIATOR_HINT_DESTINATION
	case flowv1.InitiatorHint_INITIATOR_HINT_DESTINATION:
		return flowv1.InitiatorHint_INITIATOR_HINT_SOURCE
	case flowv1.InitiatorHint_INITIATOR_HINT_SOURCE_BY_ORDER:
		return flowv1.InitiatorHint_INITIATOR_HINT_DESTINATION_BY_ORDER
	}
	return h
}

// wayBack makes the flow of the other direction of a record (RFC 5103 §5: what
// has no element of its own is the same, with the endpoints exchanged).
func (n *Normalizer) wayBack(m *message, f *flowv1.Flow, s *scratch, out *Result) *flowv1.Flow {
	b := out.newFlow()
	m.common(b)
	b.RecordId = m.nextID()
	b.SrcAddr, b.DstAddr, b.SrcPort, b.DstPort = f.DstAddr, f.SrcAddr, f.DstPort, f.SrcPort
	b.SrcAs, b.DstAs, b.SrcNet, b.DstNet = f.DstAs, f.SrcAs, f.DstNet, f.SrcNet
	b.SrcMac, b.DstMac = f.DstMac, f.SrcMac
	b.InIf, b.OutIf = f.OutIf, f.InIf
	b.IngressVrfId, b.EgressVrfId = f.EgressVrfId, f.IngressVrfId
	b.PostSrcAddr, b.PostDstAddr = f.PostDstAddr, f.PostSrcAddr
	b.PostSrcPort, b.PostDstPort = f.PostDstPort, f.PostSrcPort
	b.Proto, b.Etype, b.Realm = f.Proto, f.Etype, f.Realm
	b.IcmpType, b.IcmpCode = f.IcmpType, f.IcmpCode
	if flow.IsICMP(uint8(f.Proto)) && (f.IcmpType != 0 || f.Bytes|f.Packets != 0) { // else it was not told
		b.IcmpType = uint32(flow.ICMPWayBack(uint8(f.Proto), uint8(f.IcmpType)))
	}
	b.Bytes, b.Packets, b.PacketsUnknown = s.reverseBytes, s.reversePackets, f.PacketsUnknown
	b.TcpFlags, b.InitialTcpFlags, b.IpTos = s.reverseFlags, s.reverseInitial, s.reverseTos
	b.SrcVlan = uint32(nonzero(uint64(f.SrcVlan), uint64(s.reverseVLAN)))
	b.VlanId = b.SrcVlan
	b.Direction, b.ObservationPointId = f.Direction, f.ObservationPointId
	b.FlowEndReason = uint32(nonzero(uint64(f.FlowEndReason), uint64(s.reverseEndReason)))
	b.Application, b.User, b.HttpHost, b.HttpUrl, b.DnsName = f.Application, f.User, f.HttpHost, f.HttpUrl, f.DnsName
	b.SamplingRate, b.SamplingKind = f.SamplingRate, f.SamplingKind
	b.FirewallEvent, b.FirewallRule = f.FirewallEvent, f.FirewallRule
	b.TimeFlowStartNs, b.TimeFlowEndNs = f.TimeFlowStartNs, f.TimeFlowEndNs
	if s.reverseStartNs != 0 {
		b.TimeFlowStartNs = m.corrected(s.reverseStartNs)
	} else if s.reverseDeltaNs != 0 {
		b.TimeFlowStartNs = min(f.TimeFlowStartNs+s.reverseDeltaNs, f.TimeFlowEndNs)
	}
	if s.reverseEndNs != 0 {
		b.TimeFlowEndNs = m.corrected(s.reverseEndNs)
	}
	b.TimeQuality, b.TimeSuspect = f.TimeQuality, f.TimeSuspect
	n.suspect(m, b)
	return b
}

// icmp moves ICMP's type and code to their fields; its ports are 0. Exporters
// without elements of their own put type·256 + code into the destination port, or
// (fprobe) the type into the source's and the code into the destination's.
func icmp(from icmpSource, f *flowv1.Flow, s *scratch) {
	if f.Proto != flow.ProtoICMP && f.Proto != flow.ProtoICMPv6 {
		return
	}
	if from == icmpInPort && f.SrcPort|f.DstPort < 256 {
		f.SrcPort, f.DstPort = 0, f.SrcPort<<8|f.DstPort
	}
	typeCode := s.icmpTypeCode
	if from == icmpInPort || from == icmpTypeCode && typeCode == 0 {
		typeCode = 0
		if f.SrcPort == 0 {
			typeCode = f.DstPort
		}
	}
	if from == icmpSeparate {
		f.IcmpType, f.IcmpCode = s.icmpType, s.icmpCode
	} else {
		f.IcmpType, f.IcmpCode = typeCode>>8&0xff, typeCode&0xff
	}
	if f.DstPort == 0 && from == icmpInPort {
		// A metering process that mirrors the ports of the request in the reply:
		// they pair the two, so they are kept (flow.KeyOf).
		f.IcmpType = 0
	} else {
		f.SrcPort = 0
	}
	f.DstPort = 0
	f.PostSrcPort, f.PostDstPort = 0, 0
}

// EtherTypes of the two families.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
)

// etherType is the EtherType of an address's family.
func etherType(addr []byte) uint32 { return etherTypeOf(len(addr)) }

// etherTypeOf is the EtherType of addresses of so many bytes.
func etherTypeOf(length int) uint32 {
	if length == 16 {
		return etherIPv6
	}
	return etherIPv4
}
