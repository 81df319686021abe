package vpc

import (
	"net/netip"
	"time"

	"github.com/cespare/xxhash/v2"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/ingest/named"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// block is the memory of one flow.
type block struct {
	flow  flowv1.Flow
	vpc   flowv1.Vpc
	addrs [7][16]byte
	used  int
}

// wire lends the bytes of an address, as messages carry it.
func (b *block) wire(a netip.Addr) []byte {
	to := &b.addrs[b.used]
	b.used++
	if a.Is4() {
		v4 := a.As4()
		return append(to[:0], v4[:]...)
	}
	*to = a.As16()
	return to[:]
}

// flow makes the flow of the record that was read last.
func (p *Parser) flow(line []byte, receivedNs uint64) *flowv1.Flow {
	r := &p.record
	b := &block{}
	f, v := &b.flow, &b.vpc
	f.Vpc = v
	r.message(v)
	f.Type = flowv1.FlowType_FLOW_TYPE_AWS_VPC
	f.SamplerAddress = b.wire(r.exporter())
	f.SrcAddr, f.DstAddr = b.wire(r.pktSrc), b.wire(r.pktDst)
	p.layers(b)
	f.Etype = 0x86dd
	if r.pktSrc.Is4() {
		f.Etype = 0x0800
	}
	f.Proto, f.TcpFlags = r.proto, r.tcpFlags
	if flow.HasPorts(uint8(r.proto)) {
		f.SrcPort, f.DstPort = r.srcPort, r.dstPort
	}
	f.Bytes, f.Packets, f.PacketsUnknown = r.bytes, r.packets, !r.hasPackets
	f.Direction = r.direction()
	f.Realm = p.realm()
	// Every packet is looked at. An interface reports both directions, whatever
	// the filter of the flow log: what it leaves out, accepted or rejected, it
	// leaves out both ways.
	f.SamplingRate, f.SamplingKind = 1, flowv1.SamplingKind_SAMPLING_KIND_NONE
	f.ReverseObservable = true
	f.FirewallRule = r.vpc.rejectReason
	f.ForwardingStatus = r.forwardingStatus()
	f.ActiveTimeoutMs = uint32(p.cfg.AggregationInterval.Milliseconds())
	f.TimeReceivedNs, f.TimeFlowStartNs, f.TimeFlowEndNs = receivedNs, r.startNs, r.endNs
	f.TimeQuality = flowv1.TimeQuality_TIME_QUALITY_ABSOLUTE
	p.suspect(f)
	f.RecordId = p.recordID(line)
	return f
}

// layers keeps the packet's own addresses and, where they differ, those of the
// interface's layer.
func (p *Parser) layers(b *block) {
	r := &p.record
	if r.src.IsValid() && r.src != r.pktSrc {
		b.vpc.PktSrcaddr, b.vpc.Srcaddr = b.flow.SrcAddr, b.wire(r.src)
	}
	if r.dst.IsValid() && r.dst != r.pktDst {
		b.vpc.PktDstaddr, b.vpc.Dstaddr = b.flow.DstAddr, b.wire(r.dst)
	}
}

// exporter is the address of the observation point: the interface, or what
// stands for it where there is none (a regional NAT gateway, a transit gateway).
// A custom format should name it: reports of two points without names are taken
// for one's, and added up.
func (r *record) exporter() netip.Addr {
	v := &r.vpc
	for _, id := range []string{v.iface, v.resource, r.attachment, r.tgw, v.instance, v.subnet, v.vpcID} {
		if id != "" {
			return named.Addr(named.AWS, v.account, id)
		}
	}
	return named.Addr(named.AWS, v.account, "")
}

// forwardingStatus is the action in the words of IPFIX (RFC 7270 §4.12): of the
// two interfaces of a flow one may reject what the other let pass, and a reporter
// keeps this field.
func (r *record) forwardingStatus() uint32 {
	const forwarded, dropped = 1 << 6, 2 << 6
	switch r.vpc.action {
	case "ACCEPT":
		return forwarded
	case "REJECT":
		return dropped
	}
	return 0
}

// direction is which way the packets went, as the interface sees it.
func (r *record) direction() flowv1.Direction {
	switch r.vpc.direction {
	case "ingress":
		return flowv1.Direction_DIRECTION_INGRESS
	case "egress":
		return flowv1.Direction_DIRECTION_EGRESS
	}
	return flowv1.Direction_DIRECTION_UNSPECIFIED
}

// realm is the address space of the record that was read last.
func (p *Parser) realm() uint32 {
	if len(p.cfg.Realms) == 0 {
		return 0
	}
	r := &p.record
	for _, id := range []string{r.vpc.iface, r.tgw, r.vpc.vpcID, r.vpc.account} {
		if realm, ok := p.cfg.Realms[id]; ok && id != "" {
			return realm
		}
	}
	return 0
}

// suspect flags times that cannot be right; such flows are kept.
func (p *Parser) suspect(f *flowv1.Flow) {
	if f.TimeFlowEndNs < f.TimeFlowStartNs {
		f.TimeFlowStartNs, f.TimeFlowEndNs = f.TimeFlowEndNs, f.TimeFlowStartNs
		f.TimeSuspect = true
	}
	patience := uint64(p.cfg.OldTolerance + 2*p.cfg.AggregationInterval)
	if f.TimeFlowStartNs > f.TimeReceivedNs+uint64(p.cfg.FutureTolerance) || f.TimeFlowEndNs+patience < f.TimeReceivedNs {
		f.TimeSuspect = true
	}
}

// recordID is the identity of a line: what it says and, below, its place in the
// file. A file that comes twice gives the same.
func (p *Parser) recordID(line []byte) uint64 {
	return xxhash.Sum64(line)&^0xffff | p.at.line&0xffff
}

// statusEvent tells of an interval without data: there was no traffic (NODATA),
// or AWS lost records of it (SKIPDATA).
func (p *Parser) statusEvent(line []byte, receivedNs uint64, out *normalize.Result) Kind {
	r := &p.record
	at := r.exporter()
	e := &flowv1.Event{
		Type: flowv1.FlowType_FLOW_TYPE_AWS_VPC, Kind: flowv1.EventKind_EVENT_KIND_STATUS,
		SamplerAddress: at.AsSlice(), Realm: p.realm(),
		TimeReceivedNs: receivedNs, TimeEventNs: r.endNs, RecordId: p.recordID(line),
		Attributes: map[string]string{
			"log_status":      r.status,
			"time_flow_start": timeText(r.startNs), "time_flow_end": timeText(r.endNs),
		},
	}
	v := &r.vpc
	for _, a := range append(r.others(), attribute{"account_id", v.account}, attribute{"interface_id", v.iface}, attribute{"vpc_id", v.vpcID},
		attribute{"subnet_id", v.subnet}, attribute{"instance_id", v.instance}, attribute{"region", v.region}, attribute{"az_id", v.az},
		attribute{"sublocation_type", v.sublocationType}, attribute{"sublocation_id", v.sublocationID}, attribute{"resource_id", v.resource},
		attribute{"encryption_status", v.encryption}, attribute{"flow_direction", v.direction}, attribute{"reject_reason", v.rejectReason}) {
		if a.value != "" {
			e.Attributes[a.name] = a.value
		}
	}
	out.Events = append(out.Events, e)
	out.Records.Event++
	if r.status == statusSkipData {
		p.stats.SkipData++
	} else {
		p.stats.NoData++
	}
	return Status
}

func timeText(ns uint64) string {
	return time.Unix(int64(ns/1e9), 0).UTC().Format(time.RFC3339)
}
