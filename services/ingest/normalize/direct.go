package normalize

import (
	"encoding/binary"
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
	copies flow.Copies
	// reach is how far into a record, or what follows it, is looked.
	reach int

	srcAddr, dstAddr, nextHop, bgpNextHop  bytesAt
	proto, srcPort, dstPort, inIf, sampler numberAt
	start, end                             numberAt
	direction                              numberAt
	hasDirection, relative, packetsUnknown bool
}

// bytesAt and numberAt are where a field lies. Their zero values are of a field that
// is not there: no bytes, and zero.
type (
	bytesAt  struct{ from, to int32 }
	numberAt struct {
		wide  int32
		shift uint8
		mask  uint64
	}
)

func (a bytesAt) of(record []byte) []byte { return record[a.from:a.to] }

func (a *numberAt) of(record []byte) uint64 {
	at := int(a.wide)
	return binary.BigEndian.Uint64(record[at:at+8:at+8]) >> (a.shift & 63) & a.mask
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

// etypeField is where a flow's EtherType goes.
const etypeField = 30

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
	d.copies.AddConstant(etypeField, uint64(etherTypeOf(int(d.srcAddr.to-d.srcAddr.from))))
	return d
}

// take has a step done; false says that it needs a thought.
func (d *direct) take(st *step) bool {
	number, bytes := numberAt{st.wide, st.shift, ^uint64(0)}, bytesAt{st.offset, st.offset + int32(st.length)}
	d.reach = max(d.reach, int(st.wide)+8)
	known := true
	switch st.op {
	case opSrcAddr:
		d.srcAddr = bytes
	case opDstAddr:
		d.dstAddr = bytes
	case opNextHop:
		d.nextHop = bytes
	case opBGPNextHop:
		d.bgpNextHop = bytes
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
	case opICMPTypeCode, opICMPType, opICMPCode: // only looked at where the protocol is ICMP
	case opConnection: // only firewalls have it looked at
	default:
		known = false
	}
	for _, c := range copied {
		if c.op == st.op {
			d.copies.Add(c.field, st.wide, st.shift, ^uint64(0)>>(64-c.bits))
			known = true
		}
	}
	return known
}

// writing is what the records of the data set in hand have in common.
type writing struct {
	pattern flow.Pattern
	common  flow.Common
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
		quality = flowv1.TimeQuality_TIME_QUALITY_UPTIME
	}
	by := m.samplingOf(sampling{}, 0, 0)
	active, inactive := m.timeouts()
	w.common = flow.Common{
		Type: m.kind, SamplingRate: by.rate, SequenceNum: m.sequence, SamplerAddress: m.dom.agentWire,
		ObservationDomainId: m.dom.key.id, TimeReceivedNs: m.receivedNs, Realm: m.exp.realm,
		TimeQuality: quality, SamplingKind: by.kind, ActiveTimeoutMs: active, InactiveTimeoutMs: inactive,
		PacketsUnknown: d.packetsUnknown,
	}
	w.pattern.Begin(&w.common)
	return true
}

// sampled has the flows that are written next be sampled like that.
func (w *writing) sampled(by sampling) {
	if by.rate != w.common.SamplingRate || by.kind != w.common.SamplingKind {
		w.common.SamplingRate, w.common.SamplingKind = by.rate, by.kind
		w.pattern.Begin(&w.common)
	}
}

// directRecord writes a record; false says that it has to go the other way.
func (n *Normalizer) directRecord(m *message, d *direct, data []byte, out *Result) bool {
	all := data[:cap(data)]
	if len(all) < d.reach {
		return false
	}
	proto := uint8(d.proto.of(all))
	if flow.IsICMP(proto) {
		return false
	}
	m.records++
	out.DataRecords++
	out.Records.Flow++

	w := &n.writing
	w.records++
	if w.selective {
		w.sampled(m.samplingOf(sampling{}, d.sampler.of(all), uint32(d.inIf.of(all))))
	}
	own := flow.Own{
		SrcAddr: d.srcAddr.of(all), DstAddr: d.dstAddr.of(all),
		NextHop: addressIn(d.nextHop.of(all)), BgpNextHop: addressIn(d.bgpNextHop.of(all)),
		RecordId: m.nextID(),
	}
	if d.hasDirection {
		own.Direction = directionOf(d.direction.of(all))
	}
	start, end := d.start.of(all), d.end.of(all)
	if d.relative {
		base := m.bootMs + int64(m.uptime)
		start, end = m.uptimeNs(base, uint32(start)), m.uptimeNs(base, uint32(end))
	} else {
		start, end = saturatingMs(start), saturatingMs(end)
	}
	start, end = m.corrected(start), m.corrected(end)
	own.TimeFlowStartNs, own.TimeFlowEndNs = min(start, end), max(start, end)
	own.TimeSuspect = end < start || m.doubtful(own.TimeFlowStartNs, own.TimeFlowEndNs, n.futureNs, w.patience)
	srcPort, dstPort := uint16(d.srcPort.of(all)), uint16(d.dstPort.of(all))
	m.exp.reverse.observe(own.SrcAddr, own.DstAddr, uint32(srcPort), uint32(dstPort), uint32(proto))
	own.ReverseObservable = m.exp.reverse.observable()

	at := len(out.wire)
	out.wire = w.pattern.Append(out.wire, &d.copies, all, &own)
	out.addEncoded(at, flow.HashOf(m.exp.realm, proto, own.SrcAddr, own.DstAddr, srcPort, dstPort))
	return true
}
