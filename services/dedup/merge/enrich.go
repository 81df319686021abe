package merge

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// enrich completes a segment by what those it is nearest to know and it lacks:
// TCP flags of the same time are or-ed, and of what has a single value the best
// source's first one is taken. Flags of a single packet stay as they are: they tell
// who sent it, which or-ed ones do not. What the authority says stays, and what others say
// stays under their reporter, be it the same or not.
func (w *Window) enrich(e *entry, s *segment, at int32, queue []*held) {
	var flags uint16
	telling := false
	for i, h := range queue {
		if w.out.nearest[i] == at {
			telling = telling || h.telling
			if s.packets > 1 && w.sameTime(s, h) {
				flags |= h.tcpFlags
			}
		}
	}
	if !telling && flags&^s.tcpFlags == 0 {
		return
	}
	f := w.changeable(s)
	f.TcpFlags |= uint32(flags)
	if !telling {
		return
	}
	var by [sources]*flowv1.Flow
	for i, h := range queue {
		if w.out.nearest[i] == at && h.telling {
			g := w.unpack(e, h)
			if k := sourceOf(g); by[k] == nil {
				by[k] = g
			} else {
				complete(by[k], g)
			}
		}
	}
	for _, g := range by {
		if g != nil {
			complete(f, g)
		}
	}
}

// sameTime tells whether a report lies within a segment: the flags of a longer
// one may be those of the segments after it.
func (w *Window) sameTime(s *segment, h *held) bool {
	slack := uint64(w.cfg.Slack)
	return h.start+slack >= s.TimeFlowStartNs && h.end <= s.end+slack
}

// source is what kind of device knows best, the best first.
type source uint8

const (
	// inspecting devices look into the traffic: firewalls and probes.
	inspecting source = iota
	forwarding
	sampling
	sources
)

func sourceOf(f *flowv1.Flow) source {
	switch {
	case len(f.User)|len(f.FirewallRule)|len(f.HttpHost)|len(f.HttpUrl)|len(f.DnsName) != 0, f.FirewallEvent != 0:
		return inspecting
	case f.Type == flowv1.FlowType_FLOW_TYPE_SFLOW_5:
		return sampling
	}
	return forwarding
}

// complete gives f what it lacks and g knows. A tuple after translation is taken
// as a whole.
func complete(f, g *flowv1.Flow) {
	for _, v := range [...]struct{ have, got *string }{
		{&f.Application, &g.Application}, {&f.User, &g.User}, {&f.HttpHost, &g.HttpHost},
		{&f.HttpUrl, &g.HttpUrl}, {&f.DnsName, &g.DnsName}, {&f.FirewallRule, &g.FirewallRule},
	} {
		if *v.have == "" {
			*v.have = *v.got
		}
	}
	if len(f.PostSrcAddr)|len(f.PostDstAddr) == 0 && f.PostSrcPort|f.PostDstPort == 0 {
		f.PostSrcAddr, f.PostDstAddr = g.PostSrcAddr, g.PostDstAddr
		f.PostSrcPort, f.PostDstPort = g.PostSrcPort, g.PostDstPort
	}
}
