package normalize

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/netset"
)

// fataler is a test, of either library.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// bothWays reads datagrams with and without encoding, and holds the one against the
// other. It returns how many records went the direct way.
func bothWays(t fataler, cfg Config, in []Datagram) int {
	t.Helper()
	plain, encoding := New(cfg), New(cfg)
	want, got := &Result{}, &Result{Encode: true}
	for i, d := range in {
		plain.Datagram(d, want)
		encoding.Datagram(d, got)
		sameFlows(t, i, got, want)
		want.Reset()
		got.Reset()
	}
	plain.End(want)
	encoding.End(got)
	sameFlows(t, len(in), got, want)
	return encoding.writing.records
}

// sameFlows holds encoded flows, and the rest, against what they were made of.
func sameFlows(t fataler, i int, got, want *Result) {
	t.Helper()
	if len(got.Flows) != 0 || len(got.Encoded) != len(want.Flows) {
		t.Fatalf("datagram %d: %d flows encoded and %d not, want %d", i, len(got.Encoded), len(got.Flows), len(want.Flows))
	}
	for k, f := range want.Flows {
		if b := (*flow.Fresh)(f).Append(nil); !bytes.Equal(got.Encoded[k].Bytes, b) {
			t.Fatalf("datagram %d, flow %d:\ngot  %x\nwant %x\n%v", i, k, got.Encoded[k].Bytes, b, f)
		}
		if h := flow.ConversationHash(f); got.Encoded[k].Hash != h {
			t.Fatalf("datagram %d, flow %d: hash %x, want %x", i, k, got.Encoded[k].Hash, h)
		}
	}
	if !slices.EqualFunc(got.Events, want.Events, func(a, b *flowv1.Event) bool { return proto.Equal(a, b) }) {
		t.Fatalf("datagram %d: events %v, want %v", i, got.Events, want.Events)
	}
	if got.Records != want.Records || got.DataRecords != want.DataRecords || got.LostRecords != want.LostRecords || len(got.Dead) != len(want.Dead) {
		t.Fatalf("datagram %d: %+v of %d, want %+v of %d", i, got.Records, got.DataRecords, want.Records, want.DataRecords)
	}
}

func TestDirectInCaptures(t *testing.T) {
	needShared(t)
	direct := 0
	for _, pattern := range []string{"captures/*.pcap", "traffic/*.pcap.gz", "attacks/*.pcap.gz"} {
		paths, err := filepath.Glob(filepath.Join(shared, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("no captures: %v", err)
		}
		for _, path := range paths {
			t.Run(filepath.Base(path), func(t *testing.T) { direct += bothWays(t, Default(), datagrams(t, path)) })
		}
	}
	if direct == 0 {
		t.Error("no record of any capture went the direct way")
	}
}

// The times of records that go the direct way.
var (
	inMillis  = []spec{{ieStartMillis, 8}, {ieEndMillis, 8}}
	inUptimes = []spec{{ieStartUptime, 4}, {ieEndUptime, 4}}
)

// TestDirectKinds says of which records there is a direct way.
func TestDirectKinds(t *testing.T) {
	with := func(fields ...spec) []spec { return slices.Concat(tuple, fields) }
	values := tupleValues(1, 1)
	f := func(name string, w *writer, direct int, fields ...spec) {
		t.Helper()
		body := append([]byte{}, values...)
		for _, s := range fields[len(tuple):] {
			body = append(body, make([]byte, s.length)...)
			if s.e == ieStartMillis || s.e == ieEndMillis {
				binary.BigEndian.PutUint64(body[len(body)-8:], nowNs/nsPerMs)
			}
		}
		d := w.template(300, fields...).set(300, append(body, body...)...).datagram()
		d.Payload = append(d.Payload, make([]byte, 8)...)[:len(d.Payload)] // memory goes on behind it
		if got := bothWays(t, Default(), []Datagram{d}); got != direct {
			t.Errorf("%s: %d of 2 records went the direct way, want %d", name, got, direct)
		}
	}
	f("v9, uptimes", v9(), 2, with(inUptimes...)...)
	f("IPFIX, absolute", ipfix(), 2, with(inMillis...)...)
	f("IPFIX, uptimes", ipfix(), 0, with(inUptimes...)...)
	f("no times", v9(), 0, tuple...)
	f("two of one", v9(), 0, append(with(inUptimes...), spec{ieNextHop4, 4}, spec{ieNextHop6, 16})...)
	f("NAT", v9(), 0, append(with(inUptimes...), spec{ieNATEvent, 1})...)
	f("both ways", ipfix(), 0, append(with(inMillis...), spec{reverse(ieOctetDelta), 4})...)
	f("text", v9(), 0, append(with(inUptimes...), spec{ieApplicationName, 8})...)
	f("a session", v9(), 0, slices.Concat(tuple[:5], inUptimes, []spec{{ieInitiatorOctets, 4}, {ieInitiatorPackets, 4}})...)
	f("a list", ipfix(), 0, append(with(inMillis...), spec{ieBasicList, 8})...)
	f("DNS", ipfix(), 0, append(with(inMillis...), spec{ieCiscoSubApplicationValue, 12})...)
	f("next hops", v9(), 2, append(with(inUptimes...), spec{ieNextHop4, 4}, spec{ieBGPNextHop4, 4})...)
	values = icmpValues()
	f("ICMP, and a port", v9(), 0, with(inUptimes...)...)
	f("ICMP, type and code in one, and a port", v9(), 2, append(with(inUptimes...), spec{ieICMPTypeCode4, 2})...)
	f("ICMP, type and code apart", v9(), 2, append(with(inUptimes...), spec{ieICMPType4, 1}, spec{ieICMPCode4, 1})...)
	binary.BigEndian.PutUint16(values[atOf(ieSrcPort):], 0)
	f("ICMP, type and code in the port", v9(), 2, with(inUptimes...)...)
	f("ICMP, type and code in the port all the same", v9(), 0, append(with(inUptimes...), spec{ieICMPTypeCode4, 2})...)
}

// TestDirectTimesAreCorrected has an exporter whose clock is an hour late.
func TestDirectTimesAreCorrected(t *testing.T) {
	fields := slices.Concat(tuple, inUptimes)
	var in []Datagram
	for i := range uint32(20) {
		w := v9()
		w.sequence, w.seconds = i, nowNs/nsPerS-3600+10*i
		d := w.template(300, fields...).set(300, append(tupleValues(1, 1), values(4, 3_999_000, 4, 4_000_000, 4, 0)...)...).datagram()
		d.ReceivedNs += uint64(i) * 10 * nsPerS
		in = append(in, d)
	}
	if got := bothWays(t, Default(), in); got != len(in) {
		t.Errorf("%d of %d records went the direct way", got, len(in))
	}
}

// icmpValues are those of tuple, of an echo request.
func icmpValues() []byte {
	b := tupleValues(1, 1)
	b[atOf(ieProtocol)] = flow.ProtoICMP
	return b
}

// atOf is where an element lies in a record of tuple.
func atOf(e element) (at int) {
	for _, s := range tuple {
		if s.e == e {
			break
		}
		at += int(s.length)
	}
	return at
}

// directElements are what random templates are made of.
var directElements = []spec{
	{ieOctetDelta, 4}, {ieOctetDelta, 8}, {ieOctetTotal, 8}, {iePacketDelta, 4}, {iePacketDelta, 3}, {iePacketTotal, 8},
	{ieProtocol, 1}, {ieProtocol, 2}, {ieClassOfService, 1}, {ieTCPFlags, 1}, {ieTCPFlags, 2}, {ieSrcPort, 2}, {ieSrcPort, 4}, {ieDstPort, 2},
	{ieSrcPrefix4, 1}, {ieDstPrefix4, 1}, {ieSrcPrefix6, 1}, {ieIngressInterface, 2}, {ieIngressInterface, 4}, {ieEgressInterface, 4},
	{ieNextHop4, 4}, {ieNextHop6, 16}, {ieNextHop4, 3}, {ieBGPNextHop4, 4}, {ieBGPNextHop6, 16}, {ieSrcAS, 2}, {ieSrcAS, 4}, {ieDstAS, 4}, {ieBGPNextAS, 4},
	{ieFlowLabel, 4}, {ieMinTTL, 1}, {ieTTL, 1}, {ieFragmentID, 4}, {ieFragmentOffset, 2}, {ieFragmentFlags, 1},
	{ieSrcMAC, 6}, {iePostSrcMAC, 6}, {ieDstMAC, 6}, {ieVLAN, 2}, {ieDot1qVLAN, 2}, {iePostVLAN, 2}, {ieEtherType, 2},
	{ieDirection, 1}, {ieForwardingStatus, 1}, {ieForwardingStatus, 4}, {ieFlowEndReason, 1}, {ieObservationPoint, 8},
	{ieIngressVRF, 4}, {ieEgressVRF, 4}, {ieFlowID, 8}, {ieSamplerID, 1}, {ieSelectorID, 8}, {ieSamplingInterval, 4},
	{ieICMPTypeCode4, 2}, {ieICMPTypeCode4, 1}, {ieICMPTypeCode6, 4}, {ieICMPType4, 1}, {ieICMPType6, 2}, {ieICMPCode4, 1}, {iePadding, 3}, {ieTCPFlags, 12}, {ieBiflowDirection, 1}, {ieStartSeconds, 4},
	{ieApplicationID, 4}, {iePostOctetDelta, 8}, {ieFirewallEvent, 1}, {ieSystemInit, 8},
}

// TestDirectRandom has random templates with random records, from exporters of all
// sorts, read in both ways.
func TestDirectRandom(t *testing.T) {
	direct := 0
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		some := func(n int) bool { return r.IntN(n) == 0 }
		fields := []spec{{ieSrcIPv4, 4}, {ieDstIPv4, 4}, {ieOctetDelta, 4}}
		if some(3) {
			fields = []spec{{ieSrcIPv6, 16}, {ieDstIPv6, 16}, {ieOctetDelta, 8}}
		}
		if some(2) {
			fields = append(fields, spec{ieStartUptime, 4}, spec{ieEndUptime, 4})
		} else {
			fields = append(fields, spec{ieStartMillis, 8}, spec{ieEndMillis, 8})
		}
		for range r.IntN(16) {
			fields = append(fields, directElements[r.IntN(len(directElements))])
		}
		r.Shuffle(len(fields), func(i, k int) { fields[i], fields[k] = fields[k], fields[i] })
		w := v9()
		if some(2) {
			w = ipfix()
		}
		w.domain = r.Uint32() >> r.IntN(32)
		w.template(300, fields...)
		if some(2) {
			w.optionsTemplate(256, 1, spec{1, 4}, spec{ieSamplerID, 1}, spec{ieSamplingInterval, 4}).
				set(256, values(4, 0, 1, uint64(r.IntN(3)), 4, uint64(r.IntN(1000)))...).
				optionsTemplate(257, 1, spec{ieIngressInterface, 4}, spec{ieSamplingInterval, 4}).
				set(257, values(4, uint64(r.IntN(3)), 4, uint64(r.IntN(1000)))...)
		}
		var body []byte
		for range 1 + r.IntN(5) {
			body = append(body, randomRecord(r, fields)...)
		}
		d := w.set(300, body...).datagram()
		d.Payload = append(make([]byte, 0, len(d.Payload)+r.IntN(9)), d.Payload...)
		again := d
		again.Payload = bytes.Clone(d.Payload)
		again.Payload[15]++ // the sequence number, or what is next to it
		again.ReceivedNs += uint64(r.IntN(100)) * nsPerS
		direct += bothWays(t, randomConfig(r), []Datagram{d, again})
	})
	if direct == 0 {
		t.Error("no record went the direct way")
	}
}

// randomRecord has small numbers, large ones, zeroes and times near the reception.
func randomRecord(r *rand.Rand, fields []spec) (b []byte) {
	for _, f := range fields {
		v := r.Uint64() >> r.IntN(64)
		switch {
		case r.IntN(3) == 0:
			v = 0
		case f.e == ieStartMillis, f.e == ieEndMillis:
			v = nowNs/nsPerMs - uint64(r.IntN(100_000))
		case f.e == ieStartUptime, f.e == ieEndUptime:
			v = 4_000_000 - uint64(r.IntN(100_000))
		case f.e == ieProtocol:
			v = []uint64{6, 17, 1, 58, 47, 132}[r.IntN(6)]
		case f.e == ieSamplerID, f.e == ieIngressInterface, f.e == ieDirection, f.e == ieVLAN, f.e == ieIngressVRF:
			v = uint64(r.IntN(4))
		}
		value := make([]byte, f.length)
		for i := len(value) - 1; i >= 0; i-- {
			value[i] = byte(v)
			if v >>= 8; v == 0 && r.IntN(8) == 0 {
				v = r.Uint64()
			}
		}
		b = append(b, value...)
	}
	return b
}

// randomConfig overrides what an exporter says, in some way or none.
func randomConfig(r *rand.Rand) Config {
	cfg := Default()
	o := Override{CIDR: netset.MustParse(exporterAddr.String())}
	switch r.IntN(6) {
	case 0:
		o.SamplingRate, o.SamplingForce = 100, true
	case 1:
		o.SamplingRate = 10
	case 2:
		o.Realm, o.ActiveTimeout, o.InactiveTimeout = 300, time.Minute, 15*time.Second
	case 3:
		o.VLANRealms, o.VRFRealms = map[uint32]uint32{1: 7}, map[uint32]uint32{2: 8}
	default:
		return cfg
	}
	cfg.Exporters = append(cfg.Exporters, o)
	return cfg
}
