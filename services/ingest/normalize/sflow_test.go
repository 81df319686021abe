package normalize

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// sflowDatagram wraps samples, each with its format before it.
func sflowDatagram(samples ...[]byte) Datagram {
	b := values(4, 5, 4, 1, 4, 0xc0000264, 4, 3, 4, 1, 4, 1000, 4, uint64(len(samples)))
	for _, s := range samples {
		b = append(b, s[:4]...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(s)-4))
		b = append(b, s[4:]...)
	}
	return Datagram{Exporter: exporterAddr, ReceivedNs: nowNs, Payload: b}
}

// flowSampleOf is a flow sample with one raw packet header.
func flowSampleOf(rate, in, out, protocol, frame uint64, header []byte) []byte {
	b := values(4, sampleFlow, 4, 9, 4, in, 4, rate, 4, 100, 4, 0, 4, in, 4, out, 4, 1)
	return append(b, rawHeader(protocol, frame, header)...)
}

func rawHeader(protocol, frame uint64, header []byte) []byte {
	padded := append(append([]byte(nil), header...), make([]byte, (4-len(header)%4)%4)...)
	b := values(4, 1, 4, uint64(16+len(padded)), 4, protocol, 4, frame, 4, 4, 4, uint64(len(header)))
	return append(b, padded...)
}

// Headers of packets, from the network layer down.
var (
	tcp4 = append(values(1, 0x45, 1, 0x10, 2, 60, 2, 7, 2, 0x4000, 1, 64, 1, 6, 2, 0, 4, 0x0a000001, 4, 0x0a000002),
		values(2, 40000, 2, 443, 4, 1, 4, 0, 1, 0x50, 1, 0x02, 2, 0)...)
	udp6 = append(append(values(4, 0x6ab12345, 2, 100, 1, 0, 1, 63, 8, 0x20010db800000000, 8, 1, 8, 0x20010db800000000, 8, 2),
		values(1, 17, 1, 0, 2, 0x0502, 4, 0)...), values(2, 5353, 2, 53, 2, 80, 2, 0)...)
	macs = values(6, 0x0200_0000_0002, 6, 0x0200_0000_0001)
)

func ethernetFrame(parts ...[]byte) []byte {
	b := append([]byte(nil), macs...)
	for _, p := range parts {
		b = append(b, p...)
	}
	return b
}

func TestSFlowHeaders(t *testing.T) {
	f := func(name string, protocol uint64, header []byte, want func(*flowv1.Flow) bool) {
		t.Helper()
		got := only(t, run(Default(), sflowDatagram(flowSampleOf(100, 3, 4, protocol, 1000, header))))
		if !want(got) {
			t.Errorf("%s: %v", name, got)
		}
	}
	isTCP := func(f *flowv1.Flow) bool {
		return f.Proto == 6 && f.SrcPort == 40000 && f.DstPort == 443 && f.TcpFlags == 2 && f.Bytes == 60 && f.Packets == 1 &&
			f.SamplingRate == 100 && f.IpTos == 0x10 && f.IpTtl == 64 && f.Etype == etherIPv4 && f.InIf == 3 && f.OutIf == 4 &&
			f.Direction == flowv1.Direction_DIRECTION_INGRESS && f.TimeFlowStartNs == nowNs
	}
	isUDP := func(f *flowv1.Flow) bool {
		return f.Proto == 17 && f.SrcPort == 5353 && f.DstPort == 53 && f.Bytes == 140 && f.Etype == etherIPv6 && f.Ipv6FlowLabel == 0x12345 && f.IpTos == 0xab
	}
	f("Ethernet", headerEthernet, ethernetFrame(values(2, 0x0800), tcp4), isTCP)
	f("VLAN", headerEthernet, ethernetFrame(values(2, 0x8100, 2, 0x2064, 2, 0x0800), tcp4), func(f *flowv1.Flow) bool { return isTCP(f) && f.VlanId == 100 })
	f("QinQ", headerEthernet, ethernetFrame(values(2, 0x88a8, 2, 200, 2, 0x8100, 2, 100, 2, 0x86dd), udp6), func(f *flowv1.Flow) bool {
		return isUDP(f) && f.VlanId == 200 && f.DstVlan == 100
	})
	f("MPLS", headerEthernet, ethernetFrame(values(2, 0x8847, 4, 16<<12|0x0ff, 4, 17<<12|0x1fe), tcp4), func(f *flowv1.Flow) bool {
		return isTCP(f) && len(f.MplsLabel) == 2 && f.MplsLabel[1] == 17 && f.MplsTtl[1] == 0xfe
	})
	f("IPv6 with an extension header", headerEthernet, ethernetFrame(values(2, 0x86dd), udp6), isUDP)
	f("IPv4 alone", headerIPv4, tcp4, isTCP)
	f("a header that ends within TCP", headerIPv4, tcp4[:22], func(f *flowv1.Flow) bool { return f.Proto == 6 && f.SrcPort == 0 && f.Bytes == 60 })
	f("an EtherType behind a length", headerEthernet, ethernetFrame(values(2, 68, 3, 0xaaaa03, 3, 0, 2, 0x0800), tcp4), isTCP)
	reserved := append([]byte(nil), tcp4...)
	reserved[32] |= 0xe
	f("TCP's reserved flags", headerIPv4, reserved, func(f *flowv1.Flow) bool { return f.TcpFlags == 0xe02 })
	empty := append([]byte(nil), tcp4...)
	empty[3] = 20
	f("padding is no payload", headerEthernet, ethernetFrame(values(2, 0x0800), empty), func(f *flowv1.Flow) bool { return f.SrcPort == 0 && f.TcpFlags == 0 && f.Bytes == 20 })
	f("PPPoE", headerEthernet, ethernetFrame(values(2, 0x8100, 2, 7, 2, 0x8864, 1, 0x11, 1, 0, 2, 1, 2, 62, 2, 0x21), tcp4), func(f *flowv1.Flow) bool { return isTCP(f) && f.VlanId == 7 })
	f("PPPoE with IPv6", headerEthernet, ethernetFrame(values(2, 0x8864, 1, 0x11, 1, 0, 2, 1, 2, 142, 2, 0x57), udp6), isUDP)
	f("PPP", headerPPP, append(values(2, 0xff03, 2, 0x21), tcp4...), isTCP)
	f("PPP without address and control", headerPPP, append(values(2, 0x57), udp6...), isUDP)
	f("packet over SONET with MPLS", headerPOS, append(values(2, 0xff03, 2, 0x281, 4, 17<<12|0x1fe), tcp4...), func(f *flowv1.Flow) bool { return isTCP(f) && len(f.MplsLabel) == 1 })
	offload := append([]byte(nil), tcp4...)
	offload[2], offload[3] = 0, 0
	f("no length in the IP header", headerEthernet, ethernetFrame(values(2, 0x0800), offload), func(f *flowv1.Flow) bool { return f.Bytes == 1000-4-14 })
	big := append([]byte(nil), udp6...)
	big[4], big[5] = 0, 0
	f("no length in the IPv6 header", headerEthernet, ethernetFrame(values(2, 0x86dd), big), func(f *flowv1.Flow) bool { return f.Bytes == 1000-4-14 && f.SrcPort == 5353 })
	big[6] = noNextHeader
	f("IPv6 without anything", headerEthernet, ethernetFrame(values(2, 0x86dd), big), func(f *flowv1.Flow) bool { return f.Bytes == 40 && f.Proto == noNextHeader })
}

// TestOtherFrames: what PPP carries beside IP is none, nor is an impossible header.
func TestOtherFrames(t *testing.T) {
	for name, header := range map[string][]byte{
		"discovery":                    ethernetFrame(values(2, 0x8863, 1, 0x11, 1, 9, 2, 0, 2, 40), tcp4),
		"LCP":                          ethernetFrame(values(2, 0x8864, 1, 0x11, 1, 0, 2, 1, 2, 62, 2, 0xc021), tcp4),
		"cut off":                      ethernetFrame(values(2, 0x8864, 1, 0x11, 1, 0, 2, 1)),
		"a header of less than itself": ethernetFrame(values(2, 0x0800), []byte{0x44}, tcp4[1:]),
	} {
		if out := run(Default(), sflowDatagram(flowSampleOf(1, 3, 4, headerEthernet, 100, header))); out.Records != (Records{Event: 1}) {
			t.Errorf("%s: %+v", name, out.Records)
		}
	}
}

func TestSFlowOtherSamples(t *testing.T) {
	arp := ethernetFrame(values(2, 0x0806), make([]byte, 28))
	counters := append(values(4, sampleCounter, 4, 1, 4, 3, 4, 1, 4, 1, 4, 88), make([]byte, 88)...)
	binary.BigEndian.PutUint32(counters[24:], 3)     // ifIndex
	binary.BigEndian.PutUint64(counters[24+24:], 77) // ifInOctets
	drop := append(values(4, sampleDrop, 4, 1, 4, 0, 4, 3, 4, 2, 4, 0x40000003, 4, 0xc0000004, 4, 0x101, 4, 1), rawHeader(headerIPv4, 60, tcp4)...)
	out := run(Default(), sflowDatagram(flowSampleOf(1, 3, 4, headerEthernet, 60, arp), counters, drop))
	if out.Records != (Records{Event: 3}) || len(out.Flows) != 0 {
		t.Fatalf("%+v %v", out.Records, out.Dead)
	}
	if e := out.Events[0]; e.Kind != flowv1.EventKind_EVENT_KIND_LAYER2 || e.Attributes["ethernetType"] != "2054" {
		t.Errorf("layer 2: %v", e)
	}
	if e := out.Events[1]; e.Kind != flowv1.EventKind_EVENT_KIND_COUNTER || e.InIf != 3 || e.Attributes["ifInOctets"] != "77" {
		t.Errorf("counters: %v", e)
	}
	if e := out.Events[2]; e.Kind != flowv1.EventKind_EVENT_KIND_DROP || e.SrcPort != 40000 || e.Attributes["dropReason"] != "257" || e.InIf != 0x40000003 || e.OutIf != 0xc0000004 {
		t.Errorf("drop: %v", e)
	}
}

// TestSFlowTransactions: an application's samples are of no packet, and count none.
func TestSFlowTransactions(t *testing.T) {
	app := recordOf(2202, xdrText("payment"), make([]byte, 40))
	four := recordOf(extendedSocketIPv4, values(4, 6, 4, 0x0a000002, 4, 0x0a000001, 4, 443, 4, 40000))
	six := recordOf(extendedSocketIPv6, values(4, 6, 8, 0x20010db800000000, 8, 2, 8, 0x20010db800000000, 8, 1, 4, 443, 4, 40000))
	out := run(Default(), sflowDatagram(sampleWith(0, 0, app, four), sampleWith(0, 0, six, app), sampleWith(0, 0, recordOf(4413<<12|1, []byte{1, 2, 3, 4}))))
	if out.Records != (Records{Event: 3}) || len(out.Flows) != 0 {
		t.Fatalf("%+v %v", out.Records, out.Dead)
	}
	for i, e := range out.Events[:2] {
		if e.Kind != flowv1.EventKind_EVENT_KIND_APPLICATION || e.Packets != 0 || e.Proto != 6 || e.SrcPort != 40000 || e.DstPort != 443 ||
			len(e.SrcAddr) != 4+12*i || e.SrcAddr[len(e.SrcAddr)-1] != 1 || e.Attributes["flow0/2202"] == "" {
			t.Errorf("transaction %d: %v", i, e)
		}
	}
	if e := out.Events[2]; e.Kind != flowv1.EventKind_EVENT_KIND_OTHER || e.Packets != 0 || e.Attributes["flow4413/1"] != "01020304" {
		t.Errorf("a vendor's: %v", e)
	}
}

// TestSFlowDropReasons: what Linux says of a packet that it dropped.
func TestSFlowDropReasons(t *testing.T) {
	records := joined(rawHeader(headerEthernet, 60, ethernetFrame(values(2, 0x0806), make([]byte, 28))),
		recordOf(extendedHWTrap, xdrText("l3_drops"), xdrText("blackhole_route")), recordOf(extendedLinuxReason, xdrText("NO_SOCKET")))
	out := run(Default(), sflowDatagram(append(values(4, sampleDrop, 4, 1, 4, 0, 4, 3, 4, 2, 4, 3, 4, 4, 4, 0x101, 4, 3), records...)))
	a := out.Events[0].Attributes
	if a["hwTrapGroup"] != "l3_drops" || a["hwTrap"] != "blackhole_route" || a["linuxDropReason"] != "NO_SOCKET" || a["ethernetType"] != "2054" {
		t.Errorf("%v", a)
	}
}

func TestBadSamplesLoseNoOther(t *testing.T) {
	good := flowSampleOf(1, 3, 4, headerIPv4, 60, tcp4)
	// 80 bytes that ask for the memory of four billion records.
	greedy := values(4, sampleExpandedFlow, 4, 1, 4, 0, 4, 3, 4, 1, 4, 1, 4, 0, 4, 0, 4, 3, 4, 0, 4, 4, 4, 0xffffffff)
	short := good[:40]
	vendor := values(4, 4300<<12|1, 4, 0)
	out := run(Default(), sflowDatagram(greedy, short, vendor, good))
	if out.Records != (Records{Flow: 1, Dead: 3}) || out.DataRecords != 4 || len(out.Flows) != 1 {
		t.Fatalf("%+v %v", out.Records, out.Dead)
	}
	for i, want := range []string{"bad_record_count", "bad_record_count", "unknown_sample_format"} {
		if out.Dead[i].Reason != want {
			t.Errorf("dead letter %d: %s, want %s", i, out.Dead[i].Reason, want)
		}
	}
	cut := sflowDatagram(good, good)
	cut.Payload = cut.Payload[:len(cut.Payload)-8]
	if out = run(Default(), cut); out.Records.Flow != 1 || out.BadDatagrams != 1 {
		t.Errorf("a cut datagram: %+v, %d bad", out.Records, out.BadDatagrams)
	}
}

func TestSFlowCaptures(t *testing.T) {
	needShared(t)
	for name, want := range map[string]uint64{"sflow_1140": 5, "sflow_encap-vxlan": 1, "sflow_expanded-sample": 1, "sflow_raw-ipv4": 2} {
		out := run(Default(), datagrams(t, filepath.Join(shared, "captures", name+".pcap"))...)
		if out.DataRecords != want || out.Records.Flow != want || out.BadDatagrams != 0 {
			t.Errorf("%s: %d samples, %+v, want %d flows", name, out.DataRecords, out.Records, want)
		}
		conserved(t, out)
	}
}

func TestPacketSections(t *testing.T) {
	section := ethernetFrame(values(2, 0x0800), tcp4)
	w := ipfix().template(300, spec{ieFrameSection, variable}, spec{ieSamplingInterval, 4})
	body := append([]byte{byte(len(section))}, section...)
	f := only(t, run(Default(), w.set(300, append(body, values(4, 64)...)...).datagram()))
	if f.DstPort != 443 || f.Bytes != 60 || f.Packets != 1 || f.SamplingRate != 64 {
		t.Errorf("%v", f)
	}
}

// TestPacketSectionsOfFrames: what stands beside a section says how long the frame was,
// what kind it is of, and where in it the section begins (RFC 7133 §3.1).
func TestPacketSectionsOfFrames(t *testing.T) {
	offload := append([]byte(nil), tcp4...)
	offload[2], offload[3] = 0, 0
	section := ethernetFrame(values(2, 0x0800), offload)
	read := func(size, kind, offset uint64) *Result {
		w := ipfix().template(300, spec{ieFrameSize, 2}, spec{ieFrameSection, variable}, spec{ieFrameType, 2}, spec{ieSectionOffset, 2})
		body := joined(values(2, size), []byte{byte(len(section))}, section, values(2, kind, 2, offset))
		return run(Default(), w.set(300, body...).datagram())
	}
	if f := only(t, read(1514, linkEthernet, 0)); f.DstPort != 443 || f.Bytes != 1500 {
		t.Errorf("a frame of 1514 bytes: %v", f)
	}
	if out := read(1514, 2, 0); out.Records != (Records{Event: 1}) { // IEEE 802.11
		t.Errorf("another kind of frame: %+v", out.Records)
	}
	if out := read(1514, linkEthernet, 14); out.Records != (Records{Event: 1}) {
		t.Errorf("a section from the frame's middle: %+v", out.Records)
	}
	old := v9().template(300, spec{ieLayer2SectionOffset, 2}, spec{103, 2}, spec{ieLayer2Section, uint16(len(section))})
	if f := only(t, run(Default(), old.set(300, joined(values(2, 0, 2, uint64(len(section))), section)...).datagram())); f.DstPort != 443 {
		t.Errorf("layer2packetSectionData: %v", f)
	}
}
