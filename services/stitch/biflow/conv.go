package biflow

import (
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TCP flag bits (RFC 9293 §3.1).
const (
	fin = 0x01
	syn = 0x02
	rst = 0x04
	ack = 0x10
)

// half is one direction of a conversation: what the endpoint of its index
// (0 is the low one) sent.
type half struct {
	bytes, packets uint64
	// sent is what earlier versions have told of bytes and packets.
	sentBytes, sentPackets uint64
	// start and end are of all its flows; first is the start of the earliest.
	start, end uint64
	// sampler is who reported the first flow, for comparing starts.
	sampler  flow.Addr
	segments uint32
	// flags are or-ed; firstFlags are those of the earliest flow.
	flags, firstFlags uint8
	// ended: a FIN was sent, or the exporter saw the end.
	ended bool
	// icmp is type and code of the first flow.
	icmp uint16
	// post is the tuple after translation.
	post flow.Endpoint
}

// conv is one open conversation.
type conv struct {
	key  flow.ConvKey
	half [2]half
	id   uint64
	// prev is the flow id of the conversation this one continues.
	prev uint64
	// older chains conversations of the same key that linger.
	older   uint32
	version uint32
	// opened is the start as known at version 1.
	opened uint64
	// last is the tick of the last flow, issued that of the last version.
	last, issued eventtime.Tick
	// longest is the longest segment's duration, which bounds how long the next may be silent.
	longest uint64
	// ended is why it is over, while it lingers.
	ended flowv1.CloseReason
	live  bool
	// wakeAt is the tick its timer is set for.
	wakeAt eventtime.Tick
	// dirty: something changed since the last version; touched: this tick.
	dirty, touched bool
	// client is the index of the client's half as told last, confidence in percent.
	client     uint8
	confidence uint8
	evidence   flowv1.InitiatorEvidence
	revised    bool
	conflict   bool
	// What flows themselves told of their source's role so far.
	hint  verdict
	flags verdict
	// reverse: the exporters report both directions.
	reverse, denied, packetsUnknown bool
	sampling                        uint64
	samplingKind                    flowv1.SamplingKind
	quality                         flowv1.TimeQuality
	reporters                       []reporter
	// deco is what few conversations have.
	deco *decoration
}

// reporter is who reported, not how much.
type reporter struct {
	sampler flow.Addr
	domain  uint32
	egress  bool
}

// decoration is single-valued: the first non-empty value stays.
type decoration struct {
	application, user, httpHost, httpURL, dnsName, firewallRule string
}

func (c *conv) start() uint64 {
	a, b := &c.half[0], &c.half[1]
	switch {
	case a.segments == 0:
		return b.start
	case b.segments == 0:
		return a.start
	}
	return min(a.start, b.start)
}

func (c *conv) end() uint64 { return max(c.half[0].end, c.half[1].end) }

// add takes a counted flow of one side in.
func (c *conv) add(side int, f *flowv1.Flow) {
	h := &c.half[side]
	flags := uint8(0)
	if c.key.Proto == flow.ProtoTCP { // exporters put anything there for other protocols
		flags = uint8(f.TcpFlags)
	}
	if h.segments == 0 || f.TimeFlowStartNs < h.start {
		h.start = f.TimeFlowStartNs
		h.sampler = flow.AddrFrom(f.SamplerAddress)
		h.firstFlags = flags
	}
	if h.segments == 0 {
		h.icmp = uint16(f.IcmpType)<<8 | uint16(f.IcmpCode)
	}
	h.end = max(h.end, f.TimeFlowEndNs)
	h.bytes += f.Bytes
	h.packets += f.Packets
	h.flags |= flags
	h.segments++
	c.longest = max(c.longest, segmentLength(f))
	c.gatherEvidence(side, f)
	c.decorate(h, f)
	c.addReporter(f.SamplerAddress, f.ObservationDomainId, f.Direction)
	c.addReporters(f)
	c.gatherEnd(h, f, flags)
	c.dirty = true
}

// segmentLength is how long after this flow's start its successor may come: its
// duration, or the exporter's active timeout where that cut it.
func segmentLength(f *flowv1.Flow) uint64 {
	const activeTimeout = 2 // flowEndReason, IANA element 136
	var d uint64
	if f.TimeFlowEndNs > f.TimeFlowStartNs {
		d = f.TimeFlowEndNs - f.TimeFlowStartNs
	}
	active := uint64(f.ActiveTimeoutMs) * 1e6
	if f.FlowEndReason == activeTimeout || d > active/2 {
		d = max(d, active)
	}
	return d
}

// gatherEnd notes what ends the conversation; flags are those of TCP.
func (c *conv) gatherEnd(h *half, f *flowv1.Flow, flags uint8) {
	const endDetected = 3 // flowEndReason, IANA element 136
	switch {
	case f.FirewallEvent == 2 || f.FlowEndReason == endDetected && flags&(fin|rst) == 0:
		h.ended = true
		c.endBy(flowv1.CloseReason_CLOSE_REASON_END_DETECTED)
	case flags&rst != 0:
		h.ended = true
		c.endBy(flowv1.CloseReason_CLOSE_REASON_RST)
	case flags&fin != 0:
		h.ended = true
		if c.half[0].ended && c.half[1].ended {
			c.endBy(flowv1.CloseReason_CLOSE_REASON_FIN)
		}
	}
}

// endBy keeps the strongest reason: a reset over a FIN over the exporter's word.
func (c *conv) endBy(r flowv1.CloseReason) {
	if c.ended == 0 || r == flowv1.CloseReason_CLOSE_REASON_RST ||
		r == flowv1.CloseReason_CLOSE_REASON_FIN && c.ended != flowv1.CloseReason_CLOSE_REASON_RST {
		c.ended = r
	}
}

func (c *conv) decorate(h *half, f *flowv1.Flow) {
	c.reverse = c.reverse || f.ReverseObservable
	c.packetsUnknown = c.packetsUnknown || f.PacketsUnknown
	c.denied = c.denied || deniedBy(f)
	c.sampling = max(c.sampling, f.SamplingRate)
	c.samplingKind = max(c.samplingKind, f.SamplingKind)
	c.quality = max(c.quality, f.TimeQuality)
	if len(f.PostSrcAddr) > 0 || f.PostSrcPort != 0 {
		h.post = flow.Endpoint{Addr: flow.AddrFrom(f.PostSrcAddr), Port: uint16(f.PostSrcPort)}
	}
	if o := &c.half[1-c.sideOf(h)]; (len(f.PostDstAddr) > 0 || f.PostDstPort != 0) && o.post == (flow.Endpoint{}) {
		o.post = flow.Endpoint{Addr: flow.AddrFrom(f.PostDstAddr), Port: uint16(f.PostDstPort)}
	}
	if f.Application == "" && f.User == "" && f.HttpHost == "" && f.HttpUrl == "" && f.DnsName == "" && f.FirewallRule == "" {
		return
	}
	if c.deco == nil {
		c.deco = new(decoration)
	}
	for _, s := range []struct {
		have *string
		got  string
	}{
		{&c.deco.application, f.Application}, {&c.deco.user, f.User},
		{&c.deco.httpHost, f.HttpHost}, {&c.deco.httpURL, f.HttpUrl},
		{&c.deco.dnsName, f.DnsName}, {&c.deco.firewallRule, f.FirewallRule},
	} {
		if *s.have == "" && s.got != "" {
			*s.have = string(append([]byte(nil), s.got...)) // the flow's bytes are not ours to keep
		}
	}
}

func (c *conv) sideOf(h *half) int {
	if h == &c.half[0] {
		return 0
	}
	return 1
}

// deniedBy tells whether a firewall or router dropped the flow: NSEL event 3,
// forwardingStatus 128 to 191 (RFC 7270 §4.12), AWS action REJECT.
func deniedBy(f *flowv1.Flow) bool {
	return f.FirewallEvent == 3 || f.ForwardingStatus>>6 == 2 || f.Vpc != nil && f.Vpc.Action == "REJECT"
}

// maxReporters bounds the reporters kept per conversation.
const maxReporters = 16

func (c *conv) addReporter(sampler []byte, domain uint32, d flowv1.Direction) {
	r := reporter{flow.AddrFrom(sampler), domain, d == flowv1.Direction_DIRECTION_EGRESS}
	for i := range c.reporters {
		if c.reporters[i] == r {
			return
		}
	}
	if len(c.reporters) < maxReporters {
		c.reporters = append(c.reporters, r)
	}
}

func (c *conv) addReporters(f *flowv1.Flow) {
	for _, r := range f.Reporters {
		c.addReporter(r.SamplerAddress, r.ObservationDomainId, r.Direction)
	}
}
