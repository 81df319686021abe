package biflow

import (
	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// issue emits the next version of a conversation.
func (t *Table) issue(c *conv, reason flowv1.CloseReason, out outlet) {
	o := t.origins.at(c.origin)
	j := t.judge(c, o, reason != 0)
	sent := [2]volume{t.volume(c, 0), t.volume(c, 1)}
	low, high := t.news(c, sent[0], sent[1])
	c.version++
	b := &t.message // every field of it is set, if it is not empty already
	m := t.moreOf(c)
	b.FlowId, b.Version, b.PrevFlowId = c.id, c.version, m.prev
	b.Realm, b.Proto = c.realm, uint32(c.proto)
	b.TimeFlowStartNs, b.TimeFlowEndNs, b.TimeOpenedNs = c.start(), c.end(), t.openedAt(c)
	b.TimeUpdatedNs = t.now.Ns()
	b.InitiatorEvidence, b.InitiatorConfidence = j.evidence, float32(j.percent)/100
	b.DirectionRevised, b.DirectionConflict = c.has(revised), c.has(conflict)
	b.ConnState, b.CloseReason = c.state(j.side, &sent, o.rate > 1), reason
	b.SamplingRate = o.rate
	if o.mixed {
		b.SamplingRate = 1
	}
	b.SamplingKind, b.TimeQuality = flowv1.SamplingKind(o.kind), flowv1.TimeQuality(o.quality)
	b.PacketsUnknown = c.has(packetsUnknown)
	news := [2]volume{low, high}
	t.fillSides(b, c, j.side, &sent)
	b.NewClientBytes, b.NewClientPackets = news[j.side].bytes, news[j.side].packets
	b.NewServerBytes, b.NewServerPackets = news[1-j.side].bytes, news[1-j.side].packets
	if c.more != 0 || t.decorated {
		t.fillMore(b, m, j.side)
		t.decorated = c.more != 0
	}
	b.Reporters = o.reporters
	c.issued = uint32(t.now)
	c.marks &^= dirty
	t.stats.Versions++
	out.say(b, o.wire)
}

// judge says who the client is as far as is known now.
func (t *Table) judge(c *conv, o *origin, final bool) judgement {
	if c.version > 0 && !c.has(dirty) && c.bothSpoke() {
		// Nothing came since the last judgement, and the end adds nothing.
		return c.told(c.has(conflict))
	}
	return c.settle(c.judge(final, t.origins.sameExporter(o), o.rate > 1, c.portVerdict(t.standings(c))))
}

// settle keeps a direction that was told before: for good at 0.9, and below that
// against all but one revision for a better reason. What contradicts that reason, as
// what was told before mostly does, makes it less sure, but no worse a reason.
func (c *conv) settle(j judgement) judgement {
	told := c.client.verdict()
	if c.version > 0 && j.side != told.side {
		switch {
		case j.reason == 0: // nothing speaks for either
			j.side = told.side
		case told.percent >= frozen || c.has(revised) || j.stands && j.reason <= told.percent:
			c.marks |= conflict
			return c.told(true)
		default:
			c.marks |= revised
		}
	}
	c.set(conflict, j.conflict)
	c.client, c.evidence = verdict{j.side, j.percent}.pack(), uint8(j.evidence)
	return j
}

// told is what was judged last.
func (c *conv) told(conflict bool) judgement {
	v := c.client.verdict()
	return judgement{side: v.side, evidence: flowv1.InitiatorEvidence(c.evidence), percent: v.percent, conflict: conflict}
}

// fillSides puts each half on the client's or the server's side.
func (t *Table) fillSides(b *flowv1.Biflow, c *conv, client uint8, sent *[2]volume) {
	cl, sv := &c.half[client], &c.half[1-client]
	b.ClientAddr, b.ServerAddr = t.wires(c)
	if client == 1 {
		b.ClientAddr, b.ServerAddr = b.ServerAddr, b.ClientAddr
	}
	b.ClientPort, b.ServerPort = 0, 0
	if flow.HasPorts(c.proto) {
		b.ClientPort, b.ServerPort = uint32(cl.port), uint32(sv.port)
	}
	b.ClientBytes, b.ClientPackets, b.ClientTcpFlags = sent[client].bytes, sent[client].packets, uint32(cl.flags)
	b.ServerBytes, b.ServerPackets, b.ServerTcpFlags = sent[1-client].bytes, sent[1-client].packets, uint32(sv.flags)
	b.Segments = cl.segments + sv.segments
	b.IcmpType, b.IcmpCode = 0, 0
	if flow.IsICMP(c.proto) {
		first := client
		if cl.segments == 0 {
			first = 1 - client
		}
		b.IcmpType, b.IcmpCode = uint32(c.icmp[first]>>8), uint32(c.icmp[first]&0xff)
	}
}

// fillMore fills in, or leaves empty, what few conversations have.
func (t *Table) fillMore(b *flowv1.Biflow, m *more, client uint8) {
	b.PostClientAddr, b.PostServerAddr = nil, nil
	b.PostClientPort, b.PostServerPort = uint32(m.post[client].Port), uint32(m.post[1-client].Port)
	if a := &m.post[client].Addr; *a != (flow.Addr{}) {
		b.PostClientAddr = a.Wire()
	}
	if a := &m.post[1-client].Addr; *a != (flow.Addr{}) {
		b.PostServerAddr = a.Wire()
	}
	n := &noNames
	if m.names != 0 {
		n = t.names.At(m.names - 1)
	}
	b.Application, b.User, b.HttpHost, b.HttpUrl = n.application, n.user, n.httpHost, n.httpURL
	b.DnsName, b.FirewallRule = n.dnsName, n.firewallRule
}
