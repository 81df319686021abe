package normalize

import (
	"slices"
	"testing"

	"github.com/flowledger/flowledger/services/internal/netset"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// outer4 is an IPv4 packet of a protocol between tunnel ends.
func outer4(proto uint64, payload ...[]byte) []byte {
	body := joined(payload...)
	return joined(values(1, 0x45, 1, 0, 2, uint64(20+len(body)), 2, 9, 2, 0, 1, 64, 1, proto, 2, 0, 4, 0xc0a80001, 4, 0xc0a80002), body)
}

// outer6 is the same of IPv6.
func outer6(next uint64, payload ...[]byte) []byte {
	body := joined(payload...)
	return joined(values(4, 6<<28, 2, uint64(len(body)), 1, next, 1, 64, 8, 0x20010db8_00000000, 8, 1, 8, 0x20010db8_00000000, 8, 2), body)
}

func udp(port uint64, payload ...[]byte) []byte {
	body := joined(payload...)
	return joined(values(2, 50000, 2, port, 2, uint64(8+len(body)), 2, 0), body)
}

func TestTunnels(t *testing.T) {
	frame := ethernetFrame(values(2, 0x8100, 2, 77), values(2, 0x0800), tcp4)
	plain := ethernetFrame(values(2, 0x0800), tcp4)
	vxlan := func(vni uint64, inner []byte) []byte {
		return outer4(17, udp(portVXLAN, values(1, 8, 3, 0, 3, vni, 1, 0), inner))
	}
	read := func(cfg Config, header []byte) *flowv1.Flow {
		t.Helper()
		return only(t, run(cfg, sflowDatagram(flowSampleOf(1, 3, 4, headerEthernet, 1000, ethernetFrame(values(2, 0x8100, 2, 5), values(2, 0x0800), header)))))
	}
	read6 := func(header []byte) *flowv1.Flow {
		t.Helper()
		return only(t, run(Default(), sflowDatagram(flowSampleOf(1, 3, 4, headerIPv6, 1000, header))))
	}
	inner := func(name string, header []byte) {
		t.Helper()
		f := read(Default(), header)
		if f.Proto != 6 || f.SrcPort != 40000 || f.DstPort != 443 || f.Bytes != 60 || f.FragmentId != 7 || f.SrcAddr[0] != 10 {
			t.Errorf("%s: %v", name, f)
		}
	}
	inner("VXLAN", vxlan(9, plain))
	inner("VXLAN with a VLAN tag", vxlan(9, frame))
	inner("VXLAN on Linux's port", outer4(17, udp(portVXLANit, values(1, 8, 3, 0, 3, 9, 1, 0), plain)))
	inner("Geneve", outer4(17, udp(portGeneve, values(1, 0, 1, 0, 2, etherTransparent, 3, 9, 1, 0), plain)))
	inner("Geneve with options", outer4(17, udp(portGeneve, values(1, 2, 1, 0, 2, 0x0800, 3, 9, 1, 0, 8, 1), tcp4)))
	inner("GRE", outer4(47, values(2, 0, 2, 0x0800), tcp4))
	inner("GRE with a checksum, key and number", outer4(47, values(2, 0xb000, 2, 0x0800, 4, 1, 4, 2, 4, 3), tcp4))
	inner("NVGRE", outer4(47, values(2, 0x2000, 2, etherTransparent, 3, 9, 1, 1), plain))
	gpe := func(flags, next uint64) []byte { return values(1, flags, 2, 0, 1, next, 3, 9, 1, 0) }
	inner("VXLAN-GPE", outer4(17, udp(portVXLANge, gpe(0x0c, 3), plain)))
	inner("VXLAN-GPE without a frame", outer4(17, udp(portVXLANge, gpe(0x0c, 1), tcp4)))
	inner("VXLAN-GPE that does not say what follows", outer4(17, udp(portVXLANge, gpe(0x08, 1), plain)))
	inner("GTP", outer4(17, udp(portGTP, values(1, 0x30, 1, 255, 2, 60, 4, 7), tcp4)))
	inner("GTP with a number", outer4(17, udp(portGTP, values(1, 0x32, 1, 255, 2, 64, 4, 7, 2, 1, 1, 0, 1, 0), tcp4)))
	inner("GTP with extension headers", outer4(17, udp(portGTP, values(1, 0x34, 1, 255, 2, 76, 4, 7, 2, 0, 1, 0, 1, 0x85, 1, 1, 2, 9, 1, 0x84, 1, 2, 6, 0, 1, 0), tcp4)))
	inner("IP in IP", outer4(4, tcp4))
	labels := values(4, 18<<12|0x03f, 4, 19<<12|0x13f)
	inner("Ethernet in IP", outer4(143, plain))
	inner("MPLS in IP", outer4(137, labels, tcp4))
	inner("MPLS in GRE", outer4(47, values(2, 0, 2, 0x8847), labels, tcp4))
	inner("MPLS in UDP", outer4(17, udp(portMPLS, labels, tcp4)))
	inner("VXLAN in GRE", outer4(47, values(2, 0, 2, 0x0800), vxlan(9, plain)))

	six := read(Default(), vxlan(9, ethernetFrame(values(2, 0x86dd), udp6)))
	if six.Etype != etherIPv6 || six.DstPort != 53 || six.Bytes != 140 || len(six.SrcAddr) != 16 {
		t.Errorf("IPv6 in VXLAN: %v", six)
	}
	if f := read(Default(), vxlan(9, frame)); f.VlanId != 77 || f.SrcMac != 0x0200_0000_0001 {
		t.Errorf("the frame inside: VLAN %d, MAC %x", f.VlanId, f.SrcMac)
	}

	outer := func(name string, proto, port uint32, cfg Config, header []byte) {
		t.Helper()
		f := read(cfg, header)
		if f.Proto != proto || f.DstPort != port || f.SrcAddr[0] != 192 || f.VlanId != 5 {
			t.Errorf("%s: %v", name, f)
		}
	}
	wanted := Default()
	wanted.Exporters = []Override{{CIDR: netset.MustParse(exporterAddr.String()), Tunnels: TunnelsOuter}}
	outer("the outer is wanted", 17, portVXLAN, wanted, vxlan(9, plain))
	outer("cut off", 17, portVXLAN, Default(), vxlan(9, plain[:30]))
	outer("no IP inside", 17, portVXLAN, Default(), vxlan(9, ethernetFrame(values(2, 0x0806), make([]byte, 40))))
	outer("VXLAN without a network", 17, portVXLAN, Default(), outer4(17, udp(portVXLAN, values(8, 0), plain)))
	outer("GRE of another version", 47, 0, Default(), outer4(47, values(2, 1, 2, 0x0800), tcp4))
	outer("MPLS cut off", 137, 0, Default(), outer4(137, labels[:4], labels[:4], labels[:4]))
	outer("no IP under MPLS", 137, 0, Default(), outer4(137, labels, plain))
	outer("mirrored packets (ERSPAN)", 47, 0, Default(), outer4(47, values(2, 0x1000, 2, 0x88be, 4, 1, 8, 0), plain))
	outer("GTP's own messages", 17, portGTP, Default(), outer4(17, udp(portGTP, values(1, 0x30, 1, 1, 2, 60, 4, 7), tcp4)))
	outer("GTP with an extension header of no length", 17, portGTP, Default(), outer4(17, udp(portGTP, values(1, 0x34, 1, 255, 2, 60, 4, 7, 2, 0, 1, 0, 1, 0x85), tcp4[:0], values(4, 0), tcp4)))
	outer("GRE cut off", 47, 0, Default(), outer4(47, values(2, 0xb000, 2, 0x0800, 4, 1)))
	fragment := func(more uint64) []byte {
		return outer6(44, values(1, 4, 1, 0, 2, more, 4, 0), tcp4)
	}
	whole := read6(fragment(0))
	if whole.DstPort != 443 {
		t.Errorf("a fragment that is the whole: %v", whole)
	}
	if f := read6(fragment(1)); f.Proto != 4 || len(f.SrcAddr) != 16 {
		t.Errorf("the first of several fragments, of id 0: %v", f)
	}
	outer("a fragment", 4, 0, Default(), func() []byte { b := outer4(4, tcp4); b[6] = 0x20; return b }())
}

func TestRealmsOfVirtualNetworks(t *testing.T) {
	cfg := Default()
	cfg.Exporters = []Override{{
		CIDR: netset.MustParse(exporterAddr.String()), Realm: 2,
		VNIRealms: map[uint32]uint32{9: 90}, VLANRealms: map[uint32]uint32{77: 70},
	}}
	for vni, want := range map[uint64]uint32{9: 90, 8: 70} {
		header := outer4(17, udp(portVXLAN, values(1, 8, 3, 0, 3, vni, 1, 0), ethernetFrame(values(2, 0x8100, 2, 77), values(2, 0x0800), tcp4)))
		f := only(t, run(cfg, sflowDatagram(flowSampleOf(1, 3, 4, headerIPv4, 1000, header))))
		if f.Realm != want {
			t.Errorf("network %d: realm %d, want %d", vni, f.Realm, want)
		}
		frame := rawHeader(headerEthernet, 100, ethernetFrame(values(2, 0x8100, 2, 77), values(2, 0x0800), tcp4))
		f = only(t, run(cfg, sflowDatagram(sampleWith(3, 4, frame, recordOf(extendedVNIIngress, values(4, vni))))))
		if f.Realm != want {
			t.Errorf("network %d by the agent's word: realm %d, want %d", vni, f.Realm, want)
		}
		for _, told := range []struct {
			spec  spec
			value uint64
		}{{spec{ieLayer2Segment, 8}, 1<<56 | vni}, {spec{ieLayer2Segment, 8}, 2<<56 | vni}, {spec{ieVMwareTunnelKey, 3}, vni}, {spec{ieVMwareTunnelKey, 8}, vni}} {
			specs := slices.Concat(tuple, []spec{{ieVLAN, 2}, told.spec})
			record := append(tupleValues(100, 1), values(2, 77, uint64(told.spec.length), told.value)...)
			if f := only(t, run(cfg, ipfix().template(300, specs...).set(300, record...).datagram())); f.Realm != want {
				t.Errorf("network %d by %v: realm %d, want %d", vni, told.spec, f.Realm, want)
			}
		}
	}
}

// TestPseudowires: frames under MPLS labels, with and without a control word.
func TestPseudowires(t *testing.T) {
	labels := values(2, 0x8847, 4, 18<<12|0x0ff, 4, 19<<12|0x1ff)
	tagged := ethernetFrame(values(2, 0x8100, 2, 77, 2, 0x0800), tcp4)
	ipLike := joined(values(1, 0x45), tagged[1:])
	for name, wire := range map[string][]byte{
		"plain":                                 tagged,
		"with a control word":                   joined(values(4, 0), tagged),
		"with a number":                         joined(values(4, 0x1234), tagged),
		"of a MAC address that looks like IPv4": joined(values(4, 0), ipLike),
	} {
		header := joined(macs, values(2, 0x8100, 2, 5), labels, wire)
		f := only(t, run(Default(), sflowDatagram(flowSampleOf(1, 3, 4, headerEthernet, 1000, header))))
		if f.DstPort != 443 || f.VlanId != 77 || f.Bytes != 60 || len(f.MplsLabel) != 2 || f.MplsLabel[1] != 19 || f.DstMac&0xff != 2 {
			t.Errorf("%s: %v", name, f)
		}
	}
	arp := ethernetFrame(labels, macs, values(2, 0x0806), make([]byte, 28))
	if out := run(Default(), sflowDatagram(flowSampleOf(1, 3, 4, headerEthernet, 100, arp))); out.Records != (Records{Event: 1}) {
		t.Errorf("a frame without IP: %+v", out.Records)
	}
}
