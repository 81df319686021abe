package normalize

import (
	"bytes"

	"github.com/netsampler/goflow2/v2/decoders/sflow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// sample turns one sFlow sample into a flow of one packet, or an event.
func (n *Normalizer) sample(m *message, format uint32, b []byte, out *Result) {
	if format < sampleFlow || format > sampleDrop {
		n.buryRecord(m, "unknown_sample_format", b, nil, out)
		return
	}
	if !plausible(format, b) {
		n.buryRecord(m, "bad_record_count", b, nil, out)
		return
	}
	header, records := b[:sampleHeaders[format]], b[sampleHeaders[format]:]
	got, err := sflow.DecodeSample(&sflow.SampleHeader{Format: format, Length: uint32(len(b))}, bytes.NewBuffer(header))
	if err == nil {
		err = readSampleRecords(m, got, records)
	}
	if err != nil {
		n.buryRecord(m, "bad_sample", b, nil, out)
		return
	}
	out.DataRecords++
	m.records++
	switch s := got.(type) {
	case sflow.FlowSample:
		in, o := compactInterface(s.Input), compactInterface(s.Output)
		n.flowSample(m, &s.Header, in, o, s.SamplingRate, s.Records, out)
		n.watchPool(m, &s.Header, s.SamplingRate, poolCount{s.Header.SampleSequenceNumber, s.SamplePool, s.Drops}, out)
	case sflow.ExpandedFlowSample:
		in := sampleInterface{s.InputIfFormat, s.InputIfValue}
		o := sampleInterface{s.OutputIfFormat, s.OutputIfValue}
		n.flowSample(m, &s.Header, in, o, s.SamplingRate, s.Records, out)
		n.watchPool(m, &s.Header, s.SamplingRate, poolCount{s.Header.SampleSequenceNumber, s.SamplePool, s.Drops}, out)
	case sflow.CounterSample:
		n.counterSample(m, &s, out)
	case sflow.DropSample:
		n.dropSample(m, &s, out)
	}
}

// sampleInterface is an interface as sFlow names it: format 0 is an ifIndex,
// 1 says the packet was discarded (the value is why), 2 that it went out of
// several (the value is how many).
type sampleInterface struct{ format, value uint32 }

// noInterface is the ifIndex of packets that begin or end in the device itself.
const noInterface = 1<<30 - 1

// compactInterface takes the format out of the two upper bits.
func compactInterface(v uint32) sampleInterface { return sampleInterface{v >> 30, v & (1<<30 - 1)} }

// index is the ifIndex, 0 where there is none.
func (i sampleInterface) index() uint32 {
	if i.format == 0 && i.value != noInterface {
		return i.value
	}
	return 0
}

// forwardingStatus is why a packet was discarded, in IPFIX's words (RFC 7270 §4.12);
// 0 if it was not. sFlow has the codes of ICMP's destination unreachable, and its own
// from 256 on.
func (i sampleInterface) forwardingStatus() uint32 {
	if i.format != 1 {
		return 0
	}
	switch i.value {
	case 0, 1, 6, 7, 8, 11, 12: // net or host unreachable, unknown, isolated
		return 131 // unroutable
	case 4, 262: // too big, and not to be fragmented
		return 133
	case 9, 10, 13: // prohibited
		return statusDeniedByACL
	case 257: // TTL exceeded
		return 137
	case 258: // ACL
		return 130 // dropped by an ACL
	case 260: // random early detection
		return 139
	case 261: // shaped, or beyond a rate
		return 138
	}
	return 128 // dropped, unknown why
}

// flowSample makes a flow of one sampled packet. Its counts are that packet's
// alone; sampling_rate beside them says what they stand for.
func (n *Normalizer) flowSample(m *message, h *sflow.SampleHeader, in, o sampleInterface, rate uint32, records []sflow.FlowRecord, out *Result) {
	f := out.newFlow()
	m.common(f)
	f.RecordId = m.nextID()
	f.InIf, f.OutIf = in.index(), o.index()
	f.ForwardingStatus = o.forwardingStatus()
	f.Direction = sampleDirection(h, in, o)
	length, vni, ip := readSampled(f, records, m.exp.outerTunnels, out)
	if !ip {
		n.otherSample(m, f, rate, length, records, out)
		return
	}
	if v := extend(f, records, out); vni == 0 {
		vni = v
	}
	f.Bytes, f.Packets = length, 1
	f.TimeFlowStartNs, f.TimeFlowEndNs = m.receivedNs, m.receivedNs
	f.TimeQuality = flowv1.TimeQuality_TIME_QUALITY_RECEIVED_ONLY
	got := m.samplingOf(oneIn(uint64(rate), flowv1.SamplingKind_SAMPLING_KIND_PACKET), 0, f.InIf)
	f.SamplingRate, f.SamplingKind = got.rate, got.kind
	f.Realm = m.exp.realmOfPacket(f, vni)
	n.finish(m, f, out)
	out.Records.Flow++
}

// sampleDirection tells where a data source that is an interface samples.
func sampleDirection(h *sflow.SampleHeader, in, o sampleInterface) flowv1.Direction {
	switch {
	case h.SourceIdType != 0:
	case in.format == 0 && h.SourceIdValue == in.value:
		return flowv1.Direction_DIRECTION_INGRESS
	case o.format == 0 && h.SourceIdValue == o.value:
		return flowv1.Direction_DIRECTION_EGRESS
	}
	return flowv1.Direction_DIRECTION_UNSPECIFIED
}

// Protocols of sampled headers (sFlow "header_protocol").
const (
	headerEthernet = 1
	headerPPP      = 7
	headerIPv4     = 11
	headerIPv6     = 12
	headerMPLS     = 13
	headerPOS      = 14 // PPP over SONET
)

// readSampled reads the record that describes the packet itself. It returns the
// packet's length at the network layer, the virtual network it is in, 0 if none, and
// whether it is IP. Of a packet in a tunnel, that is what counts, unless only the
// outer one is wanted.
func readSampled(f *flowv1.Flow, records []sflow.FlowRecord, outer bool, out *Result) (length uint64, vni uint32, ip bool) {
	for i := range records {
		switch r := records[i].Data.(type) {
		case sflow.SampledHeader:
			header := r.HeaderData[:min(uint64(len(r.HeaderData)), uint64(r.OriginalLength))]
			p := packetReader{f: f, out: out, outer: outer, total: len(header)}
			switch r.Protocol {
			case headerEthernet:
				p.ethernet(header)
			case headerIPv4, headerIPv6:
				p.anyIP(header)
			case headerMPLS:
				p.mpls(header)
			case headerPPP, headerPOS:
				p.ppp(bytes.TrimPrefix(header, pppAddress))
			}
			length, ip = p.length(int(r.FrameLength), int(r.Stripped)), ip || p.ip
			vni = p.vni
		case sflow.SampledIPv4:
			readSampledIP(f, &r.SampledIPBase, r.Tos, out)
			length, ip = uint64(r.Length), true
		case sflow.SampledIPv6:
			readSampledIP(f, &r.SampledIPBase, r.Priority, out)
			length, ip = uint64(r.Length), true
		case sflow.SampledEthernet:
			f.SrcMac, f.DstMac = uintOf(r.SrcMac), uintOf(r.DstMac)
			if f.Etype == 0 {
				f.Etype = r.EthType
			}
			if length == 0 {
				length = uint64(r.Length)
			}
		}
	}
	return length, vni, ip
}

// readSampledIP reads a packet that the agent took apart itself.
func readSampledIP(f *flowv1.Flow, r *sflow.SampledIPBase, tos uint32, out *Result) {
	f.SrcAddr, f.DstAddr = out.copyBytes(r.SrcIP), out.copyBytes(r.DstIP)
	f.Etype = etherType(f.SrcAddr)
	f.Proto, f.IpTos, f.TcpFlags = r.Protocol, tos, r.TcpFlags
	f.SrcPort, f.DstPort = r.SrcPort, r.DstPort
	var s scratch
	icmp(icmpInPort, f, &s)
}

// extend reads the records that say how the packet was forwarded. It returns the virtual
// network that the packet came from or goes to, 0 if none.
func extend(f *flowv1.Flow, records []sflow.FlowRecord, out *Result) (vni uint32) {
	for i := range records {
		switch r := records[i].Data.(type) {
		case sflow.ExtendedSwitch:
			f.SrcVlan = uint32(nonzero(uint64(f.SrcVlan), uint64(knownVLAN(r.SrcVlan))))
			f.DstVlan = uint32(nonzero(uint64(f.DstVlan), uint64(knownVLAN(r.DstVlan))))
		case sflow.ExtendedRouter:
			f.NextHop = out.address(f.NextHop, r.NextHop)
			f.SrcNet, f.DstNet = r.SrcMaskLen, r.DstMaskLen
		case sflow.ExtendedGateway:
			f.BgpNextHop = out.address(f.BgpNextHop, r.NextHop)
			f.AsPath, f.BgpCommunities = r.ASPath, r.Communities
			f.SrcAs = r.SrcAS
			if len(r.ASPath) > 0 {
				f.NextHopAs, f.DstAs = r.ASPath[0], r.ASPath[len(r.ASPath)-1]
			} else {
				f.DstAs = r.AS
			}
		case sflow.RawRecord:
			if v := extendRaw(f, records[i].Header.DataFormat, r.Data, out); vni == 0 {
				vni = v
			}
		}
	}
	return vni
}

// knownVLAN is a VLAN id, 0 where the switch does not know it.
func knownVLAN(v uint32) uint32 {
	if v > 4095 {
		return 0
	}
	return v
}

// Extended records that goflow2 leaves to us.
const (
	extendedUser       = 1004
	extendedURL        = 1005
	extendedMPLS       = 1006
	extendedNAT        = 1007
	extendedVLANTunnel = 1012
	extendedNATPort    = 1020
	extendedVNIEgress  = 1029
	extendedVNIIngress = 1030
)

func extendRaw(f *flowv1.Flow, format uint32, b []byte, out *Result) (vni uint32) {
	x := xdr{b: b}
	switch format {
	case extendedUser: // charset and name of the source's user, then of the destination's
		x.number()
		f.User = textOf(x.bytes())
	case extendedURL: // direction, URL, host
		x.number()
		f.HttpUrl = textOf(x.bytes())
		f.HttpHost = textOf(x.bytes())
	case extendedMPLS: // next hop, label stack on the way in, and on the way out
		f.NextHop = out.address(f.NextHop, x.address())
		if stack := x.numbers(); len(f.MplsLabel) == 0 {
			for _, v := range stack[:min(len(stack), maxMPLSLabels)] {
				f.MplsLabel, f.MplsTtl = append(f.MplsLabel, v>>12), append(f.MplsTtl, v&0xff)
			}
		}
	case extendedNAT: // addresses of source and destination after translation
		f.PostSrcAddr = out.address(nil, x.address())
		f.PostDstAddr = out.address(nil, x.address())
	case extendedVLANTunnel: // tags that were taken off before the packet was sampled, outermost first
		if stack := x.numbers(); len(stack) > 0 {
			tags := [2]uint32{stack[0] & 0xfff, f.VlanId}
			if len(stack) > 1 {
				tags[1] = stack[1] & 0xfff
			}
			f.VlanId, f.SrcVlan, f.DstVlan = tags[0], tags[0], tags[1]
		}
	case extendedNATPort:
		f.PostSrcPort, f.PostDstPort = x.number(), x.number()
	case extendedVNIEgress, extendedVNIIngress:
		vni = x.number()
	}
	return vni
}
