package normalize

import (
	"encoding/binary"
	"path/filepath"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TestWhatVendorsMean: what becomes of the records of captures whose syntax does not tell
// what they mean.
func TestWhatVendorsMean(t *testing.T) {
	needShared(t)
	f := func(capture, why string, want Records, bytes uint64, check func(*Result) bool) {
		t.Helper()
		out := run(Default(), datagrams(t, filepath.Join(shared, "captures", capture+".pcap"))...)
		var got uint64
		for _, f := range out.Flows {
			got += f.Bytes
		}
		if out.Records != want || got != bytes || !check(out) {
			t.Errorf("%s (%s): %+v and %d bytes, want %+v and %d\n%v\n%v", capture, why, out.Records, got, want, bytes, out.Flows, out.Events)
		}
	}
	kinds := func(kind flowv1.EventKind, more func(*flowv1.Event) bool) func(*Result) bool {
		return func(out *Result) bool {
			for _, e := range out.Events {
				if e.Kind != kind || !more(e) {
					return false
				}
			}
			return len(out.Events) > 0
		}
	}
	f("netscaler", "AppFlow tells a transaction in four records: they decorate and never count", Records{Event: 3}, 0,
		kinds(flowv1.EventKind_EVENT_KIND_APPLICATION, func(e *flowv1.Event) bool { return e.Attributes["transactionId"] != "" }))
	f("v9_cisco_asa", "NSEL's teardowns carry the volume of their connections", Records{FlowAndEvent: 14}, 888,
		kinds(flowv1.EventKind_EVENT_KIND_FIREWALL, func(e *flowv1.Event) bool { return e.FirewallEvent == firewallDeleted && e.ConnectionId != 0 }))
	f("v9_paloalto81", "PAN-OS: a plain flow that has an event", Records{FlowAndEvent: 1}, 363,
		kinds(flowv1.EventKind_EVENT_KIND_FIREWALL, func(e *flowv1.Event) bool { return e.User != "" }))
	f("barracuda", "delta counts of 0 are events, all else flows", Records{FlowAndEvent: 4, Event: 4}, 388,
		kinds(flowv1.EventKind_EVENT_KIND_FIREWALL, func(*flowv1.Event) bool { return true }))
	f("nat", "NAT events have no volume", Records{Event: 9}, 0,
		kinds(flowv1.EventKind_EVENT_KIND_NAT, func(e *flowv1.Event) bool { return e.NatEvent != 0 && len(e.PostSrcAddr) == 4 }))
	f("v9_macaddr", "layer-2 records", Records{Event: 29}, 0,
		kinds(flowv1.EventKind_EVENT_KIND_LAYER2, func(e *flowv1.Event) bool { return e.Attributes["sourceMacAddress"] != "" }))
	f("v9_h3c", "NetStream's ingress records have element 1", Records{Flow: 16}, 8729687, func(*Result) bool { return true })
}

// TestFirewallOnCapture: the teardown of a connection of the capture, said again as an
// update before, counts once.
func TestFirewallOnCapture(t *testing.T) {
	needShared(t)
	in := datagrams(t, filepath.Join(shared, "captures", "v9_cisco_asa.pcap"))
	total := func(in []Datagram) (bytes uint64, events int) {
		out := run(Default(), in...)
		for _, f := range out.Flows {
			bytes += f.Bytes
		}
		return bytes, len(out.Events)
	}
	once, events := total(in)
	update := in[1]
	update.Payload = append([]byte(nil), update.Payload...)
	n := New(Default())
	n.Datagram(in[0], &Result{})
	var tm *template
	for _, d := range n.exporters[in[0].Exporter].domains {
		tm = d.templates[binary.BigEndian.Uint16(update.Payload[v9Header:])]
	}
	for at := v9Header + setHeader; at+tm.plan.min <= len(update.Payload); at += tm.plan.min {
		for i := range tm.fields {
			if e := tm.fields[i].element; e == ieFirewallEvent || e == ieCiscoFirewallEvent {
				update.Payload[at+tm.fields[i].offset] = firewallUpdate
			}
		}
	}
	twice, moreEvents := total([]Datagram{in[0], update, in[1]})
	if once != 888 || twice != once || moreEvents != 2*events {
		t.Errorf("%d bytes, with updates %d; %d events and %d", once, twice, events, moreEvents)
	}
}

// TestUptimeOfSeconds: an exporter whose header counts its uptime in seconds (SonicWall) is
// found out; one that counts milliseconds is left alone.
func TestUptimeOfSeconds(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{ieStartUptime, 4}, spec{ieEndUptime, 4})
	last := func(perSecond uint32) *flowv1.Flow {
		n, out := New(Default()), &Result{}
		for i := range uint32(5) {
			w := v9()
			w.uptime, w.seconds, w.sequence = (500+10*i)*perSecond, nowNs/nsPerS+10*i, i
			body := append(tupleValues(1, 1), values(4, uint64(500+10*i-8)*1000, 4, uint64(500+10*i-3)*1000)...)
			d := w.template(300, specs...).set(300, body...).datagram()
			d.ReceivedNs += uint64(10*i) * nsPerS
			n.Datagram(d, out)
		}
		return out.Flows[len(out.Flows)-1]
	}
	for _, perSecond := range []uint32{1, 1000} {
		f := last(perSecond)
		if start, end := int64(f.TimeFlowStartNs)-(nowNs+40*nsPerS), int64(f.TimeFlowEndNs)-(nowNs+40*nsPerS); start != -8*nsPerS || end != -3*nsPerS || f.TimeSuspect {
			t.Errorf("%d per second: from %d to %d ns, suspect %v", perSecond, start, end, f.TimeSuspect)
		}
	}
}
