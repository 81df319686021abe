package merge

import (
	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// outputs lends out the messages of one call and takes them back at the next,
// so that steady state allocates nothing.
type outputs struct {
	flows     []*flowv1.Flow
	nflows    int
	reporters []*flowv1.Reporter
	nreport   int
	claims    []claim
	segments  []segment
	queue     []*held
}

func (o *outputs) reset() { o.nflows, o.nreport = 0, 0 }

// flow lends an empty flow; its reporters slice keeps its capacity.
func (o *outputs) flow() *flowv1.Flow {
	if o.nflows == len(o.flows) {
		o.flows = append(o.flows, new(flowv1.Flow))
	}
	f := o.flows[o.nflows]
	o.nflows++
	reporters := f.Reporters[:0]
	f.Reset()
	f.Reporters = reporters
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
	r.TimeFlowStartNs, r.TimeFlowEndNs = f.TimeFlowStartNs, f.TimeFlowEndNs
	r.Application, r.User, r.FirewallRule = f.Application, f.User, f.FirewallRule
	r.RecordId = f.RecordId
	return r
}
