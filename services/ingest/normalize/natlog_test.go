package normalize

import (
	"slices"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TestNATLog: both of Nokia's formats say who was translated to what, when it began and when
// it ended.
func TestNATLog(t *testing.T) {
	older := []spec{{ieFlowID, 8}, {ieSrcIPv4, 4}, {ieDstIPv4, 4}, {ieSrcPort, 2}, {ieDstPort, 2}}
	olderValues := values(8, 77, 4, 0xcb007101, 4, 0xc6336401, 2, 5878, 2, 80)
	newer := slices.Concat(older, []spec{{iePostSrcPort, 2}})
	newer[1].e = iePostSrcIPv4
	newerValues := joined(olderValues, values(2, 1025))
	rest := func(at element) []spec {
		return []spec{{at, 8}, {ieProtocol, 1}, {iePadding, 1}, {element(penNokia)<<16 | 91, 2}, {element(penNokia)<<16 | 92, 2}, {ieNokiaNATSubscriber, variable}}
	}
	f := func(name string, specs []spec, body []byte, who, inside string, port, event uint32) {
		t.Helper()
		body = joined(body, values(8, nowNs/nsPerMs, 1, 6, 1, 0, 2, 100, 2, 0), text(who))
		out := run(Default(), ipfix().template(300, specs...).set(300, body...).datagram())
		if out.Records != (Records{Event: 1}) {
			t.Fatalf("%s: %+v", name, out.Records)
		}
		e := out.Events[0]
		if e.Kind != flowv1.EventKind_EVENT_KIND_NAT || e.NatEvent != event || e.User != who || e.ConnectionId != 77 || e.Attributes["insideServiceId"] != "100" {
			t.Errorf("%s: %v", name, e)
		}
		if got := addrText(e.SrcAddr); got != inside || addrText(e.PostSrcAddr) != "203.0.113.1" || addrText(e.DstAddr) != "198.51.100.1" || e.SrcPort != 5878 || e.PostSrcPort != port {
			t.Errorf("%s: %s:%d became %s:%d", name, got, e.SrcPort, addrText(e.PostSrcAddr), e.PostSrcPort)
		}
	}
	f("began", slices.Concat(older, rest(ieStartMillis)), olderValues, "USER1@10.10.0.123", "10.10.0.123", 0, nat44Created)
	f("ended", slices.Concat(older, rest(ieEndMillis)), olderValues, "LSN-Host@10.10.0.123", "10.10.0.123", 0, nat44Deleted)
	f("began, newer", slices.Concat(newer, rest(ieStartMillis)), newerValues, "a@b@10.10.0.123", "10.10.0.123", 1025, nat44Created)
	f("of IPv6", slices.Concat(newer, rest(ieEndMillis)), newerValues, "LSN-B4@2001:db8::1", "2001:db8::1", 1025, 0)
	f("without an address", slices.Concat(older, rest(ieStartMillis)), olderValues, "USER1", "invalid IP", 0, 0)
}
