package biflow

import (
	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// report is what a table looks at of a flow's message, and of one of a reporter's,
// field by field. It is filled from a message or straight from the wire (layout.go),
// then packed into a segment.
type report struct{ flow.Fields }

// FirewallEvent, IANA element 233.
const (
	eventDeleted = 2
	eventDenied  = 3
)

// forwardingDropped is forwardingStatus 128, "dropped, unknown" (RFC 7270 §4.12).
const forwardingDropped = 128

// of reads a message.
func (r *report) of(f *flowv1.Flow) {
	n := &r.Numbers
	n[flow.AtType], n[flow.AtHint], n[flow.AtDirection] = uint64(f.Type), uint64(f.InitiatorHint), uint64(f.Direction)
	n[flow.AtKind], n[flow.AtQuality] = uint64(f.SamplingKind), uint64(f.TimeQuality)
	n[flow.AtStart], n[flow.AtEnd], n[flow.AtReceived], n[flow.AtRecordID] = f.TimeFlowStartNs, f.TimeFlowEndNs, f.TimeReceivedNs, f.RecordId
	n[flow.AtBytes], n[flow.AtPackets], n[flow.AtRate] = f.Bytes, f.Packets, f.SamplingRate
	n[flow.AtRealm], n[flow.AtDomain], n[flow.AtProto] = uint64(f.Realm), uint64(f.ObservationDomainId), uint64(f.Proto)
	n[flow.AtSrcPort], n[flow.AtDstPort] = uint64(f.SrcPort), uint64(f.DstPort)
	n[flow.AtICMPType], n[flow.AtICMPCode] = uint64(f.IcmpType), uint64(f.IcmpCode)
	n[flow.AtFlags], n[flow.AtInitialFlags] = uint64(f.TcpFlags), uint64(f.InitialTcpFlags)
	n[flow.AtActive], n[flow.AtInactive], n[flow.AtEndReason] = uint64(f.ActiveTimeoutMs), uint64(f.InactiveTimeoutMs), uint64(f.FlowEndReason)
	n[flow.AtForwarding], n[flow.AtFirewall] = uint64(f.ForwardingStatus), uint64(f.FirewallEvent)
	if f.Vpc != nil && f.Vpc.Action == "REJECT" {
		n[flow.AtForwarding] = forwardingDropped
	}
	n[flow.AtReverse], n[flow.AtLate], n[flow.AtPacketsUnknown] = oneIf(f.ReverseObservable), oneIf(f.Late), oneIf(f.PacketsUnknown)
	r.Texts[flow.AtSrc], r.Texts[flow.AtDst], r.Texts[flow.AtSampler] = f.SrcAddr, f.DstAddr, f.SamplerAddress
}

// ofReporter reads the message of a reporter.
func (r *report) ofReporter(m *flowv1.Reporter) {
	n := &r.Numbers
	n[flow.AtDomain], n[flow.AtDirection] = uint64(m.ObservationDomainId), uint64(m.Direction)
	n[flow.AtForwarding], n[flow.AtFirewall] = uint64(m.ForwardingStatus), uint64(m.FirewallEvent)
	n[flow.AtStart], n[flow.AtEnd] = m.TimeFlowStartNs, m.TimeFlowEndNs
	r.Texts[flow.AtSampler] = m.SamplerAddress
}

func oneIf(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

// point is who reported.
func (r *report) point() point {
	return point{
		sampler: flow.AddrFrom(r.Texts[flow.AtSampler]),
		domain:  uint32(r.Numbers[flow.AtDomain]),
		egress:  flowv1.Direction(r.Numbers[flow.AtDirection]) == flowv1.Direction_DIRECTION_EGRESS,
	}
}

// isOf tells whether p reported, without making the point to compare it.
func (r *report) isOf(p *point) bool {
	return p.sampler == flow.AddrFrom(r.Texts[flow.AtSampler]) && p.domain == uint32(r.Numbers[flow.AtDomain]) &&
		p.egress == (flowv1.Direction(r.Numbers[flow.AtDirection]) == flowv1.Direction_DIRECTION_EGRESS)
}

func (r *report) view() view { return view{r.point(), r.length(), r.denied()} }

// length is how long the flow was, nanoseconds.
func (r *report) length() uint64 { return lengthOf(r.Numbers[flow.AtStart], r.Numbers[flow.AtEnd]) }

// denied tells whether a firewall or router dropped the flow: NSEL event 3,
// forwardingStatus 128 to 191, AWS action REJECT.
func (r *report) denied() bool {
	return uint32(r.Numbers[flow.AtFirewall]) == eventDenied || uint32(r.Numbers[flow.AtForwarding])>>6 == 2
}

// marks are what the flow marks its conversation with.
func (r *report) marks() (m marks) {
	m.set(reverse, r.Numbers[flow.AtReverse] != 0)
	m.set(packetsUnknown, r.Numbers[flow.AtPacketsUnknown] != 0)
	m.set(denied, r.denied())
	return m
}

// tcpRole is the role of a flow's source as its TCP flags tell it: flags that only
// one side can have sent. Flags are or-ed over all packets of a flow, so SYN
// together with ACK tells nothing unless it is one packet's, the server's SYN|ACK: that
// carries nothing else, or else it was more packets than the report says. A SYN without
// any ACK is a client's, however many packets there were.
func (r *report) tcpRole() role {
	flags, single := uint32(r.Numbers[flow.AtFlags]), r.Numbers[flow.AtPackets] == 1
	if first := uint32(r.Numbers[flow.AtInitialFlags]); first != 0 {
		flags, single = first, true
	}
	answers := flags&control == syn|ack
	if flowv1.FlowType(r.Numbers[flow.AtType]) == flowv1.FlowType_FLOW_TYPE_AWS_VPC {
		// AWS reports SYN as 2, SYN|ACK as 18, and never ACK alone.
		single, answers = true, flags&(syn|ack) == syn|ack
	}
	switch {
	case flags&(syn|ack) == syn:
		return clientRole
	case single && answers:
		return serverRole
	}
	return noRole
}

type role uint8

const (
	noRole role = iota
	clientRole
	serverRole
)
