package normalize

import (
	"slices"
	"testing"

	"github.com/flowledger/flowledger/services/internal/netset"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TestSubstitutes: elements that say what another does count where a template lacks that
// other, and only there.
func TestSubstitutes(t *testing.T) {
	ends := []spec{{ieSrcIPv4, 4}, {ieDstIPv4, 4}, {ieOctetDelta, 4}, {iePacketDelta, 4}}
	body := values(4, 0x0a000001, 4, 0x0a000002, 4, 100, 4, 1)
	cfg := Default()
	cfg.Exporters = []Override{{CIDR: netset.MustParse(exporterAddr.String()), VRFRealms: map[uint32]uint32{512: 7}}}
	f := func(name string, specs []spec, v []byte, get func(*flowv1.Flow) []uint32, want ...uint32) {
		t.Helper()
		out := run(cfg, ipfix().template(300, slices.Concat(ends, specs)...).set(300, joined(body, v)...).datagram())
		if got := get(only(t, out)); !slices.Equal(got, want) {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
	ports := func(f *flowv1.Flow) []uint32 { return []uint32{f.Proto, f.SrcPort, f.DstPort} }
	byProtocol := []spec{{ieProtocol, 1}, {ieTCPSrcPort, 2}, {ieTCPDstPort, 2}, {ieUDPSrcPort, 2}, {ieUDPDstPort, 2}}
	f("ports of TCP", byProtocol, values(1, 6, 2, 1234, 2, 443, 2, 0, 2, 0), ports, 6, 1234, 443)
	f("ports of UDP", byProtocol, values(1, 17, 2, 0, 2, 0, 2, 1234, 2, 53), ports, 17, 1234, 53)
	f("ports of UDP alone", byProtocol[3:], values(2, 1234, 2, 53), ports, 0, 1234, 53)
	f("ports of both kinds", slices.Concat(byProtocol, []spec{{ieSrcPort, 2}, {ieDstPort, 2}}),
		values(1, 6, 2, 1, 2, 2, 2, 3, 2, 4, 2, 1234, 2, 443), ports, 6, 1234, 443)
	f("next header", []spec{{ieNextHeader6, 1}}, values(1, 58), ports, 58, 0, 0)

	tos := func(f *flowv1.Flow) []uint32 { return []uint32{f.IpTos} }
	f("DSCP", []spec{{ieDSCP, 1}}, values(1, 46), tos, 184)
	f("precedence", []spec{{iePrecedence, 1}}, values(1, 5), tos, 160)
	f("both", []spec{{iePrecedence, 1}, {ieDSCP, 1}}, values(1, 5, 1, 46), tos, 184)
	f("all of it", []spec{{ieDSCP, 1}, {ieClassOfService, 1}}, values(1, 46, 1, 185), tos, 185)

	interfaces := func(f *flowv1.Flow) []uint32 { return []uint32{f.InIf, f.OutIf} }
	physical := []spec{{iePhysicalIngress, 4}, {iePhysicalEgress, 4}}
	f("physical interfaces", physical, values(4, 11, 4, 12), interfaces, 11, 12)
	f("logical ones too", slices.Concat(physical, []spec{{ieIngressInterface, 4}, {ieEgressInterface, 4}}),
		values(4, 11, 4, 12, 4, 3, 4, 0), interfaces, 3, 0)

	denied := func(f *flowv1.Flow) []uint32 {
		return []uint32{f.ForwardingStatus, uint32(len(f.FirewallRule))}
	}
	policies := []spec{{ieAntreaIngressPolicy, 4}, {ieAntreaIngressAction, 1}, {ieAntreaEgressPolicy, 4}, {ieAntreaEgressAction, 1}}
	f("no policy", policies, values(4, 0, 1, 0, 4, 0, 1, 0), denied, 0, 0)
	f("allowed by a policy", policies, values(4, 0x7765_6200, 1, 1, 4, 0, 1, 0), denied, 0, 3)
	f("dropped by a policy", policies, values(4, 0, 1, 0, 4, 0x6462_0000, 1, antreaDrop), denied, statusDeniedByACL, 2)
	f("rejected by a policy", policies, values(4, 0x6462_3100, 1, antreaReject, 4, 0x6462_0000, 1, 1), denied, statusDeniedByACL, 3)

	vrf := func(f *flowv1.Flow) []uint32 { return []uint32{f.IngressVrfId, f.Realm} }
	f("a VPN of SD-WAN", []spec{{ieViptelaVPN, 4}}, values(4, 512), vrf, 512, 7)
	f("beside a VRF", []spec{{ieIngressVRF, 4}, {ieViptelaVPN, 4}}, values(4, 3, 4, 512), vrf, 3, 0)
}
