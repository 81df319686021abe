package biflow

import (
	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// segment is what a table reads of one flow. It comes from a message, or straight
// from the wire (read.go). Slices alias where they come from.
type segment struct {
	start, end, received, recordID uint64
	bytes, packets, rate           uint64
	src, dst, sampler              []byte
	// full has what few flows tell: translation, names. It is nil for all others.
	full *flowv1.Flow
	// reporters are the other observation points.
	reporters        []view
	realm, domain    uint32
	srcPort, dstPort uint32
	tcpFlags         uint32
	initialFlags     uint32
	icmpType         uint32
	icmpCode         uint32
	activeMs         uint32
	endReason        uint32
	typ              flowv1.FlowType
	hint             flowv1.InitiatorHint
	proto            uint8
	kind, quality    uint8
	egress, late     bool
	// deleted: the firewall's word for its end.
	deleted bool
	// marks are what it marks its conversation with: reverse, packetsUnknown, and
	// denied, if a firewall or router dropped it.
	marks marks
}

// view is what counts of one reporter.
type view struct {
	point
	denied bool
}

// FirewallEvent, IANA element 233.
const (
	eventDeleted = 2
	eventDenied  = 3
)

// from reads a message. Its reporters go behind views, which it returns.
func (s *segment) from(f *flowv1.Flow, views []view) []view {
	s.start, s.end, s.received, s.recordID = f.TimeFlowStartNs, f.TimeFlowEndNs, f.TimeReceivedNs, f.RecordId
	s.bytes, s.packets, s.rate = f.Bytes, f.Packets, f.SamplingRate
	s.src, s.dst, s.sampler = f.SrcAddr, f.DstAddr, f.SamplerAddress
	s.realm, s.domain, s.proto = f.Realm, f.ObservationDomainId, uint8(f.Proto)
	s.srcPort, s.dstPort = f.SrcPort, f.DstPort
	s.tcpFlags, s.initialFlags = f.TcpFlags, f.InitialTcpFlags
	s.icmpType, s.icmpCode = f.IcmpType, f.IcmpCode
	s.activeMs, s.endReason = f.ActiveTimeoutMs, f.FlowEndReason
	s.typ, s.hint = f.Type, f.InitiatorHint
	s.kind, s.quality = uint8(f.SamplingKind), uint8(f.TimeQuality)
	s.egress = f.Direction == flowv1.Direction_DIRECTION_EGRESS
	s.late, s.deleted = f.Late, f.FirewallEvent == eventDeleted
	s.marks = 0
	s.marks.set(reverse, f.ReverseObservable)
	s.marks.set(packetsUnknown, f.PacketsUnknown)
	s.marks.set(denied, denies(f.FirewallEvent, f.ForwardingStatus, f.Vpc))
	s.full = nil
	if flow.Telling(f) {
		s.full = f
	}
	s.reporters = nil
	if len(f.Reporters) > 0 {
		n := len(views)
		for _, r := range f.Reporters {
			views = append(views, viewOf(r))
		}
		s.reporters = views[n:]
	}
	return views
}

// denies tells whether a firewall or router dropped a flow: NSEL event 3,
// forwardingStatus 128 to 191 (RFC 7270 §4.12), AWS action REJECT.
func denies(firewallEvent, forwardingStatus uint32, vpc *flowv1.Vpc) bool {
	return firewallEvent == eventDenied || forwardingStatus>>6 == 2 || vpc != nil && vpc.Action == "REJECT"
}

func viewOf(r *flowv1.Reporter) view {
	return view{
		point: point{
			sampler: flow.AddrFrom(r.SamplerAddress),
			domain:  r.ObservationDomainId,
			egress:  r.Direction == flowv1.Direction_DIRECTION_EGRESS,
		},
		denied: denies(r.FirewallEvent, r.ForwardingStatus, nil),
	}
}

// tcpRole is the role of a flow's source as its TCP flags tell it: flags that only
// one side can have sent. Flags are or-ed over all packets of a flow, so SYN
// together with ACK tells nothing unless it is one packet's: the server's SYN|ACK,
// or a client's SYN and later ACKs. A SYN without any ACK is a client's, however
// many packets there were.
func (s *segment) tcpRole() role {
	flags, single := s.tcpFlags, s.packets == 1
	if s.initialFlags != 0 {
		flags, single = s.initialFlags, true
	}
	if s.typ == flowv1.FlowType_FLOW_TYPE_AWS_VPC {
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

type role int

const (
	noRole role = iota
	clientRole
	serverRole
)
