package normalize

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestClientsAndServers: connections as Cisco AVC tells them. Element 239 says whose packets
// a record counts that counts one way alone (1 the client's, 2 the server's).
func TestClientsAndServers(t *testing.T) {
	ends := []spec{{ieCiscoClientIPv4, 4}, {ieCiscoServerIPv4, 4}, {ieCiscoClientPort, 2}, {ieCiscoServerPort, 2}, {ieProtocol, 1}}
	endValues := values(4, 0x0a000001, 4, 0xc6336401, 2, 40000, 2, 443, 1, 6)
	both := []spec{{ieInitiatorOctets, 8}, {ieInitiatorPackets, 4}, {ieResponderOctets, 8}, {ieResponderPackets, 4}}
	oneWay := []spec{{ieBiflowDirection, 1}, {ieOctetDelta, 4}, {iePacketDelta, 4}}
	f := func(name string, specs []spec, body []byte, want ...string) {
		t.Helper()
		inV9 := append([]spec(nil), specs...)
		for i, s := range inV9 {
			if s.e.pen() == penCisco {
				inV9[i].e = element(0x8000 | s.e.id())
			}
		}
		for format, out := range map[string]*Result{
			"IPFIX": run(Default(), ipfix().template(300, specs...).set(300, body...).datagram()),
			"v9":    run(Default(), v9().template(300, inV9...).set(300, body...).datagram()),
		} {
			var got []string
			paired := len(out.Flows) == 2
			for _, f := range out.Flows {
				got = append(got, fmt.Sprintf("%s:%d > %s:%d %d/%d %v", addrText(f.SrcAddr), f.SrcPort, addrText(f.DstAddr), f.DstPort, f.Bytes, f.Packets, f.InitiatorHint))
				if paired != (f.PairId != 0 && f.PairId == out.Flows[0].PairId) {
					t.Errorf("%s in %s: pair %x", name, format, f.PairId)
				}
			}
			if d := cmp.Diff(got, want); d != "" || out.Records != (Records{Flow: 1}) {
				t.Errorf("%s in %s: %+v (-got, +want)\n%s", name, format, out.Records, d)
			}
		}
	}
	const there, back = "INITIATOR_HINT_SOURCE", "INITIATOR_HINT_DESTINATION"
	f("both ways", slices.Concat(ends, both), joined(endValues, values(8, 700, 4, 7, 8, 9000, 4, 8)),
		"10.0.0.1:40000 > 198.51.100.1:443 700/7 "+there, "198.51.100.1:443 > 10.0.0.1:40000 9000/8 "+back)
	f("no answer", slices.Concat(ends, both), joined(endValues, values(8, 60, 4, 1, 8, 0, 4, 0)), "10.0.0.1:40000 > 198.51.100.1:443 60/1 "+there)
	f("the sum beside", slices.Concat(ends, both, oneWay[1:]), joined(endValues, values(8, 700, 4, 7, 8, 9000, 4, 8, 4, 9700, 4, 15)),
		"10.0.0.1:40000 > 198.51.100.1:443 700/7 "+there, "198.51.100.1:443 > 10.0.0.1:40000 9000/8 "+back)
	f("the client's packets", slices.Concat(ends, oneWay), joined(endValues, values(1, 1, 4, 700, 4, 7)), "10.0.0.1:40000 > 198.51.100.1:443 700/7 "+there)
	f("the server's packets", slices.Concat(ends, oneWay), joined(endValues, values(1, 2, 4, 9000, 4, 8)), "198.51.100.1:443 > 10.0.0.1:40000 9000/8 "+back)
	f("all ports of the client", slices.Concat(ends[:2], ends[3:], oneWay), joined(endValues[:8], endValues[10:], values(1, 2, 4, 9000, 4, 8)),
		"198.51.100.1:443 > 10.0.0.1:0 9000/8 "+back)
	f("IPv6", []spec{{ieCiscoClientIPv6, 16}, {ieCiscoServerIPv6, 16}, {ieProtocol, 1}, {ieOctetDelta, 4}},
		values(8, 0x20010db8<<32, 8, 1, 8, 0x20010db8<<32, 8, 2, 1, 6, 4, 9), "2001:db8::1:0 > 2001:db8::2:0 9/0 "+there)
	f("a source and a destination too", slices.Concat(ends[:2], tuple), joined(endValues[:8], tupleValues(100, 2)),
		"10.0.0.1:1234 > 10.0.0.2:80 100/2 INITIATOR_HINT_UNSPECIFIED")

	out := run(Default(), ipfix().template(300, ends...).set(300, endValues...).datagram())
	if out.Records != (Records{Event: 1}) || addrText(out.Events[0].SrcAddr) != "10.0.0.1" || out.Events[0].DstPort != 443 {
		t.Errorf("without counts: %+v %v", out.Records, out.Events)
	}
}

func addrText(b []byte) string {
	a, _ := netip.AddrFromSlice(b)
	return a.String()
}
