package normalize

import (
	"slices"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// direct is how the ordinary records of a template are written without a Flow in
// between, which would cost more than half of what is done for a record: most fields
// are only copied, and what all have in common is written once per data set.
//
//	record ─▶ ordinary? ─yes─▶ directRecord ────────────────────╮
//	              ╰──────no──▶ flowRecord ─▶ Flow ─▶ flow.Fresh ─┴─▶ the same bytes
//
// The other way is the one that says what is right, and it knows everything: there is
// no direct way of templates that need a thought, nor of records that do.
type direct struct {
	// icmp is the origin of flows of ICMP, which have no ports; origin is that of all others.
	origin, icmp flow.Origin
	// reach is how far into a record, or what follows it, is looked.
	reach int

	srcAddr, dstAddr, nextHop, bgpNextHop  flow.BytesAt
	proto, srcPort, dstPort, inIf, sampler flow.NumberAt
	start, end                             flow.NumberAt
	direction, tcpFlags                    flow.NumberAt
	hasDirection, relative, packetsUnknown bool

	// typeCode is where both are told in one number, icmpType and icmpCode where each is.
	icmpFrom                     icmpSource
	typeCode, icmpType, icmpCode flow.NumberAt
}

// copied are the numbers that are copied into a field, as many bits as it keeps.
var copied = []struct {
	op    op
	field uint16
	bits  int
}{
	{opBytes, 9, 64}, {opPackets, 10, 64}, {opNextHopAS, 13, 32}, {opSrcAS, 14, 32}, {opDstAS, 15, 32},
	{opSrcNet, 16, 32}, {opDstNet, 17, 32}, {opInIf, 18, 32}, {opOutIf, 19, 32},
	{opProto, 20, 8}, {opSrcPort, 21, 16}, {opDstPort, 22, 16}, {opTos, 23, 32},
	{opForwardingStatus, 24, 32}, {opTTL, 25, 32}, {opTCPFlags, 26, 32}, {opSrcMAC, 27, 64}, {opDstMAC, 28, 64},
	{opSrcVLAN, 29, 32}, {opSrcVLAN, 33, 32}, {opDstVLAN, 34, 32},
	{opFragmentID, 35, 32}, {opFragmentOffset, 36, 32}, {opFlowLabel, 37, 20}, {opFragmentFlags, 38, 32},
	{opEndReason, 202, 32}, {opIngressVRF, 239, 32}, {opEgressVRF, 240, 32},
}

// compileDirect makes the direct way of a plan whose numbers have not been taken out
// of its steps; nil where there is none.
func compileDirect(t *template, p *plan) *direct {
	lists := slices.ContainsFunc(t.fields, func(f field) bool { return isList(f.element) })
	if !p.fixed || p.labels != (labels{flow: true}) || p.hint || lists || p.dns != nil {
		return nil
	}
	d := &direct{packetsUnknown: p.packetsUnknown}
	seen := map[op]bool{}
	for i := range p.steps {
		st := &p.steps[i]
		if seen[st.op] || !d.take(st) {
			return nil
		}
		seen[st.op] = true
	}
	d.relative = seen[opStartUptime] && seen[opEndUptime]
	if !d.relative && !(seen[opStartMillis] && seen[opEndMillis]) {
		return nil
	}
	d.origin.Addresses(d.srcAddr, d.dstAddr, d.nextHop, d.bgpNextHop)
	d.icmp.Addresses(d.srcAddr, d.dstAddr, d.nextHop, d.bgpNextHop)
	d.takeICMP(p.icmp)
	return d
}

// Fields of ports, and of the type and code of ICMP.
const (
	srcPortField, dstPortField   = 21, 22
	icmpTypeField, icmpCodeField = 31, 32
)

// takeICMP says where the type and code of ICMP stand, once all steps are taken.
func (d *direct) takeICMP(from icmpSource) {
	d.icmpFrom = from
	if from == icmpInPort {
		d.typeCode = d.dstPort
	}
	if from != icmpSeparate {
		d.icmpType, d.icmpCode = d.typeCode, d.typeCode
		d.icmpType.Mask, d.icmpCode.Mask = d.typeCode.Mask&0xff, d.typeCode.Mask&0xff
		if d.icmpType.Shift += 8; d.icmpType.Shift > 63 { // of one byte: the code
			d.icmpType = flow.NumberAt{}
		}
	}
	d.icmp.Copy(icmpTypeField, d.icmpType)
	d.icmp.Copy(icmpCodeField, d.icmpCode)
}

// ordinaryICMP tells whether type and code of a record stand where they should, and
// ports say nothing else (icmp).
func (d *direct) ordinaryICMP(record []byte) bool {
	switch d.icmpFrom {
	case icmpSeparate:
		return true
	case icmpTypeCode:
		if uint32(d.typeCode.Of(record)) != 0 || uint16(d.dstPort.Of(record)) == 0 {
			return true
		}
		return uint16(d.srcPort.Of(record)) != 0
	}
	return uint16(d.srcPort.Of(record)) == 0
}

// take has a step done; false says that it needs a thought.
func (d *direct) take(st *step) bool {
	number, bytes := flow.NumberAt{At: st.wide, Shift: st.shift, Mask: ^uint64(0)}, flow.BytesAt{From: st.offset, To: st.offset + int32(st.length)}
	d.reach = max(d.reach, int(st.wide)+8)
	known := true
	switch st.op {
	case opSrcAddr:
		d.srcAddr = bytes
	case opDstAddr:
		d.dstAddr = bytes
	case opNextHop:
		d.nextHop = addressAt(bytes)
	case opBGPNextHop:
		d.bgpNextHop = addressAt(bytes)
	case opProto:
		d.proto = number
	case opSrcPort:
		d.srcPort = number
	case opDstPort:
		d.dstPort = number
	case opInIf:
		d.inIf = number
	case opSampler:
		d.sampler = number
	case opStartUptime, opStartMillis:
		d.start = number
	case opEndUptime, opEndMillis:
		d.end = number
	case opDirection:
		d.direction, d.hasDirection = number, true
	case opTCPFlags:
		d.tcpFlags = number
	case opICMPTypeCode:
		d.typeCode = number
	case opICMPType:
		d.icmpType = number
		d.icmpType.Mask = 1<<32 - 1
	case opICMPCode:
		d.icmpCode = number
		d.icmpCode.Mask = 1<<32 - 1
	case opConnection: // only firewalls have it looked at
	case opSegment, opTunnelKey: // and these, where realms depend on the record
	default:
		known = false
	}
	for _, c := range copied {
		if c.op == st.op {
			number.Mask = ^uint64(0) >> (64 - c.bits)
			d.origin.Copy(c.field, number)
			if c.field != srcPortField && c.field != dstPortField {
				d.icmp.Copy(c.field, number)
			}
			known = true
		}
	}
	return known
}

// addressAt is where an address lies that need not be one: of another length it is none.
func addressAt(a flow.BytesAt) flow.BytesAt {
	if a.Len() != 4 && a.Len() != 16 {
		return flow.BytesAt{}
	}
	return a
}

// writing is what the records of the data set in hand have in common.
type writing struct {
	pattern flow.Pattern
	// icmp is the pattern of flows of ICMP, once there is one.
	icmp      flow.Pattern
	icmpBegun bool
	common    flow.Common
	// patience is how long after its end a flow may be reported.
	patience uint64
	// selective tells that sampling depends on the record.
	selective bool
	// records is how many were written so far.
	records int
}

// beginDirect prepares the direct way for the records of a data set; false says that
// they cannot go it.
func (n *Normalizer) beginDirect(m *message, d *direct) bool {
	if d == nil || d.relative && !m.hasUptime || m.exp.policy.tellsRealms() {
		return false
	}
	w := &n.writing
	w.patience = n.patience(m)
	w.selective = m.dom.samplers.byID != nil || m.dom.samplers.byInterface != nil
	quality := flowv1.TimeQuality_TIME_QUALITY_ABSOLUTE
	if d.relative {
		quality = max(m.relativeQuality(), flowv1.TimeQuality_TIME_QUALITY_UPTIME)
	}
	by := m.samplingOf(sampling{}, 0, 0)
	active, inactive := m.timeouts()
	w.common = flow.Common{
		Type: m.kind, SamplingRate: by.rate, SequenceNum: m.sequence, SamplerAddress: m.dom.agentWire,
		Etype:               etherTypeOf(d.srcAddr.Len()),
		ObservationDomainId: m.dom.key.id, TimeReceivedNs: m.receivedNs, Realm: m.exp.realm,
		TimeQuality: quality, SamplingKind: by.kind, ActiveTimeoutMs: active, InactiveTimeoutMs: inactive,
		PacketsUnknown: d.packetsUnknown,
	}
	w.begin(d)
	return true
}

func (w *writing) begin(d *direct) {
	w.pattern.Begin(&d.origin, &w.common)
	w.icmpBegun = false
}

// patternOfICMP is the pattern of flows of ICMP.
func (w *writing) patternOfICMP(d *direct) *flow.Pattern {
	if !w.icmpBegun {
		w.icmp.Begin(&d.icmp, &w.common)
		w.icmpBegun = true
	}
	return &w.icmp
}

// sampled has the flows that are written next be sampled like that.
func (w *writing) sampled(d *direct, by sampling) {
	if by.rate != w.common.SamplingRate || by.kind != w.common.SamplingKind {
		w.common.SamplingRate, w.common.SamplingKind = by.rate, by.kind
		w.begin(d)
	}
}

// directRecord writes a record; false says that it has to go the other way.
func (n *Normalizer) directRecord(m *message, d *direct, data []byte, out *Result) bool {
	all := data[:cap(data)]
	if len(all) < d.reach {
		return false
	}
	proto := uint8(d.proto.Of(all))
	icmp := flow.IsICMP(proto)
	if icmp && !d.ordinaryICMP(all) {
		return false
	}
	start, end := d.start.Of(all), d.end.Of(all)
	if !d.relative && (start == 0 || end == 0) {
		return false
	}
	m.records++
	out.DataRecords++
	out.Records.Flow++

	w := &n.writing
	w.records++
	if w.selective {
		w.sampled(d, m.samplingOf(sampling{}, d.sampler.Of(all), uint32(d.inIf.Of(all))))
	}
	var own flow.Own
	own.RecordId = m.nextID()
	if d.hasDirection {
		own.Direction = directionOf(d.direction.Of(all))
	}
	if d.relative {
		base := m.bootMs + int64(m.uptime)
		start, end = msToNs(base-sinceEvent(m.uptime, uint32(start))), msToNs(base-sinceEvent(m.uptime, uint32(end)))
	} else {
		start, end = saturatingMs(start), saturatingMs(end)
	}
	start, end = m.corrected(start), m.corrected(end)
	own.TimeFlowStartNs, own.TimeFlowEndNs = min(start, end), max(start, end)
	own.TimeSuspect = end < start || m.doubtful(own.TimeFlowStartNs, own.TimeFlowEndNs, n.futureNs, w.patience)
	src, dst := d.srcAddr.Of(all), d.dstAddr.Of(all)
	srcPort, dstPort := uint16(d.srcPort.Of(all)), uint16(d.dstPort.Of(all))
	pattern := &w.pattern
	if icmp {
		srcPort, dstPort, pattern = 0, 0, w.patternOfICMP(d)
	}
	m.exp.reverse.observe(src, dst, uint32(srcPort), uint32(dstPort), uint32(proto),
		acknowledges(uint32(d.tcpFlags.Of(all)), w.common.SamplingRate), int64(m.receivedNs))
	own.ReverseObservable = m.exp.reverse.observable()

	at := len(out.wire)
	out.wire = pattern.Append(out.wire, all, &own)
	if icmp {
		out.addEncoded(at, flow.HashOfICMP(m.exp.realm, proto, src, dst, uint32(d.icmpType.Of(all)), uint32(d.icmpCode.Of(all))))
	} else {
		out.addEncoded(at, flow.HashOf(m.exp.realm, proto, src, dst, srcPort, dstPort))
	}
	return true
}
