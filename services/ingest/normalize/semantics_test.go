package normalize

import (
	"slices"
	"testing"
	"time"

	"github.com/flowledger/flowledger/services/internal/netset"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// nsel is a template as a firewall sends it: 85, or 231 and 232.
var nsel = []spec{
	{ieFlowID, 4}, {ieSrcIPv4, 4}, {ieSrcPort, 2}, {ieDstIPv4, 4}, {ieDstPort, 2}, {ieProtocol, 1},
	{ieFirewallEvent, 1}, {ieCiscoExtEvent, 2}, {ieObservationMillis, 8}, {ieStartMillis, 8},
	{ieInitiatorOctets, 4}, {ieResponderOctets, 4},
}

func nselValues(id, event, sent, received uint64) []byte {
	return values(4, id, 4, 0x0a000001, 2, 40000, 4, 0xc6336401, 2, 443, 1, 6, 1, event, 2, 0,
		8, nowNs/nsPerMs, 8, nowNs/nsPerMs-5000, 4, sent, 4, received)
}

func TestFirewallSessions(t *testing.T) {
	type record struct{ id, event, sent, received uint64 }
	f := func(name string, wantSent, wantReceived uint64, want Records, records ...record) {
		t.Helper()
		n, out := New(Default()), &Result{}
		n.Datagram(v9().template(300, nsel...).datagram(), out)
		for _, r := range records {
			n.Datagram(v9().set(300, nselValues(r.id, r.event, r.sent, r.received)...).datagram(), out)
		}
		var sent, received uint64
		for _, f := range out.Flows {
			if !f.PacketsUnknown {
				t.Errorf("%s: packets are not told, but the flow does not say so", name)
			}
			switch f.InitiatorHint {
			case flowv1.InitiatorHint_INITIATOR_HINT_SOURCE:
				sent += f.Bytes
			case flowv1.InitiatorHint_INITIATOR_HINT_DESTINATION:
				received += f.Bytes
			default:
				t.Errorf("%s: no hint", name)
			}
			if f.Bytes == 0 {
				t.Errorf("%s: a flow of no bytes", name)
			}
		}
		if sent != wantSent || received != wantReceived {
			t.Errorf("%s: counted %d and %d, want %d and %d", name, sent, received, wantSent, wantReceived)
		}
		if out.Records != want || uint64(len(out.Events)) != out.DataRecords {
			t.Errorf("%s: %+v, want %+v; %d events", name, out.Records, want, len(out.Events))
		}
	}
	f("teardown alone", 500, 900, Records{Event: 1, FlowAndEvent: 1},
		record{1, firewallCreated, 0, 0}, record{1, firewallDeleted, 500, 900})
	f("updates, then the total", 500, 900, Records{FlowAndEvent: 3},
		record{1, firewallUpdate, 100, 200}, record{1, firewallUpdate, 300, 600}, record{1, firewallDeleted, 500, 900})
	f("updates that are all there was", 400, 800, Records{FlowAndEvent: 2, Event: 1},
		record{1, firewallUpdate, 100, 200}, record{1, firewallUpdate, 300, 600}, record{1, firewallDeleted, 400, 800})
	f("an update after the teardown", 500, 900, Records{FlowAndEvent: 1, Event: 1},
		record{1, firewallDeleted, 500, 900}, record{1, firewallUpdate, 100, 200})
	f("the teardown twice", 500, 900, Records{FlowAndEvent: 1, Event: 1},
		record{1, firewallDeleted, 500, 900}, record{1, firewallDeleted, 500, 900})
	f("two connections", 30, 50, Records{FlowAndEvent: 2},
		record{1, firewallDeleted, 10, 20}, record{2, firewallDeleted, 20, 30})
	f("denied", 0, 0, Records{Event: 1}, record{1, firewallDenied, 0, 0})
}

func TestOutBytesQuirk(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{iePostOctetDelta, 4}, spec{iePostPacketDelta, 4})
	d := v9().template(300, specs...).set(300, append(tupleValues(100, 2), values(4, 700, 4, 7)...)...).datagram()
	only(t, run(Default(), d))
	cfg := Default()
	cfg.Exporters = []Override{{CIDR: netset.MustParse("192.0.2.0/24"), Quirks: []string{QuirkOutBytesReverse}, Realm: 7}}
	out := run(cfg, d)
	if len(out.Flows) != 2 || out.Flows[1].Bytes != 700 || out.Flows[1].SrcPort != 80 || out.Flows[0].PairId == 0 || out.Flows[1].PairId != out.Flows[0].PairId {
		t.Errorf("%v", out.Flows)
	}
	if out.Flows[0].Realm != 7 || out.Flows[1].Realm != 7 {
		t.Errorf("realm is not the exporter's")
	}
}

func TestOnlyPostCounters(t *testing.T) {
	specs := append(append([]spec(nil), tuple[:5]...), spec{iePostOctetDelta, 4}, spec{iePostPacketDelta, 4})
	if f := only(t, run(Default(), v9().template(300, specs...).set(300, tupleValues(100, 2)...).datagram())); f.Bytes != 100 || f.Packets != 2 {
		t.Errorf("%d bytes, %d packets", f.Bytes, f.Packets)
	}
}

func TestBiflowDirection(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{reverse(ieOctetDelta), 4}, spec{reverse(iePacketDelta), 4}, spec{ieBiflowDirection, 1})
	f := func(direction uint64, want flowv1.InitiatorHint) {
		t.Helper()
		body := append(tupleValues(100, 2), values(4, 50, 4, 1, 1, direction)...)
		out := run(Default(), ipfix().template(300, specs...).set(300, body...).datagram())
		if len(out.Flows) != 2 || out.Flows[0].InitiatorHint != want || out.Flows[1].InitiatorHint != opposite(want) {
			t.Errorf("direction %d: %v", direction, out.Flows)
		}
	}
	f(0, flowv1.InitiatorHint_INITIATOR_HINT_UNSPECIFIED)
	f(1, flowv1.InitiatorHint_INITIATOR_HINT_SOURCE)
	f(2, flowv1.InitiatorHint_INITIATOR_HINT_DESTINATION)
	f(3, flowv1.InitiatorHint_INITIATOR_HINT_UNSPECIFIED)
}

// Of a biflow's ways one asks, and the other replies. A type of 0 of a way that had no
// packets was not told.
func TestICMPOfTheWayBack(t *testing.T) {
	specs := []spec{{ieSrcIPv4, 4}, {ieDstIPv4, 4}, {ieProtocol, 1}, {ieICMPTypeCode4, 2}, {iePacketDelta, 4}, {reverse(iePacketDelta), 4}}
	f := func(typ, there uint64, want ...uint32) {
		t.Helper()
		out := run(Default(), ipfix().template(300, specs...).set(300, values(4, 1, 4, 2, 1, 1, 2, typ<<8, 4, there, 4, 3)...).datagram())
		var got []uint32
		for _, f := range out.Flows {
			got = append(got, f.IcmpType)
		}
		if !slices.Equal(got, want) {
			t.Errorf("type %d, %d packets: types %d, want %d", typ, there, got, want)
		}
	}
	f(8, 3, 8, 0)
	f(0, 3, 0, 8)
	f(13, 3, 13, 14)
	f(3, 3, 3, 3)
	f(0, 0, 0)
}

func TestSampling(t *testing.T) {
	const none, packet = flowv1.SamplingKind_SAMPLING_KIND_NONE, flowv1.SamplingKind_SAMPLING_KIND_PACKET
	f := func(name string, s selector, rate uint64, kind flowv1.SamplingKind) {
		t.Helper()
		if got := s.rate(); got.rate != rate || got.kind != kind {
			t.Errorf("%s: %+v, want %d %v", name, got, rate, kind)
		}
	}
	f("unknown", selector{}, 0, 0)
	f("one in one", selector{interval: 1}, 1, none)
	f("one in 100", selector{interval: 100}, 100, packet)
	f("one taken, 999 left out", selector{packetInterval: 1, packetSpace: 999, spaceTold: true}, 1000, packet)
	f("two taken, 18 left out", selector{packetInterval: 2, packetSpace: 18, spaceTold: true}, 10, packet)
	f("all taken", selector{packetInterval: 1, spaceTold: true}, 1, none)
	f("how many are taken, but not how many are left out", selector{packetInterval: 1024}, 0, 0)
	f("a random one of 1024, as IOS XR says it", selector{algorithm: randomNOfN, packetInterval: 1024, size: 1, population: 1024}, 1024, packet)
	f("by count, where both are told", selector{algorithm: systematicByCount, packetInterval: 1, packetSpace: 9, spaceTold: true, size: 1, population: 7}, 10, packet)
	f("3 of 300", selector{size: 3, population: 300}, 100, packet)
	f("probability", selector{probability: .01}, 100, packet)
	f("of flows", selector{flowInterval: 1, flowSpace: 9}, 10, flowv1.SamplingKind_SAMPLING_KIND_FLOW)
}

func TestSamplersOfOptions(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{ieSamplerID, 1})
	w := v9().template(300, specs...).
		optionsTemplate(400, 1, spec{scopeSystem, 4}, spec{ieSamplerID, 1}, spec{ieSamplerInterval, 2}, spec{ieSamplerName, 4}).
		set(400, append(values(4, 1, 1, 7, 2, 500), "fast"...)...)
	for _, id := range []uint64{7, 8} {
		w.set(300, append(tupleValues(1, 1), values(1, id)...)...)
	}
	out := run(Default(), w.datagram())
	if out.Flows[0].SamplingRate != 500 || out.Flows[1].SamplingRate != 0 {
		t.Errorf("rates %d and %d, want 500 and unknown", out.Flows[0].SamplingRate, out.Flows[1].SamplingRate)
	}
	var fact *flowv1.ExporterFact
	for _, f := range out.Facts {
		if f.Kind == flowv1.ExporterFactKind_EXPORTER_FACT_KIND_SAMPLER {
			fact = f
		}
	}
	if fact == nil || fact.Id != 7 || fact.Name != "fast" || fact.SamplingRate != 500 || fact.Attributes["samplerName"] != "fast" {
		t.Errorf("fact %v", fact)
	}
	cfg := Default()
	cfg.Exporters = []Override{{CIDR: netset.MustParse(exporterAddr.String()), SamplingRate: 32}}
	if out = run(cfg, w.datagram()); out.Flows[0].SamplingRate != 500 || out.Flows[1].SamplingRate != 32 {
		t.Errorf("with a configured rate: %d and %d, want 500 and 32", out.Flows[0].SamplingRate, out.Flows[1].SamplingRate)
	}
	cfg.Exporters[0].SamplingForce = true
	if out = run(cfg, w.datagram()); out.Flows[0].SamplingRate != 32 {
		t.Errorf("with a forced rate: %d, want 32", out.Flows[0].SamplingRate)
	}
}

func TestTimeouts(t *testing.T) {
	w := v9().template(300, tuple...).
		optionsTemplate(400, 1, spec{scopeSystem, 4}, spec{ieActiveTimeout, 2}, spec{ieIdleTimeout, 2}).
		set(400, values(4, 1, 2, 60, 2, 15)...).set(300, tupleValues(1, 1)...)
	if f := only(t, run(Default(), w.datagram())); f.ActiveTimeoutMs != 60_000 || f.InactiveTimeoutMs != 15_000 {
		t.Errorf("timeouts %d and %d", f.ActiveTimeoutMs, f.InactiveTimeoutMs)
	}
}

func TestApplicationNames(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{ieApplicationID, 4})
	w := v9().template(300, specs...).
		optionsTemplate(400, 1, spec{scopeSystem, 4}, spec{ieApplicationID, 4}, spec{ieApplicationName, 6}).
		set(400, append(values(4, 1, 4, 0x0d000050), "webex\x00"...)...)
	for _, id := range []uint64{0x0d000050, 0x03000050, 0} {
		w.set(300, append(tupleValues(1, 1), values(4, id)...)...)
	}
	out := run(Default(), w.datagram())
	for i, want := range []string{"webex", "3:80", ""} {
		if got := out.Flows[i].Application; got != want {
			t.Errorf("application %q, want %q", got, want)
		}
	}
	// An event keeps the number, and has the name beside it.
	w.template(301, spec{ieSrcMAC, 6}, spec{ieApplicationID, 4})
	for _, id := range []uint64{0x0d000050, 0x03000050} {
		w.set(301, values(6, 1, 4, id)...)
	}
	out = run(Default(), w.datagram())
	for i, want := range []string{"webex", ""} {
		if got := out.Events[i].Attributes; got["applicationName"] != want || got["applicationId"] == "" {
			t.Errorf("event %v, want %q", got, want)
		}
	}
	for want, id := range map[string][]byte{
		"20:12356:40568":         values(1, 20, 4, 12356, 4, 40568), // an enterprise's
		"20:12356":               values(1, 20, 4, 12356),
		"3:53":                   values(1, 3, 3, 53),
		"13:1":                   values(1, 13, 8, 1),
		"0d000000000000000000ff": values(1, 13, 2, 0, 8, 0xff),
	} {
		if got := applicationText(id); got != want {
			t.Errorf("application %q, want %q", got, want)
		}
	}
}

func TestUptimes(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{ieStartUptime, 4}, spec{ieEndUptime, 4})
	f := func(name string, uptime, first, last uint32, start, end time.Duration) {
		t.Helper()
		w := v9()
		w.uptime = uptime
		body := append(tupleValues(1, 1), values(4, uint64(first), 4, uint64(last))...)
		got := only(t, run(Default(), w.template(300, specs...).set(300, body...).datagram()))
		s, e := time.Duration(int64(got.TimeFlowStartNs)-int64(nowNs)), time.Duration(int64(got.TimeFlowEndNs)-int64(nowNs))
		if s != start || e != end || got.TimeQuality != flowv1.TimeQuality_TIME_QUALITY_UPTIME {
			t.Errorf("%s: %v to %v (%v), want %v to %v", name, s, e, got.TimeQuality, start, end)
		}
	}
	f("plain", 100_000, 40_000, 90_000, -time.Minute, -10*time.Second)
	f("the uptime wrapped in between", 3_000, 1<<32-5_000, 1_000, -8*time.Second, -2*time.Second)
	f("slightly after the header", 100_000, 99_000, 100_500, -time.Second, 500*time.Millisecond)
	f("very old", 1<<31+100_000, 10_000, 20_000, -(1<<31+90_000)*time.Millisecond, -(1<<31+80_000)*time.Millisecond)
}

func TestBootClockDoesNotJitter(t *testing.T) {
	var c bootClock
	const boot = 1_600_000_000_400
	var last int64
	for up := int64(0); up < 100_000; up += 7_777 {
		last = c.observe((boot+up)/1000*1000, up, 1000)
	}
	if again := c.observe((boot+200_000)/1000*1000, 200_000, 1000); again != last || last > boot || last < boot-1000 {
		t.Errorf("estimate %d, then %d; true %d", last, again, int64(boot))
	}
	if got := c.observe(boot+500_000, 1_000, 1000); got != boot+499_000 {
		t.Errorf("after a restart: %d", got)
	}
}

// TestBootClockFollowsACrystal: where uptime and time of day drift apart, the estimate follows
// and does not jump to the other end of the second that headers leave open.
func TestBootClockFollowsACrystal(t *testing.T) {
	const boot = 1_600_000_000_400
	for _, ppm := range []int64{-100, -20, 20, 100} {
		var c bootClock
		for at := int64(0); at < 6*3600_000; at += 777 {
			gained := at * ppm / 1_000_000
			got := c.observe((boot+at)/1000*1000, at+gained, 1000)
			if off := got - (boot - gained); at > 600_000 && max(off, -off) > 250 {
				t.Fatalf("%d ppm, after %d ms: the estimate is off by %d ms", ppm, at, off)
			}
		}
	}
}

func TestInferredBoot(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{ieStartUptime, 4}, spec{ieEndUptime, 4})
	w := ipfix().template(300, specs...)
	body := append(tupleValues(1, 1), values(4, 10_000, 4, 20_000)...)
	body = append(body, append(tupleValues(2, 1), values(4, 30_000, 4, 50_000)...)...)
	out := run(Default(), w.set(300, body...).datagram())
	for i, want := range []uint64{nowNs - 30*nsPerS, nowNs} {
		if f := out.Flows[i]; f.TimeFlowEndNs != want || f.TimeQuality != flowv1.TimeQuality_TIME_QUALITY_INFERRED {
			t.Errorf("flow %d ends at %d (%v), want %d", i, f.TimeFlowEndNs, f.TimeQuality, want)
		}
	}
}

func TestTimesOfIPFIX(t *testing.T) {
	f := func(name string, want uint64, quality flowv1.TimeQuality, suspect bool, more []spec, v []byte) {
		t.Helper()
		specs := append(append([]spec(nil), tuple...), more...)
		got := only(t, run(Default(), ipfix().template(300, specs...).set(300, append(tupleValues(1, 1), v...)...).datagram()))
		if got.TimeFlowStartNs != want || got.TimeQuality != quality || got.TimeSuspect != suspect {
			t.Errorf("%s: start %d %v suspect %v, want %d %v %v", name, got.TimeFlowStartNs, got.TimeQuality, got.TimeSuspect, want, quality, suspect)
		}
	}
	const absolute, export = flowv1.TimeQuality_TIME_QUALITY_ABSOLUTE, flowv1.TimeQuality_TIME_QUALITY_EXPORT_ONLY
	const ms = nowNs / nsPerMs
	f("milliseconds", (ms-5)*nsPerMs, absolute, false, []spec{{ieStartMillis, 8}, {ieEndMillis, 8}}, values(8, ms-5, 8, ms))
	f("exchanged", (ms-5)*nsPerMs, absolute, true, []spec{{ieStartMillis, 8}, {ieEndMillis, 8}}, values(8, ms, 8, ms-5))
	f("in the future", (ms+301_000)*nsPerMs, absolute, true, []spec{{ieStartMillis, 8}, {ieEndMillis, 8}}, values(8, ms+301_000, 8, ms+302_000))
	f("long ago", (ms-9_000_000)*nsPerMs, absolute, true, []spec{{ieStartMillis, 8}, {ieEndMillis, 8}}, values(8, ms-9_000_000, 8, ms-8_000_000))
	f("seconds and a duration", nowNs-60*nsPerS, absolute, false, []spec{{ieEndSeconds, 4}, {ieDurationMillis, 4}}, values(4, nowNs/nsPerS, 4, 60_000))
	f("delta microseconds", nowNs-1_500_000, absolute, false, []spec{{ieStartDeltaMicros, 4}, {ieEndDeltaMicros, 4}}, values(4, 1500, 4, 0))
	f("the better of two", (ms-5)*nsPerMs, absolute, false, []spec{{ieStartSeconds, 4}, {ieEndSeconds, 4}, {ieStartMillis, 8}, {ieEndMillis, 8}},
		values(4, 1, 4, 2, 8, ms-5, 8, ms))
	f("none", nowNs, export, false, nil, nil)
	f("boot time in the record", nowNs-50*nsPerS, flowv1.TimeQuality_TIME_QUALITY_UPTIME, false,
		[]spec{{ieStartUptime, 4}, {ieEndUptime, 4}, {ieSystemInit, 8}}, values(4, 50_000, 4, 60_000, 8, ms-100_000))
}

func TestNTP(t *testing.T) {
	f := func(ts, received, want uint64, read func(ts, received uint64) uint64) {
		t.Helper()
		if got := read(ts, received); got != want {
			t.Errorf("%x is %d, want %d", ts, got, want)
		}
	}
	const half = 1 << 31
	f((nowNs/nsPerS+ntpEpoch)<<32|half, nowNs, nowNs+nsPerS/2, ntpNs)
	f((nowNs/nsPerS+ntpEpoch)<<32|half|0x7ff, nowNs, nowNs+nsPerS/2, ntpMicrosNs)
	// Era 1 starts in February 2036.
	const later = 2_200_000_000
	f((later+ntpEpoch-1<<32)<<32, later*nsPerS, later*nsPerS, ntpNs)
}

func TestICMP(t *testing.T) {
	icmpTuple := func(more ...spec) []spec { return append(append([]spec(nil), tuple...), more...) }
	body := func(src, dst uint64) []byte {
		return values(4, 0x0a000001, 4, 0x0a000002, 2, src, 2, dst, 1, 1, 4, 84, 4, 1)
	}
	f := func(name string, wantType, wantCode uint32, specs []spec, v []byte) {
		t.Helper()
		got := only(t, run(Default(), v9().template(300, specs...).set(300, v...).datagram()))
		if got.IcmpType != wantType || got.IcmpCode != wantCode || got.SrcPort != 0 || got.DstPort != 0 {
			t.Errorf("%s: type %d code %d ports %d %d", name, got.IcmpType, got.IcmpCode, got.SrcPort, got.DstPort)
		}
	}
	f("in the port", 3, 1, tuple, body(0, 3*256+1))
	f("ports that are an id", 0, 0, tuple, body(77, 3*256+1))
	f("the type in one port, the code in the other", 3, 1, tuple, body(3, 1))
	f("the same of an echo request", 8, 0, tuple, body(8, 0))
	f("element 32", 8, 0, icmpTuple(spec{ieICMPTypeCode4, 2}), append(body(0, 0), values(2, 8*256)...))
	f("element 32 is empty", 8, 0, icmpTuple(spec{ieICMPTypeCode4, 2}), append(body(0, 8*256), values(2, 0)...))
	f("elements 176 and 177", 0, 0, icmpTuple(spec{ieICMPType4, 1}, spec{ieICMPCode4, 1}), append(body(0, 17549), values(1, 0, 1, 0)...))
}

// TestTimesOfZeroAreNone: of a flow whose record tells one time only, or none, though its
// template has both.
func TestTimesOfZeroAreNone(t *testing.T) {
	f := func(name string, start, end element, length uint16, from, to uint64, wantStart, wantEnd uint64, quality flowv1.TimeQuality) {
		t.Helper()
		specs := append(append([]spec(nil), tuple...), spec{start, length}, spec{end, length})
		w := ipfix().template(300, specs...).set(300, append(tupleValues(1, 1), values(uint64(length), from, uint64(length), to)...)...)
		bothWays(t, Default(), []Datagram{w.datagram()})
		got := only(t, run(Default(), w.datagram()))
		if got.TimeFlowStartNs != wantStart || got.TimeFlowEndNs != wantEnd || got.TimeQuality != quality || got.TimeSuspect {
			t.Errorf("%s: %v", name, got)
		}
	}
	const at, absolute = uint64(nowNs - 9*nsPerS), flowv1.TimeQuality_TIME_QUALITY_ABSOLUTE
	f("start in seconds", ieStartSeconds, ieEndSeconds, 4, 0, at/nsPerS, at, at, absolute)
	f("end in seconds", ieStartSeconds, ieEndSeconds, 4, at/nsPerS, 0, at, at, absolute)
	f("start in milliseconds", ieStartMillis, ieEndMillis, 8, 0, at/nsPerMs, at, at, absolute)
	f("end in milliseconds", ieStartMillis, ieEndMillis, 8, at/nsPerMs, 0, at, at, absolute)
	f("start in NTP's nanoseconds", ieStartNanos, ieEndNanos, 8, 0, (at/nsPerS+ntpEpoch)<<32, at, at, absolute)
	f("end in NTP's microseconds", ieStartMicros, ieEndMicros, 8, (at/nsPerS+ntpEpoch)<<32, 0, at, at, absolute)
	f("neither", ieStartMillis, ieEndMillis, 8, 0, 0, nowNs, nowNs, flowv1.TimeQuality_TIME_QUALITY_EXPORT_ONLY)
}

func TestReverseObservable(t *testing.T) {
	n, out := New(Default()), &Result{}
	n.Datagram(v9().template(300, tuple...).datagram(), out)
	send := func(src, dst, port uint64) bool {
		n.Datagram(v9().set(300, values(4, src, 4, dst, 2, port, 2, 80, 1, 6, 4, 100, 4, 1)...).datagram(), out)
		return out.Flows[len(out.Flows)-1].ReverseObservable
	}
	back := func(src, dst, port uint64) bool {
		n.Datagram(v9().set(300, values(4, dst, 4, src, 2, 80, 2, port, 1, 6, 4, 100, 4, 1)...).datagram(), out)
		return out.Flows[len(out.Flows)-1].ReverseObservable
	}
	for port := uint64(1000); port < 1003; port++ {
		if send(1, 2, port) {
			t.Error("observable before three conversations were seen both ways")
		}
		send(1, 2, port) // the same way again is no answer
		back(1, 2, port)
	}
	if !send(1, 2, 5000) {
		t.Error("not observable after three conversations both ways")
	}
	for port := uint64(0); port < 3*reverseWindow; port++ {
		send(9, 8, port%60000)
	}
	if send(1, 2, 5001) {
		t.Error("still observable long after the last answer")
	}
}

// TestOneWayIsNotObservable: an exporter that reports one way of most conversations of TCP
// tells nothing by a missing answer, though it reports some both ways; who acknowledges
// to everybody does not make it one.
func TestOneWayIsNotObservable(t *testing.T) {
	const syn, established, synAck = 0x02, 0x1b, 0x12
	f := func(name string, want bool, talk func(minute uint64, report func(src, dst, port, flags uint64))) {
		t.Helper()
		n, out := New(Default()), &Result{}
		n.Datagram(v9().template(300, append(append([]spec(nil), tuple...), spec{ieTCPFlags, 1})...).datagram(), out)
		for minute := range uint64(6) {
			talk(minute, func(src, dst, port, flags uint64) {
				d := v9().set(300, values(4, src, 4, dst, 2, port, 2, 65536-port, 1, 6, 4, 100, 4, 2, 1, flags)...).datagram()
				d.ReceivedNs += minute * 60e9
				n.Datagram(d, out)
			})
		}
		if got := out.Flows[len(out.Flows)-1].ReverseObservable; got != want {
			t.Errorf("%s: observable %t, want %t", name, got, want)
		}
	}
	// of each ten conversations, both ways of so many; the others' answers go elsewhere
	share := func(both uint64) func(uint64, func(src, dst, port, flags uint64)) {
		return func(minute uint64, report func(src, dst, port, flags uint64)) {
			for i := range uint64(200) {
				port := 1000 + minute*200 + i
				report(1000+i%50, 2, port, established)
				if i%10 < both {
					report(2, 1000+i%50, 65536-port, established)
				}
			}
		}
	}
	f("all both ways", true, share(10))
	f("nine in ten", true, share(9))
	f("half", false, share(5))
	f("one in ten", false, share(1))
	unasked := func(flags uint64) func(uint64, func(src, dst, port, flags uint64)) {
		return func(minute uint64, report func(src, dst, port, flags uint64)) {
			share(10)(minute, report)
			for i := range uint64(2000) {
				report(7, 100_000+i, 30_000+minute, flags)
			}
			share(10)(minute, report)
		}
	}
	f("one asks everybody", true, unasked(syn))
	f("one acknowledges to everybody", true, unasked(established))
	f("everybody answers to what another said in his name", true, func(minute uint64, report func(src, dst, port, flags uint64)) {
		share(10)(minute, report)
		for i := range uint64(2000) {
			report(100_000+i, 7, 30_000+minute, synAck)
		}
		share(10)(minute, report)
	})
}

func TestUptimeSecondsQuirk(t *testing.T) {
	cfg := Default()
	cfg.Exporters = []Override{{CIDR: netset.MustParse(exporterAddr.String()), Quirks: []string{QuirkUptimeSeconds}}}
	specs := append(append([]spec(nil), tuple...), spec{ieStartUptime, 4}, spec{ieEndUptime, 4})
	w := v9()
	w.uptime = 100
	body := append(tupleValues(1, 1), values(4, 40_000, 4, 90_000)...)
	if f := only(t, run(cfg, w.template(300, specs...).set(300, body...).datagram())); f.TimeFlowStartNs != nowNs-60*nsPerS {
		t.Errorf("start %d", f.TimeFlowStartNs)
	}
}

func TestRealms(t *testing.T) {
	cfg := Default()
	cfg.Exporters = []Override{
		{CIDR: netset.MustParse("192.0.0.0/8"), Realm: 1},
		{CIDR: netset.MustParse(exporterAddr.String()), Realm: 2, VRFRealms: map[uint32]uint32{5: 50}, VLANRealms: map[uint32]uint32{6: 60}},
	}
	specs := append(append([]spec(nil), tuple...), spec{ieIngressVRF, 4}, spec{ieVLAN, 2})
	for _, c := range []struct{ vrf, vlan, want uint64 }{{0, 0, 2}, {5, 6, 50}, {4, 6, 60}, {4, 4, 2}} {
		body := append(tupleValues(1, 1), values(4, c.vrf, 2, c.vlan)...)
		if f := only(t, run(cfg, v9().template(300, specs...).set(300, body...).datagram())); uint64(f.Realm) != c.want {
			t.Errorf("VRF %d, VLAN %d: realm %d, want %d", c.vrf, c.vlan, f.Realm, c.want)
		}
	}
}

func TestConfig(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Fatal(err)
	}
	prefix := netset.MustParse("192.0.2.0/24")
	f := func(want string, change func(*Config)) {
		t.Helper()
		c := Default()
		change(&c)
		if err := c.Validate(); err == nil || err.Error()[:len(want)] != want {
			t.Errorf("error %v, want %q …", err, want)
		}
	}
	f("max_templates is 0", func(c *Config) { c.MaxTemplates = 0 })
	f("old_tolerance is -1s", func(c *Config) { c.OldTolerance = -time.Second })
	f("exporters[0].cidr is empty", func(c *Config) { c.Exporters = []Override{{}} })
	f("exporters[0].quirks", func(c *Config) { c.Exporters = []Override{{CIDR: prefix, Quirks: []string{"odd"}}} })
	f("exporters[0].sampling_force", func(c *Config) { c.Exporters = []Override{{CIDR: prefix, SamplingForce: true}} })
	f("exporters[1].cidr: 192.0.2.0/24 is also", func(c *Config) { c.Exporters = []Override{{CIDR: prefix}, {CIDR: netset.MustParse("192.0.2.9/24")}} })
}
