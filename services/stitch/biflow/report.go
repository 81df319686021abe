package biflow

import (
	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// report is what a table looks at of a flow's message, and of one of a reporter's,
// field by field. It is filled from a message or straight from the wire (layout.go),
// then packed into a segment.
type report struct{ flow.Fields }

// Places of numbers; those that nobody looks at go to the first.
const (
	_ = iota
	atType
	atRate
	atBytes
	atPackets
	atProto
	atSrcPort
	atDstPort
	atForwarding
	atFlags
	atICMPType
	atICMPCode
	atDomain
	atReceived
	atStart
	atEnd
	atDirection
	atRealm
	atEndReason
	atHint
	atQuality
	atKind
	atRecordID
	atActive
	atReverse
	atFirewall
	atInitialFlags
	atLate
	atPacketsUnknown
)

// Places of texts.
const (
	_ = iota
	atSrc
	atDst
	atSampler
)

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
	n[atType], n[atHint], n[atDirection] = uint64(f.Type), uint64(f.InitiatorHint), uint64(f.Direction)
	n[atKind], n[atQuality] = uint64(f.SamplingKind), uint64(f.TimeQuality)
	n[atStart], n[atEnd], n[atReceived], n[atRecordID] = f.TimeFlowStartNs, f.TimeFlowEndNs, f.TimeReceivedNs, f.RecordId
	n[atBytes], n[atPackets], n[atRate] = f.Bytes, f.Packets, f.SamplingRate
	n[atRealm], n[atDomain], n[atProto] = uint64(f.Realm), uint64(f.ObservationDomainId), uint64(f.Proto)
	n[atSrcPort], n[atDstPort] = uint64(f.SrcPort), uint64(f.DstPort)
	n[atICMPType], n[atICMPCode] = uint64(f.IcmpType), uint64(f.IcmpCode)
	n[atFlags], n[atInitialFlags] = uint64(f.TcpFlags), uint64(f.InitialTcpFlags)
	n[atActive], n[atEndReason] = uint64(f.ActiveTimeoutMs), uint64(f.FlowEndReason)
	n[atForwarding], n[atFirewall] = uint64(f.ForwardingStatus), uint64(f.FirewallEvent)
	if f.Vpc != nil && f.Vpc.Action == "REJECT" {
		n[atForwarding] = forwardingDropped
	}
	n[atReverse], n[atLate], n[atPacketsUnknown] = oneIf(f.ReverseObservable), oneIf(f.Late), oneIf(f.PacketsUnknown)
	r.Texts[atSrc], r.Texts[atDst], r.Texts[atSampler] = f.SrcAddr, f.DstAddr, f.SamplerAddress
}

// ofReporter reads the message of a reporter.
func (r *report) ofReporter(m *flowv1.Reporter) {
	n := &r.Numbers
	n[atDomain], n[atDirection] = uint64(m.ObservationDomainId), uint64(m.Direction)
	n[atForwarding], n[atFirewall] = uint64(m.ForwardingStatus), uint64(m.FirewallEvent)
	r.Texts[atSampler] = m.SamplerAddress
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
		sampler: flow.AddrFrom(r.Texts[atSampler]),
		domain:  uint32(r.Numbers[atDomain]),
		egress:  flowv1.Direction(r.Numbers[atDirection]) == flowv1.Direction_DIRECTION_EGRESS,
	}
}

func (r *report) view() view { return view{r.point(), r.denied()} }

// denied tells whether a firewall or router dropped the flow: NSEL event 3,
// forwardingStatus 128 to 191, AWS action REJECT.
func (r *report) denied() bool {
	return uint32(r.Numbers[atFirewall]) == eventDenied || uint32(r.Numbers[atForwarding])>>6 == 2
}

// marks are what the flow marks its conversation with.
func (r *report) marks() (m marks) {
	m.set(reverse, r.Numbers[atReverse] != 0)
	m.set(packetsUnknown, r.Numbers[atPacketsUnknown] != 0)
	m.set(denied, r.denied())
	return m
}

// tcpRole is the role of a flow's source as its TCP flags tell it: flags that only
// one side can have sent. Flags are or-ed over all packets of a flow, so SYN
// together with ACK tells nothing unless it is one packet's: the server's SYN|ACK,
// or a client's SYN and later ACKs. A SYN without any ACK is a client's, however
// many packets there were.
func (r *report) tcpRole() role {
	flags, single := uint32(r.Numbers[atFlags]), r.Numbers[atPackets] == 1
	if first := uint32(r.Numbers[atInitialFlags]); first != 0 {
		flags, single = first, true
	}
	if flowv1.FlowType(r.Numbers[atType]) == flowv1.FlowType_FLOW_TYPE_AWS_VPC {
		// AWS reports SYN as 2, SYN|ACK as 18, and never ACK alone.
		single = true
	}
	switch {
	case flags&(syn|ack) == syn:
		return clientRole
	case single && (flags&(syn|ack) == syn|ack || flags&0x3f == rst|ack):
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
