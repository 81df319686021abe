package normalize

import (
	"encoding/binary"
	"math"
	"strconv"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// scratch is what the steps of one record leave for the end, beside the flow.
type scratch struct {
	reverseBytes, reversePackets uint64

	startUptime, endUptime uint32
	startDelta, endDelta   uint64 // microseconds before the export
	systemInit             uint64 // ms
	durationNs, observedNs uint64

	reverseStartNs, reverseEndNs, reverseDeltaNs          uint64
	reverseFlags, reverseInitial, reverseTos, reverseVLAN uint32
	reverseEndReason                                      uint32
	biflowDirection                                       uint8

	icmpTypeCode       uint32
	icmpType, icmpCode uint32

	sampler    uint64
	sel        selector
	connection uint64
	vni        uint32 // virtual network, 0 if none
}

// run applies steps of a template's plan to one record. bounds holds start and end of
// every field where records have no fixed length. Numbers of records of fixed
// length are read as eight bytes from wide on, of which shift drops what is not
// theirs: without a branch on their length. That may reach beyond the record,
// into what follows it in the datagram. What a field says twice in
// different ways (both address families, 48 and 302) is taken where it is not zero.
func (n *Normalizer) run(m *message, t *template, steps []step, data []byte, bounds []span, f *flowv1.Flow, s *scratch, out *Result) {
	all := data[:cap(data)]
	if !t.plan.fixed {
		all = nil
	}
	for i := range steps {
		st := &steps[i]
		var v uint64
		if wide := int(st.wide); wide+8 <= len(all) {
			v = binary.BigEndian.Uint64(all[wide:]) >> (st.shift & 63)
		} else {
			v = uintOf(st.bytes(data, bounds))
		}
		switch st.op {
		case opDual:
			t.dual(data, bounds, f, out)
		case opSrcAddr:
			f.SrcAddr = out.copyBytes(st.bytes(data, bounds))
		case opDstAddr:
			f.DstAddr = out.copyBytes(st.bytes(data, bounds))
		case opBytes:
			f.Bytes = v
		case opPackets:
			f.Packets = v
		case opReverseBytes:
			s.reverseBytes = v
		case opReversePackets:
			s.reversePackets = v
		case opProto:
			f.Proto = uint32(uint8(v))
		case opTos:
			f.IpTos = uint32(v)
		case opDSCP: // the upper six bits
			f.IpTos = uint32(v&0x3f) << 2
		case opPrecedence: // the upper three
			f.IpTos |= uint32(v&7) << 5
		case opTCPFlags:
			f.TcpFlags = uint32(v)
		case opSrcPort:
			f.SrcPort = uint32(nonzero(uint64(f.SrcPort), v&0xffff))
		case opDstPort:
			f.DstPort = uint32(nonzero(uint64(f.DstPort), v&0xffff))
		case opSrcNet:
			f.SrcNet = max(f.SrcNet, uint32(v))
		case opDstNet:
			f.DstNet = max(f.DstNet, uint32(v))
		case opInIf:
			f.InIf = uint32(v)
		case opOutIf:
			f.OutIf = uint32(v)
		case opNextHop:
			f.NextHop = out.address(f.NextHop, st.bytes(data, bounds))
		case opBGPNextHop:
			f.BgpNextHop = out.address(f.BgpNextHop, st.bytes(data, bounds))
		case opSrcAS:
			f.SrcAs = uint32(v)
		case opDstAS:
			f.DstAs = uint32(v)
		case opNextHopAS:
			f.NextHopAs = uint32(v)
		case opFlowLabel:
			f.Ipv6FlowLabel = uint32(v) & 0xfffff
		case opTTL:
			f.IpTtl = uint32(v)
		case opFragmentID:
			f.FragmentId = uint32(v)
		case opFragmentOffset:
			f.FragmentOffset = uint32(v)
		case opFragmentFlags:
			f.IpFlags = uint32(v)
		case opSrcMAC:
			f.SrcMac = nonzero(f.SrcMac, v)
		case opDstMAC:
			f.DstMac = nonzero(f.DstMac, v)
		case opSrcVLAN:
			f.SrcVlan = uint32(nonzero(uint64(f.SrcVlan), v))
		case opDstVLAN:
			f.DstVlan = uint32(nonzero(uint64(f.DstVlan), v))
		case opEtherType:
			f.Etype = uint32(v)
		case opDirection:
			f.Direction = directionOf(v)
		case opForwardingStatus:
			f.ForwardingStatus = uint32(v)
		case opEndReason:
			f.FlowEndReason = uint32(v)
		case opPointID:
			f.ObservationPointId = uint32(v)
		case opMPLSLabel:
			f.MplsLabel = out.label(f.MplsLabel, uint32(v))
		case opMPLSAddr:
			if len(f.MplsIp) == 0 && !zero(st.bytes(data, bounds)) {
				f.MplsIp = [][]byte{out.copyBytes(st.bytes(data, bounds))}
			}
		case opICMPTypeCode:
			s.icmpTypeCode = uint32(nonzero(uint64(s.icmpTypeCode), v))
		case opICMPType:
			s.icmpType = uint32(nonzero(uint64(s.icmpType), v))
		case opICMPCode:
			s.icmpCode = uint32(nonzero(uint64(s.icmpCode), v))
		case opPostSrcAddr:
			f.PostSrcAddr = out.address(f.PostSrcAddr, st.bytes(data, bounds))
		case opPostDstAddr:
			f.PostDstAddr = out.address(f.PostDstAddr, st.bytes(data, bounds))
		case opPostSrcPort:
			f.PostSrcPort = uint32(nonzero(uint64(f.PostSrcPort), v))
		case opPostDstPort:
			f.PostDstPort = uint32(nonzero(uint64(f.PostDstPort), v))
		case opIngressVRF:
			f.IngressVrfId = uint32(v)
		case opEgressVRF:
			f.EgressVrfId = uint32(v)
		case opFirewallEvent:
			f.FirewallEvent = uint32(nonzero(uint64(f.FirewallEvent), v))
		case opFirewallRule:
			if f.FirewallRule == "" && !zero(st.bytes(data, bounds)) {
				f.FirewallRule = n.rules.text(st.bytes(data, bounds))
			}
		case opInitialFlags:
			f.InitialTcpFlags = uint32(v)
			f.TcpFlags |= f.InitialTcpFlags
		case opUnionFlags:
			f.TcpFlags |= uint32(v)
		case opBiflowDirection:
			s.biflowDirection = uint8(v)
		case opReverseFlags:
			s.reverseFlags |= uint32(v)
		case opReverseInitialFlags:
			s.reverseInitial = uint32(v)
			s.reverseFlags |= s.reverseInitial
		case opReverseUnionFlags:
			s.reverseFlags |= uint32(v)
		case opReverseTos:
			s.reverseTos = uint32(v)
		case opReverseVLAN:
			s.reverseVLAN = uint32(v)
		case opReverseEndReason:
			s.reverseEndReason = uint32(v)
		case opReverseDelta:
			s.reverseDeltaNs = min(v, math.MaxUint32) * nsPerMs
		case opReverseStartMillis:
			s.reverseStartNs = saturatingMs(v)
		case opReverseEndMillis:
			s.reverseEndNs = saturatingMs(v)
		case opReverseStartMicros:
			s.reverseStartNs = ntpMicrosNs(v, m.receivedNs)
		case opReverseEndMicros:
			s.reverseEndNs = ntpMicrosNs(v, m.receivedNs)
		case opConnection:
			s.connection = v
		default:
			n.runLate(m, st, v, data, bounds, f, s)
		}
	}
}

// bytes cuts the field out of a record.
func (st *step) bytes(data []byte, bounds []span) []byte {
	if bounds != nil {
		return data[bounds[st.field].from:bounds[st.field].to]
	}
	return data[st.offset : int(st.offset)+int(st.length)]
}

// runLate applies the steps that few templates have, and the times.
func (n *Normalizer) runLate(m *message, st *step, v uint64, data []byte, bounds []span, f *flowv1.Flow, s *scratch) {
	switch st.op {
	case opStartUptime:
		s.startUptime = uint32(v)
	case opEndUptime:
		s.endUptime = uint32(v)
	case opStartMillis:
		f.TimeFlowStartNs = saturatingMs(v)
	case opEndMillis:
		f.TimeFlowEndNs = saturatingMs(v)
	case opStartSeconds:
		f.TimeFlowStartNs = secondsNs(v)
	case opEndSeconds:
		f.TimeFlowEndNs = secondsNs(v)
	case opStartNTP:
		f.TimeFlowStartNs = ntpNs(v, m.receivedNs)
	case opEndNTP:
		f.TimeFlowEndNs = ntpNs(v, m.receivedNs)
	case opStartNTPMicros:
		f.TimeFlowStartNs = ntpMicrosNs(v, m.receivedNs)
	case opEndNTPMicros:
		f.TimeFlowEndNs = ntpMicrosNs(v, m.receivedNs)
	case opStartDelta:
		s.startDelta = v
	case opEndDelta:
		s.endDelta = v
	case opSystemInit:
		s.systemInit = v
	case opDurationMillis:
		s.durationNs = min(v, math.MaxUint32) * nsPerMs
	case opDurationMicros:
		s.durationNs = min(v, math.MaxUint32) * 1000
	case opObservedNTP:
		s.observedNs = ntpNs(v, m.receivedNs)
	case opObservedNTPMicros:
		s.observedNs = ntpMicrosNs(v, m.receivedNs)
	case opObservedMillis:
		s.observedNs = saturatingMs(v)
	case opObservedSeconds:
		s.observedNs = secondsNs(v)
	case opSampler:
		s.sampler = nonzero(s.sampler, v)
	case opInterval:
		s.sel.interval = nonzero(s.sel.interval, v)
	case opPacketInterval:
		s.sel.packetInterval = v
	case opPacketSpace:
		s.sel.packetSpace, s.sel.spaceTold = v, true
	case opSelectorAlgorithm:
		s.sel.algorithm = uint8(v)
	case opSamplingSize:
		s.sel.size = v
	case opSamplingPopulation:
		s.sel.population = v
	case opSamplingProbability:
		s.sel.probability = floatOf(st.bytes(data, bounds))
	case opFlowSelector:
		s.sel.flows = true
	case opFlowInterval:
		s.sel.flowInterval = v
	case opFlowSpace:
		s.sel.flowSpace = v
	case opApplicationID:
		if f.Application == "" {
			f.Application = n.applicationOf(m.exp, st.bytes(data, bounds))
		}
	case opApplicationName:
		if b := trimText(st.bytes(data, bounds)); len(b) > 0 {
			f.Application = n.texts.text(b)
		}
	case opRuleName:
		if b := trimText(st.bytes(data, bounds)); len(b) > 0 {
			f.FirewallRule = n.texts.text(b)
		}
	case opRuleNumber:
		if v != 0 {
			f.FirewallRule = strconv.FormatUint(v, 10)
		}
	case opPolicyAction:
		if v == antreaDrop || v == antreaReject {
			f.ForwardingStatus = statusDeniedByACL
		}
	case opSegment:
		s.vni = nonzeroVNI(s.vni, segmentVNI(v))
	case opTunnelKey:
		s.vni = nonzeroVNI(s.vni, v)
	case opUser:
		if b := trimText(st.bytes(data, bounds)); len(b) > 0 {
			f.User = n.texts.text(b)
		}
	case opHTTPHost:
		f.HttpHost = n.texts.text(trimText(st.bytes(data, bounds)))
	case opHTTPURL:
		f.HttpUrl = n.texts.text(trimText(st.bytes(data, bounds)))
	case opDNSName:
		f.DnsName = n.texts.text(trimText(st.bytes(data, bounds)))
	}
}

// dual decides which of a record's two address families is meant: the one that
// is not all zero; of two, the one that stands first, which is the outer one.
func (t *template) dual(data []byte, bounds []span, f *flowv1.Flow, out *Result) {
	var b [4][]byte
	for i, field := range t.plan.dual {
		b[i] = t.value(field, data, bounds)
	}
	four, six := !zero(b[0]) || !zero(b[1]), !zero(b[2]) || !zero(b[3])
	if six && (!four || t.plan.dualSixFirst) {
		f.SrcAddr, f.DstAddr = out.copyBytes(b[2]), out.copyBytes(b[3])
		return
	}
	f.SrcAddr, f.DstAddr = out.copyBytes(b[0]), out.copyBytes(b[1])
}

// value cuts a field out of a record.
func (t *template) value(field int, data []byte, bounds []span) []byte {
	if t.plan.fixed {
		g := &t.fields[field]
		return data[g.offset : g.offset+int(g.length)]
	}
	return data[bounds[field].from:bounds[field].to]
}

// nonzero is v, unless it is zero.
func nonzero(old, v uint64) uint64 {
	if v == 0 {
		return old
	}
	return v
}

func secondsNs(s uint64) uint64 { return min(s, maxMs/1000) * nsPerS }

// floatOf reads a float32 or float64 (RFC 7011 §6.1.3, §6.1.4).
func floatOf(b []byte) float64 {
	switch len(b) {
	case 4:
		return float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	case 8:
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	}
	return 0
}

// directionOf reads flowDirection (IANA element 61).
func directionOf(v uint64) flowv1.Direction {
	switch v {
	case 0:
		return flowv1.Direction_DIRECTION_INGRESS
	case 1:
		return flowv1.Direction_DIRECTION_EGRESS
	}
	return flowv1.Direction_DIRECTION_UNSPECIFIED
}

// address copies an address, unless there is one already or it is all zero.
func (r *Result) address(old, b []byte) []byte {
	if old != nil || addressIn(b) == nil {
		return old
	}
	return r.copyBytes(b)
}

// addressIn is the address that a field holds; nil where it is all zero, or none.
func addressIn(b []byte) []byte {
	if len(b) != 4 && len(b) != 16 || zero(b) {
		return nil
	}
	return b
}

// label appends an MPLS label stack entry's label (RFC 3032); an entry that is
// all zero is not used.
func (r *Result) label(labels []uint32, v uint32) []uint32 {
	if v == 0 {
		return labels
	}
	if labels == nil {
		labels = r.words.take(int(ieMPLSLabel10-ieMPLSLabel1) + 1)[:0]
	}
	return append(labels, v>>4)
}
