package biflow

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// flowID names a conversation: xxhash64 over its key, the start and the record
// id of its first flow. 64 bits are enough, because every store also keys by
// endpoints or time. 0 means none, so it is never given.
func flowID(key *flow.ConvKey, f *flowv1.Flow) uint64 {
	var buf [64]byte
	b := key.AppendCanonical(buf[:0])
	b = binary.BigEndian.AppendUint64(b, f.TimeFlowStartNs)
	b = binary.BigEndian.AppendUint64(b, f.RecordId)
	return max(xxhash.Sum64(b), 1)
}

// issue emits the next version of a conversation.
func (t *Table) issue(now eventtime.Tick, c *conv, reason flowv1.CloseReason, emit func(*flowv1.Biflow)) {
	j := c.settle(c.judge(reason != 0))
	if c.version == 0 {
		c.opened = c.start()
	}
	c.version++
	b := t.out.biflow()
	b.FlowId, b.Version, b.PrevFlowId = c.id, c.version, c.prev
	b.Realm, b.Proto = c.key.Realm, uint32(c.key.Proto)
	b.TimeFlowStartNs, b.TimeFlowEndNs, b.TimeOpenedNs = c.start(), c.end(), c.opened
	b.TimeUpdatedNs = now.Ns()
	b.InitiatorEvidence, b.InitiatorConfidence = j.evidence, float32(j.percent)/100
	b.DirectionRevised, b.DirectionConflict = c.revised, c.conflict
	b.ConnState, b.CloseReason = c.state(j.side), reason
	t.fillSides(b, c, j.side)
	b.SamplingRate, b.SamplingKind, b.TimeQuality = c.sampling, c.samplingKind, c.quality
	b.PacketsUnknown = c.packetsUnknown
	t.fillReporters(b, c)
	if d := c.deco; d != nil {
		b.Application, b.User, b.HttpHost, b.HttpUrl = d.application, d.user, d.httpHost, d.httpURL
		b.DnsName, b.FirewallRule = d.dnsName, d.firewallRule
	}
	c.issued, c.dirty = now, false
	t.stats.Versions++
	emit(b)
}

// settle keeps a direction that was told before: for good at 0.9, and below
// that against all but one revision for better reasons.
func (c *conv) settle(j judgement) judgement {
	if c.version > 0 && j.side != c.client {
		if c.confidence >= frozen || c.revised || j.percent <= c.confidence {
			c.conflict = true
			return judgement{c.client, c.evidence, c.confidence, true}
		}
		c.revised = true
	}
	c.conflict = c.conflict || j.conflict
	c.client, c.evidence, c.confidence = j.side, j.evidence, j.percent
	return j
}

// fillSides puts each half on the client's or the server's side.
func (t *Table) fillSides(b *flowv1.Biflow, c *conv, client uint8) {
	cl, sv := &c.half[client], &c.half[1-client]
	ends := [2]*flow.Endpoint{&c.key.Low, &c.key.High}
	ce, se := ends[client], ends[1-client]
	b.ClientAddr, b.ServerAddr = t.out.addr(&ce.Addr), t.out.addr(&se.Addr)
	if flow.HasPorts(c.key.Proto) {
		b.ClientPort, b.ServerPort = uint32(ce.Port), uint32(se.Port)
	}
	b.ClientBytes, b.ClientPackets, b.ClientTcpFlags = cl.bytes, cl.packets, uint32(cl.flags)
	b.ServerBytes, b.ServerPackets, b.ServerTcpFlags = sv.bytes, sv.packets, uint32(sv.flags)
	b.NewClientBytes, b.NewClientPackets = cl.news()
	b.NewServerBytes, b.NewServerPackets = sv.news()
	b.Segments = cl.segments + sv.segments
	if flow.IsICMP(c.key.Proto) {
		h := cl
		if h.segments == 0 {
			h = sv
		}
		b.IcmpType, b.IcmpCode = uint32(h.icmp>>8), uint32(h.icmp&0xff)
	}
	b.PostClientAddr, b.PostClientPort = t.out.optionalAddr(&cl.post.Addr), uint32(cl.post.Port)
	b.PostServerAddr, b.PostServerPort = t.out.optionalAddr(&sv.post.Addr), uint32(sv.post.Port)
}

// news is what was added since the last version.
func (h *half) news() (bytes, packets uint64) {
	bytes, packets = h.bytes-h.sentBytes, h.packets-h.sentPackets
	h.sentBytes, h.sentPackets = h.bytes, h.packets
	return bytes, packets
}

// fillReporters lists who reported, in order of address.
func (t *Table) fillReporters(b *flowv1.Biflow, c *conv) {
	slices.SortFunc(c.reporters, func(x, y reporter) int {
		if o := bytes.Compare(x.sampler[:], y.sampler[:]); o != 0 {
			return o
		}
		if o := cmp.Compare(x.domain, y.domain); o != 0 {
			return o
		}
		return cmp.Compare(x.direction(), y.direction())
	})
	for i := range c.reporters {
		r := t.out.reporter()
		r.SamplerAddress = t.out.addr(&c.reporters[i].sampler)
		r.ObservationDomainId = c.reporters[i].domain
		r.Direction = c.reporters[i].direction()
		b.Reporters = append(b.Reporters, r)
	}
}

func (r reporter) direction() flowv1.Direction {
	if r.egress {
		return flowv1.Direction_DIRECTION_EGRESS
	}
	return flowv1.Direction_DIRECTION_INGRESS
}
