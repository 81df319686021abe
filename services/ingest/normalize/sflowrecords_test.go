package normalize

import (
	"net/netip"
	"slices"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// sampleWith is a flow sample with any records, each with its format before it, from and
// to interfaces as the compact form has them.
func sampleWith(in, out uint64, records ...[]byte) []byte {
	b := values(4, sampleFlow, 4, 9, 4, 3, 4, 100, 4, 100, 4, 0, 4, in, 4, out, 4, uint64(len(records)))
	return append(b, joined(records...)...)
}

func recordOf(format uint64, parts ...[]byte) []byte {
	body := joined(parts...)
	return joined(values(4, format, 4, uint64(len(body))), body)
}

func xdrText(s string) []byte {
	return joined(values(4, uint64(len(s))), []byte(s), make([]byte, (4-len(s)%4)%4))
}

// TestSFlowRecords has the records of the specification (sFlow version 5) that no capture
// has: packets that the agent took apart itself, other header protocols, and what is said
// of users, URLs and NAT.
func TestSFlowRecords(t *testing.T) {
	read := func(sample []byte) *flowv1.Flow {
		t.Helper()
		return only(t, run(Default(), sflowDatagram(sample)))
	}
	four := recordOf(3, values(4, 600, 4, 6, 4, 0x0a000001, 4, 0x0a000002, 4, 40000, 4, 443, 4, 0x12, 4, 0x10))
	if f := read(sampleWith(3, 4, four)); f.Bytes != 600 || f.Proto != 6 || f.SrcPort != 40000 || f.DstPort != 443 || f.TcpFlags != 0x12 || f.IpTos != 0x10 || f.SrcAddr[0] != 10 {
		t.Errorf("sampled IPv4: %v", f)
	}
	six := recordOf(4, values(4, 140, 4, 17, 8, 0x20010db800000000, 8, 1, 8, 0x20010db800000000, 8, 2, 4, 5353, 4, 53, 4, 0, 4, 0xab))
	if f := read(sampleWith(3, 4, six)); f.Bytes != 140 || f.DstPort != 53 || f.Etype != etherIPv6 || f.DstAddr[15] != 2 || f.IpTos != 0xab {
		t.Errorf("sampled IPv6: %v", f)
	}
	ping := recordOf(3, values(4, 84, 4, 1, 4, 0x0a000001, 4, 0x0a000002, 4, 0, 4, 0x0800, 4, 0, 4, 0))
	frame := recordOf(2, values(4, 102, 6, 0x0200_0000_0001, 2, 0, 6, 0x0200_0000_0002, 2, 0, 4, 0x0800))
	if f := read(sampleWith(3, 4, frame, ping)); f.Bytes != 84 || f.IcmpType != 8 || f.DstPort != 0 || f.SrcMac != 0x0200_0000_0001 || f.DstMac != 0x0200_0000_0002 {
		t.Errorf("sampled ICMP, and its frame: %v", f)
	}
	layer2 := run(Default(), sflowDatagram(sampleWith(3, 4, recordOf(2, values(4, 102, 6, 1, 2, 0, 6, 2, 2, 0, 4, 0x88cc)))))
	if len(layer2.Events) != 1 || layer2.Events[0].Attributes["ethernetType"] != "35020" || layer2.Events[0].Attributes["destinationMacAddress"] != "00:00:00:00:00:02" {
		t.Errorf("a frame alone: %v", layer2.Events)
	}
	if f := read(sampleWith(3, 4, rawHeader(headerIPv6, 1000, udp6))); f.DstPort != 53 || f.Bytes != 140 || f.Etype != etherIPv6 {
		t.Errorf("an IPv6 header alone: %v", f)
	}
	if f := read(sampleWith(3, 4, rawHeader(headerMPLS, 1000, joined(values(4, 18<<12|0x13f), tcp4)))); f.DstPort != 443 || len(f.MplsLabel) != 1 || f.MplsLabel[0] != 18 || f.Bytes != 60 {
		t.Errorf("an MPLS header alone: %v", f)
	}
	raw := rawHeader(headerIPv4, 60, tcp4)
	f := read(sampleWith(3, 4, raw,
		recordOf(extendedUser, values(4, 106), xdrText("alice"), values(4, 106), xdrText("bob")),
		recordOf(extendedURL, values(4, 1), xdrText("/index.html"), xdrText("www.example.com")),
		recordOf(extendedNAT, values(4, 1, 4, 0xc6336401, 4, 2, 8, 0x20010db800000000, 8, 7))))
	if f.User != "alice" || f.HttpUrl != "/index.html" || f.HttpHost != "www.example.com" || len(f.PostSrcAddr) != 4 || len(f.PostDstAddr) != 16 {
		t.Errorf("user, URL and NAT: %v", f)
	}
	f = read(sampleWith(3, 4, raw,
		recordOf(extendedMPLS, values(4, 1, 4, 0xc6336402, 4, 2, 4, 18<<12|0x03f, 4, 19<<12|0x13e, 4, 0)),
		recordOf(extendedNATPort, values(4, 1024, 4, 8443))))
	if !slices.Equal(f.MplsLabel, []uint32{18, 19}) || !slices.Equal(f.MplsTtl, []uint32{63, 62}) || len(f.NextHop) != 4 || f.PostSrcPort != 1024 || f.PostDstPort != 8443 {
		t.Errorf("MPLS and translated ports: %v", f)
	}
	one := rawHeader(headerEthernet, 100, ethernetFrame(values(2, 0x8100, 2, 42, 2, 0x0800), tcp4))
	if f := read(sampleWith(3, 4, one, recordOf(extendedVLANTunnel, values(4, 1, 2, 0x88a8, 2, 0x2064)))); f.VlanId != 100 || f.SrcVlan != 100 || f.DstVlan != 42 {
		t.Errorf("a tag that was taken off: %v", f)
	}
	if f := read(sampleWith(3, 4, raw, recordOf(extendedVLANTunnel, values(4, 2, 2, 0x88a8, 2, 100, 2, 0x8100, 2, 42)))); f.VlanId != 100 || f.DstVlan != 42 {
		t.Errorf("two tags that were taken off: %v", f)
	}
	for reason, want := range map[uint64]uint32{1: 131, 4: 133, 13: 129, 256: 128, 257: 137, 258: 130, 260: 139, 261: 138, 262: 133, 999: 128} {
		if f := read(sampleWith(3, 1<<30|reason, raw)); f.OutIf != 0 || f.ForwardingStatus != want || f.InIf != 3 {
			t.Errorf("discarded for %d: %v", reason, f)
		}
	}
	if f := read(sampleWith(noInterface, noInterface, raw)); f.InIf != 0 || f.OutIf != 0 || f.ForwardingStatus != 0 {
		t.Errorf("to the device itself: %v", f)
	}
	if f := read(sampleWith(3, 2<<30|7, raw)); f.OutIf != 0 || f.ForwardingStatus != 0 {
		t.Errorf("to several interfaces: %v", f)
	}
	if f := read(sampleWith(4, 3, raw)); f.Direction != flowv1.Direction_DIRECTION_EGRESS {
		t.Errorf("sampled on its way out: %v", f.Direction)
	}
	unknown := recordOf(1001, values(4, 0xffffffff, 4, 0, 4, 0xffffffff, 4, 0))
	tagged := rawHeader(headerEthernet, 100, ethernetFrame(values(2, 0x8100, 2, 42, 2, 0x0800), tcp4))
	if f := read(sampleWith(3, 4, tagged, unknown)); f.SrcVlan != 42 || f.VlanId != 42 || f.DstVlan != 0 {
		t.Errorf("the packet's VLAN tag, where the switch knows none: %v", f)
	}
}

// TestSFlowExpanded has the expanded forms of counters and flows, constructed: the capture
// has a flow alone.
func TestSFlowExpanded(t *testing.T) {
	counters := joined(values(4, sampleExpandedCounter, 4, 1, 4, 0, 4, 0x12345678, 4, 1), recordOf(2, make([]byte, 52)))
	flow := joined(values(4, sampleExpandedFlow, 4, 1, 4, 0, 4, 0x40000003, 4, 64, 4, 1, 4, 0, 4, 0, 4, 0x40000003, 4, 0, 4, 0x40000004, 4, 1), rawHeader(headerIPv4, 60, tcp4))
	out := run(Default(), sflowDatagram(counters, flow))
	if out.Records != (Records{Flow: 1, Event: 1}) {
		t.Fatalf("%+v %v", out.Records, out.Dead)
	}
	if e := out.Events[0]; e.Kind != flowv1.EventKind_EVENT_KIND_COUNTER || e.Attributes["sourceIdIndex"] != "305419896" || e.Attributes["dot3StatsFCSErrors"] != "0" {
		t.Errorf("counters: %v", e)
	}
	if f := out.Flows[0]; f.InIf != 0x40000003 || f.OutIf != 0x40000004 || f.SamplingRate != 64 || f.Direction != flowv1.Direction_DIRECTION_INGRESS {
		t.Errorf("flow: %v", f)
	}
}

// TestSFlowGateways: a path to the destination has parts, each a sequence or a set of ASes;
// next hops and agents may be unknown, which is an address of type 0 and no bytes.
func TestSFlowGateways(t *testing.T) {
	raw := rawHeader(headerIPv4, 60, tcp4)
	path := values(4, 2, 4, 2, 4, 2, 4, 100, 4, 200, 4, 1, 4, 2, 4, 300, 4, 301)
	gateway := recordOf(1003, values(4, 1, 4, 0xc6336401, 4, 65000, 4, 65001, 4, 65002), path, values(4, 1, 4, 0xfde80001, 4, 77))
	f := only(t, run(Default(), sflowDatagram(sampleWith(3, 4, raw, gateway))))
	if !slices.Equal(f.AsPath, []uint32{100, 200, 300, 301}) || f.NextHopAs != 100 || f.DstAs != 301 || f.SrcAs != 65001 ||
		!slices.Equal(f.BgpCommunities, []uint32{0xfde80001}) || len(f.BgpNextHop) != 4 {
		t.Errorf("a path of two parts: %v", f)
	}
	unknown := recordOf(1003, values(4, 0, 4, 65000, 4, 65001, 4, 65002, 4, 0, 4, 0, 4, 77))
	router := recordOf(1002, values(4, 0, 4, 24, 4, 16))
	if f = only(t, run(Default(), sflowDatagram(sampleWith(3, 4, raw, router, unknown)))); f.NextHop != nil || f.SrcNet != 24 || f.DstNet != 16 ||
		f.BgpNextHop != nil || f.SrcAs != 65001 || f.DstAs != 65000 {
		t.Errorf("unknown next hops: %v", f)
	}
	d := sflowDatagram(sampleWith(3, 4, raw))
	d.Payload = append(values(4, 5, 4, 0), d.Payload[12:]...)
	if f = only(t, run(Default(), d)); netip.AddrFrom4([4]byte(f.SamplerAddress)) != exporterAddr {
		t.Errorf("an unknown agent: %v", f)
	}
}

// TestBadRecordsLoseNoOther: what is said of a packet, and cannot be read, is not in the
// flow, and the datagram is kept; without the packet itself there is none.
func TestBadRecordsLoseNoOther(t *testing.T) {
	raw, vendor := rawHeader(headerIPv4, 60, tcp4), recordOf(4413<<12|1, make([]byte, 12))
	user := recordOf(extendedUser, values(4, 106), xdrText("alice"), values(4, 106, 4, 0))
	for name, bad := range map[string][]byte{
		"a switch without the other port": recordOf(1001, values(4, 5, 4, 0)),
		"a router without its masks":      recordOf(1002, values(4, 1, 4, 0xc6336401)),
		"a path that is longer":           recordOf(1003, values(4, 0, 4, 1, 4, 2, 4, 3, 4, 1, 4, 2, 4, 99, 4, 1)),
		"a path of four billion parts":    recordOf(1003, values(4, 0, 4, 1, 4, 2, 4, 3, 4, 0xffffffff, 4, 2, 4, 0, 4, 1)),
		"communities that are more":       recordOf(1003, values(4, 0, 4, 1, 4, 2, 4, 3, 4, 0, 4, 0xffffffff, 4, 1)),
	} {
		out := run(Default(), sflowDatagram(sampleWith(3, 4, bad, raw, vendor, user)))
		if f := only(t, out); f.DstPort != 443 || f.User != "alice" || f.SrcVlan != 0 || f.AsPath != nil {
			t.Errorf("%s: %v", name, f)
		}
		if len(out.Dead) != 1 || out.Dead[0].Reason != reasonBadSampleRecord || out.Records != (Records{Flow: 1}) {
			t.Errorf("%s: %+v %v", name, out.Records, out.Dead)
		}
	}
	good := sampleWith(3, 4, raw)
	out := run(Default(), sflowDatagram(sampleWith(3, 4, recordOf(1, values(4, 1, 4, 60)), user), good))
	if out.Records != (Records{Flow: 1, Dead: 1}) || out.Dead[0].Reason != "bad_sample" {
		t.Errorf("a packet without its header: %+v %v", out.Records, out.Dead)
	}
	counters := joined(values(4, sampleCounter, 4, 1, 4, 3, 4, 2), recordOf(1, make([]byte, 87)), recordOf(2, make([]byte, 52)))
	out = run(Default(), sflowDatagram(counters, good))
	if out.Records != (Records{Flow: 1, Event: 1}) || out.Dead[0].Reason != reasonBadSampleRecord || out.Events[0].Attributes["dot3StatsFCSErrors"] != "0" {
		t.Errorf("counters that are cut off: %+v %v", out.Records, out.Dead)
	}
}
