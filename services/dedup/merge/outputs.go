package merge

import (
	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// outputs lends out the messages of one call and takes them back at the next,
// so that steady state allocates nothing.
type outputs struct {
	emitter
	// passing tells that what was emitted is not needed any more when emit is back.
	passing   bool
	lent      []*flowv1.Flow
	nflows    int
	reporters []*flowv1.Reporter
	nreport   int
	// wire is what was written in this call.
	wire     []byte
	claims   []claim
	segments []segment
	nearest  []int32
	queue    []*held
	fills    []*held
	// back is the same of the other direction of a conversation.
	back struct {
		queue  []*held
		claims []claim
	}
}

// emitter is where outputs go, the one way or the other.
type emitter struct {
	flows func(*flowv1.Flow)
	wires func(*flow.Spliced)
}

// segment is a report of the authority on its way out. As a struct it is
// Spliced.Flow.
type segment struct {
	flow.Spliced
	end, packets uint64
	tcpFlags     uint16
}

func (o *outputs) reset(to emitter) {
	o.emitter, o.nflows, o.nreport, o.wire = to, 0, 0, o.wire[:0]
}

// passed takes back what was lent for a flow, once all that was decided of it is out.
func (o *outputs) passed() {
	if o.passing {
		o.nflows, o.nreport = 0, 0
	}
}

// emit lets a flow go.
func (o *outputs) emit(s *flow.Spliced) {
	if o.flows != nil {
		o.flows(s.Flow)
	} else {
		o.wires(s)
	}
}

// emitFlow lets a flow go that is a struct.
func (o *outputs) emitFlow(f *flowv1.Flow) {
	o.segments = append(o.segments[:0], segment{Spliced: flow.Spliced{Flow: f,
		TimeFlowStartNs: f.TimeFlowStartNs, TimeReceivedNs: f.TimeReceivedNs, RecordID: f.RecordId, Late: f.Late}})
	o.emit(&o.segments[0].Spliced)
}

// arrived is a report that goes out as it comes in.
func (o *outputs) arrived(r *arrival) *segment {
	o.segments = append(o.segments[:0], segment{flow.Spliced{Wire: r.Wire, Tail: r.Tail, Flow: r.flow,
		TimeFlowStartNs: r.TimeFlowStartNs, TimeReceivedNs: r.TimeReceivedNs, RecordID: r.RecordID, Late: r.Late}, r.TimeFlowEndNs, r.Packets, r.TCPFlags})
	return &o.segments[0]
}

// flow lends an empty flow; its reporters slice keeps its capacity.
func (o *outputs) flow() *flowv1.Flow {
	if o.nflows == len(o.lent) {
		o.lent = append(o.lent, new(flowv1.Flow))
	}
	f := o.lent[o.nflows]
	o.nflows++
	*f = flowv1.Flow{Reporters: f.Reporters[:0]} // not Reset, which prepares it for reflection
	return f
}

// giveBack takes the flow lent last back.
func (o *outputs) giveBack() { o.nflows-- }

// reporter lends the view that a report gives. It aliases the report.
func (o *outputs) reporter(f *flowv1.Flow) *flowv1.Reporter {
	if o.nreport == len(o.reporters) {
		o.reporters = append(o.reporters, new(flowv1.Reporter))
	}
	r := o.reporters[o.nreport]
	o.nreport++
	r.Reset()
	r.Type, r.SamplingRate, r.Bytes, r.Packets = f.Type, f.SamplingRate, f.Bytes, f.Packets
	r.SamplerAddress, r.ObservationDomainId, r.Direction = f.SamplerAddress, f.ObservationDomainId, f.Direction
	r.NextHop, r.SrcAs, r.DstAs, r.InIf, r.OutIf = f.NextHop, f.SrcAs, f.DstAs, f.InIf, f.OutIf
	r.IpTos, r.TcpFlags, r.VlanId = f.IpTos, f.TcpFlags, f.VlanId
	r.ForwardingStatus, r.FirewallEvent = f.ForwardingStatus, f.FirewallEvent
	r.PostSrcAddr, r.PostDstAddr, r.PostSrcPort, r.PostDstPort = f.PostSrcAddr, f.PostDstAddr, f.PostSrcPort, f.PostDstPort
	r.TimeFlowStartNs, r.TimeFlowEndNs = f.TimeFlowStartNs, f.TimeFlowEndNs
	r.Application, r.User, r.FirewallRule = f.Application, f.User, f.FirewallRule
	r.HttpHost, r.HttpUrl, r.DnsName = f.HttpHost, f.HttpUrl, f.DnsName
	r.RecordId = f.RecordId
	return r
}
