package biflow

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

func TestPurity(t *testing.T) { testkit.Pure(t, ".") }

func second(s float64) uint64 { return uint64(1_700_000_000e9 + s*1e9) }

// endpoint is "addr:port".
func endpoint(s string) ([]byte, uint32) {
	a := netip.MustParseAddrPort(s)
	return a.Addr().AsSlice(), uint32(a.Port())
}

// tcp is a TCP flow by exporter 1, received at its end.
func tcp(src, dst string, start, end float64, packets uint64, flags uint32) *flowv1.Flow {
	f := &flowv1.Flow{
		Proto: 6, TcpFlags: flags, Packets: packets, Bytes: packets * 100,
		TimeFlowStartNs: second(start), TimeFlowEndNs: second(end), TimeReceivedNs: second(end),
		SamplerAddress: []byte{192, 0, 2, 1}, RecordId: uint64(start*1000) + uint64(flags),
		ReverseObservable: true,
	}
	f.SrcAddr, f.SrcPort = endpoint(src)
	f.DstAddr, f.DstPort = endpoint(dst)
	return f
}

func with(f *flowv1.Flow, change func(*flowv1.Flow)) *flowv1.Flow {
	change(f)
	return f
}

func udp(src, dst string, start, end float64, packets uint64) *flowv1.Flow {
	return with(tcp(src, dst, start, end, packets, 0), func(f *flowv1.Flow) { f.Proto = 17 })
}

// play runs flows through a table and returns every version.
func play(flows []*flowv1.Flow) (out []*flowv1.Biflow) {
	t := New(Default())
	drive(t, flows, func(b *flowv1.Biflow) { out = append(out, proto.Clone(b).(*flowv1.Biflow)) })
	return out
}

// drive feeds a table tick by tick, as a stage does; before every tick with
// flows it calls each.
func drive(t *Table, flows []*flowv1.Flow, emit func(*flowv1.Biflow), each ...func()) {
	flows = slices.Clone(flows)
	slices.SortStableFunc(flows, func(a, b *flowv1.Flow) int { return int(int64(a.TimeReceivedNs) - int64(b.TimeReceivedNs)) })
	last := eventtime.Tick(0)
	for len(flows) > 0 {
		now := eventtime.TickOf(flows[0].TimeReceivedNs)
		for t.NextTimer() < now {
			last = max(t.NextTimer(), last+1)
			t.Tick(last, nil, emit)
		}
		n := 0
		for n < len(flows) && eventtime.TickOf(flows[n].TimeReceivedNs) == now {
			n++
		}
		for _, f := range each {
			f()
		}
		batch := slices.Clone(flows[:n])
		flow.SortDeduped(batch)
		t.Tick(now, batch, emit)
		flows, last = flows[n:], now
	}
	for t.NextTimer() < last+4000 {
		last = max(t.NextTimer(), last+1)
		t.Tick(last, nil, emit)
	}
	t.End(last+1, emit)
}

// final is the last versions, one line each, by start.
func final(versions []*flowv1.Biflow) string {
	var last []*flowv1.Biflow
	for _, b := range versions {
		if b.CloseReason != 0 {
			last = append(last, b)
		}
	}
	flow.SortBiflows(last)
	var s strings.Builder
	for _, b := range last {
		c, _ := netip.AddrFromSlice(b.ClientAddr)
		v, _ := netip.AddrFromSlice(b.ServerAddr)
		fmt.Fprintf(&s, "%s:%d>%s:%d %d/%d %s %.2f %s %s\n", c, b.ClientPort, v, b.ServerPort, b.ClientPackets, b.ServerPackets,
			short(b.InitiatorEvidence.String()), b.InitiatorConfidence, short(b.ConnState.String()), short(b.CloseReason.String()))
	}
	return s.String()
}

func short(enum string) string {
	for _, p := range []string{"INITIATOR_EVIDENCE_", "CONN_STATE_", "CLOSE_REASON_"} {
		enum = strings.TrimPrefix(enum, p)
	}
	return strings.ToLower(enum)
}

func TestTable(t *testing.T) {
	const c, s = "10.0.0.1:50000", "198.51.100.7:443"
	const p, q = "10.0.0.1:50000", "10.0.0.2:50001" // ports that tell little: q for the client
	sampled := func(f *flowv1.Flow) *flowv1.Flow {
		f.SamplingRate = 100
		return f
	}
	apart := func(f *flowv1.Flow) *flowv1.Flow {
		f.ReverseObservable = false
		return f
	}
	const (
		source      = flowv1.InitiatorHint_INITIATOR_HINT_SOURCE
		byOrder     = flowv1.InitiatorHint_INITIATOR_HINT_SOURCE_BY_ORDER
		backByOrder = flowv1.InitiatorHint_INITIATOR_HINT_DESTINATION_BY_ORDER
	)
	hinted := func(f *flowv1.Flow, h flowv1.InitiatorHint) *flowv1.Flow {
		f.InitiatorHint = h
		return f
	}
	elsewhere := func(f *flowv1.Flow) *flowv1.Flow {
		f.SamplerAddress = []byte{192, 0, 2, 2}
		return f
	}
	told := func(f *flowv1.Flow) *flowv1.Flow {
		f.ActiveTimeoutMs, f.InactiveTimeoutMs = 300_000, 60_000
		return f
	}
	for _, test := range []struct {
		name string
		in   []*flowv1.Flow
		want string
	}{
		{"a whole connection", []*flowv1.Flow{tcp(c, s, 0, 5, 10, 0x1b), tcp(s, c, 0.02, 5, 8, 0x1b)},
			"10.0.0.1:50000>198.51.100.7:443 10/8 first_seen 0.99 established fin\n"},
		{"the answer is reported first", []*flowv1.Flow{tcp(s, c, 0.02, 4, 8, 0x1b), tcp(c, s, 0, 5, 10, 0x1b)},
			"10.0.0.1:50000>198.51.100.7:443 10/8 first_seen 0.99 established fin\n"},
		{"refused", []*flowv1.Flow{tcp(c, s, 0, 0, 1, 0x02), tcp(s, c, 0, 0, 1, 0x14)},
			"10.0.0.1:50000>198.51.100.7:443 1/1 tcp_flags 0.99 rejected rst\n"},
		{"SYN scan of an open port", []*flowv1.Flow{tcp(c, s, 0, 0.1, 2, 0x06), tcp(s, c, 0.05, 0.05, 1, 0x12)},
			"10.0.0.1:50000>198.51.100.7:443 2/1 tcp_flags 0.99 half_open rst\n"},
		{"unanswered", []*flowv1.Flow{tcp(c, s, 0, 3, 2, 0x02)},
			"10.0.0.1:50000>198.51.100.7:443 2/0 tcp_flags 0.99 unanswered idle\n"},
		{"no answer, but the way back may be elsewhere",
			[]*flowv1.Flow{with(tcp(c, s, 0, 3, 2, 0x02), func(f *flowv1.Flow) { f.ReverseObservable = false })},
			"10.0.0.1:50000>198.51.100.7:443 2/0 tcp_flags 0.99 reverse_unobserved idle\n"},
		{"a client that acknowledges was answered", []*flowv1.Flow{tcp(c, s, 0, 3, 5, 0x12)},
			"10.0.0.1:50000>198.51.100.7:443 5/0 known_port 0.85 reverse_unobserved idle\n"},
		{"so was a server that does", []*flowv1.Flow{tcp(s, c, 0, 3, 5, 0x1a)},
			"10.0.0.1:50000>198.51.100.7:443 0/5 known_port 0.85 reverse_unobserved idle\n"},
		{"retransmitted SYNs are one attempt", []*flowv1.Flow{tcp(c, s, 0, 0, 1, 0x02), tcp(c, s, 20, 20, 1, 0x02)},
			"10.0.0.1:50000>198.51.100.7:443 2/0 tcp_flags 0.99 unanswered idle\n"},
		{"SYN|ACKs that nobody acknowledges are one answer", []*flowv1.Flow{
			tcp(c, s, 0, 0, 1, 0x02), tcp(s, c, 0.1, 24, 3, 0x12), tcp(s, c, 40, 40, 1, 0x12), tcp(s, c, 60, 90, 4, 0x16)},
			"10.0.0.1:50000>198.51.100.7:443 1/8 tcp_flags 0.99 half_open rst\n"},
		{"so are those that come twice", []*flowv1.Flow{
			tcp(c, s, 0, 0, 1, 0x02), tcp(s, c, 0.1, 0.1, 1, 0x12), tcp(c, s, 0.2, 0.2, 1, 0x18), tcp(s, c, 1.1, 1.1, 1, 0x12), tcp(s, c, 2, 2, 1, 0x18)},
			"10.0.0.1:50000>198.51.100.7:443 2/3 tcp_flags 0.99 established idle\n"},
		{"a SYN that is sent again although it was answered", []*flowv1.Flow{
			tcp(c, s, 0, 0, 1, 0x02), tcp(s, c, 0.1, 0.1, 1, 0x12), tcp(c, s, 1, 1, 1, 0x02), tcp(s, c, 1.1, 1.1, 1, 0x12), tcp(c, s, 1.2, 5, 3, 0x18)},
			"10.0.0.1:50000>198.51.100.7:443 5/2 tcp_flags 0.99 established idle\n"},
		{"but not once the answer was acknowledged", []*flowv1.Flow{
			tcp(c, s, 0, 0, 1, 0x02), tcp(s, c, 0.1, 0.1, 1, 0x12), tcp(c, s, 0.2, 0.2, 1, 0x18), tcp(c, s, 9, 9, 1, 0x02), tcp(s, c, 9.1, 9.1, 1, 0x12)},
			"10.0.0.1:50000>198.51.100.7:443 2/1 tcp_flags 0.99 established port_reuse\n10.0.0.1:50000>198.51.100.7:443 1/1 tcp_flags 0.99 half_open idle\n"},
		{"nor for longer than SYNs are sent again", []*flowv1.Flow{
			tcp(c, s, 0, 0, 1, 0x02), tcp(s, c, 0.1, 100, 6, 0x12), tcp(s, c, 150, 150, 1, 0x12)},
			"10.0.0.1:50000>198.51.100.7:443 1/6 tcp_flags 0.99 half_open port_reuse\n10.0.0.1:50000>198.51.100.7:443 0/1 tcp_flags 0.99 reverse_unobserved idle\n"},
		{"the port is used again at once",
			[]*flowv1.Flow{tcp(c, s, 0, 0, 1, 0x02), tcp(s, c, 0, 0, 1, 0x14), tcp(c, s, 1, 1, 1, 0x02), tcp(s, c, 1, 1, 1, 0x14)},
			"10.0.0.1:50000>198.51.100.7:443 1/1 tcp_flags 0.99 rejected rst\n10.0.0.1:50000>198.51.100.7:443 1/1 tcp_flags 0.99 rejected rst\n"},
		{"both halves of the port's first use come after its second",
			[]*flowv1.Flow{tcp(c, s, 0, 0, 1, 0x02), tcp(c, s, 1, 1, 1, 0x02),
				with(tcp(s, c, 0, 0, 1, 0x14), func(f *flowv1.Flow) { f.TimeReceivedNs = second(3) }),
				with(tcp(s, c, 1, 1, 1, 0x14), func(f *flowv1.Flow) { f.TimeReceivedNs = second(3) })},
			"10.0.0.1:50000>198.51.100.7:443 2/2 tcp_flags 0.99 rejected rst\n"},
		{"a second refusal is reported before its attempt",
			[]*flowv1.Flow{tcp(c, s, 0, 0, 1, 0x02), tcp(s, c, 0, 0, 1, 0x14), tcp(s, c, 1, 1, 1, 0x14),
				with(tcp(c, s, 1, 1, 1, 0x02), func(f *flowv1.Flow) { f.TimeReceivedNs = second(2) })},
			"10.0.0.1:50000>198.51.100.7:443 1/1 tcp_flags 0.99 rejected rst\n10.0.0.1:50000>198.51.100.7:443 1/1 tcp_flags 0.99 rejected rst\n"},
		{"long, in segments", []*flowv1.Flow{
			tcp(c, s, 0, 60, 60, 0x1a), tcp(s, c, 0.02, 60, 60, 0x1a), tcp(c, s, 61, 120, 60, 0x18), tcp(s, c, 61, 120, 60, 0x18),
			tcp(c, s, 200, 210, 5, 0x19), tcp(s, c, 200, 210, 5, 0x19)},
			"10.0.0.1:50000>198.51.100.7:443 125/125 first_seen 0.99 established fin\n"},
		{"half an hour of active timeout", []*flowv1.Flow{
			tcp(c, s, 0, 1800, 60, 0x1a), tcp(s, c, 0.02, 1800, 60, 0x1a), tcp(c, s, 1801, 3600, 60, 0x18), tcp(s, c, 1801, 3600, 60, 0x18)},
			"10.0.0.1:50000>198.51.100.7:443 120/120 first_seen 0.99 established idle\n"},
		{"DNS", []*flowv1.Flow{udp("10.0.0.1:40000", "10.0.0.53:53", 0, 0, 1), udp("10.0.0.53:53", "10.0.0.1:40000", 0, 0, 1)},
			"10.0.0.1:40000>10.0.0.53:53 1/1 known_port 0.85 established idle\n"},
		{"multicast", []*flowv1.Flow{udp("10.0.0.1:5353", "224.0.0.251:5353", 0, 0, 1)},
			"10.0.0.1:5353>224.0.0.251:5353 1/0 multicast 0.99 one_way idle\n"},
		{"the exporter's word beats the port",
			[]*flowv1.Flow{with(udp("10.0.0.53:53", "10.0.0.1:40000", 0, 0, 1), func(f *flowv1.Flow) { f.InitiatorHint = flowv1.InitiatorHint_INITIATOR_HINT_SOURCE })},
			"10.0.0.53:53>10.0.0.1:40000 1/0 exporter 0.97 unanswered idle\n"},
		{"the exporter's word for the destination",
			[]*flowv1.Flow{with(udp("10.0.0.1:40000", "10.0.0.53:53", 0, 0, 1), func(f *flowv1.Flow) { f.InitiatorHint = flowv1.InitiatorHint_INITIATOR_HINT_DESTINATION })},
			"10.0.0.53:53>10.0.0.1:40000 0/1 exporter 0.68 reverse_unobserved idle\n"},
		{"the order of a biflow is less than the exporter's word",
			[]*flowv1.Flow{with(udp("10.0.0.1:40000", "10.0.0.2:50000", 0, 0, 1), func(f *flowv1.Flow) {
				f.InitiatorHint, f.ReverseObservable = flowv1.InitiatorHint_INITIATOR_HINT_SOURCE_BY_ORDER, false
			})},
			"10.0.0.1:40000>10.0.0.2:50000 1/0 exporter 0.70 reverse_unobserved idle\n"},
		{"a known port tells more than the order of a biflow, which some exporters sort by address",
			[]*flowv1.Flow{hinted(tcp(s, c, 0, 4, 5, 0x1a), byOrder), hinted(tcp(c, s, 0, 4, 6, 0x1a), backByOrder)},
			"10.0.0.1:50000>198.51.100.7:443 6/5 known_port 0.85 established idle\n"},
		{"the order of a biflow tells more than the lower port",
			[]*flowv1.Flow{hinted(udp("10.0.0.2:40000", "10.0.0.1:50000", 0, 0, 1), byOrder), hinted(udp("10.0.0.1:50000", "10.0.0.2:40000", 0, 0, 2), backByOrder)},
			"10.0.0.2:40000>10.0.0.1:50000 1/2 exporter 0.70 established idle\n"},
		{"a straggler belongs to the port's former use",
			[]*flowv1.Flow{tcp(c, s, 0, 4, 5, 0x1b), tcp(s, c, 0.05, 2, 4, 0x1a), tcp(c, s, 5, 6, 3, 0x1a),
				with(tcp(s, c, 2.5, 4, 2, 0x19), func(f *flowv1.Flow) { f.TimeReceivedNs = second(7) })},
			"10.0.0.1:50000>198.51.100.7:443 5/6 first_seen 0.99 established fin\n10.0.0.1:50000>198.51.100.7:443 3/0 known_port 0.85 reverse_unobserved idle\n"},
		{"a start beyond the silence allowed is a new conversation, though its report comes before the timer",
			[]*flowv1.Flow{udp("10.0.0.1:40000", "10.0.0.53:53", 0, 0, 1),
				with(udp("10.0.0.1:40000", "10.0.0.53:53", 200, 200, 1), func(f *flowv1.Flow) { f.TimeReceivedNs = second(2) })},
			"10.0.0.1:40000>10.0.0.53:53 1/0 first_seen 0.97 unanswered port_reuse\n10.0.0.1:40000>10.0.0.53:53 1/0 first_seen 0.97 unanswered idle\n"},
		{"used again when a timer that no longer counts is due",
			[]*flowv1.Flow{tcp(c, s, 1, 1.25, 1, 0), tcp(s, c, 40.5, 41.5, 1, 0), tcp(c, s, 121, 121.3, 1, 0x02)},
			"10.0.0.1:50000>198.51.100.7:443 1/1 first_seen 0.99 established port_reuse\n10.0.0.1:50000>198.51.100.7:443 1/0 tcp_flags 0.99 unanswered idle\n"},
		{"the order of two continuations tells nothing", []*flowv1.Flow{tcp(p, q, 0, 5, 10, 0x18), tcp(q, p, 0.1, 5, 8, 0x18)},
			"10.0.0.2:50001>10.0.0.1:50000 8/10 lower_port 0.55 established idle\n"},
		{"the order of a moment tells more than the lower port", []*flowv1.Flow{udp(p, q, 0, 0, 1), udp(q, p, 0.001, 0.001, 1)},
			"10.0.0.1:50000>10.0.0.2:50001 1/1 first_seen 0.70 established idle\n"},
		{"but less than a known one", []*flowv1.Flow{udp(s, c, 0, 0, 1), udp(c, s, 0.001, 0.001, 1)},
			"10.0.0.1:50000>198.51.100.7:443 1/1 known_port 0.85 established idle\n"},
		{"order tells nothing where packets are sampled", []*flowv1.Flow{sampled(tcp(p, q, 0, 5, 10, 0x1a)), sampled(tcp(q, p, 0.1, 5, 8, 0x1a))},
			"10.0.0.2:50001>10.0.0.1:50000 8/10 lower_port 0.55 established idle\n"},
		{"the answer may not have been sampled", []*flowv1.Flow{sampled(udp("10.0.0.15:40000", "10.0.0.53:53", 0, 0, 1))},
			"10.0.0.15:40000>10.0.0.53:53 1/0 known_port 0.85 reverse_unobserved idle\n"},
		{"but where that of a SYN was, ACKs would be", []*flowv1.Flow{sampled(tcp(c, s, 0, 3, 2, 0x02))},
			"10.0.0.1:50000>198.51.100.7:443 2/0 tcp_flags 0.99 unanswered idle\n"},
		{"the order of two exporters within their clocks tells nothing", []*flowv1.Flow{tcp(p, q, 0, 5, 10, 0x1a), elsewhere(tcp(q, p, 0.5, 5, 8, 0x1a))},
			"10.0.0.2:50001>10.0.0.1:50000 8/10 lower_port 0.55 established idle\n"},
		{"the order of two exporters beyond their clocks tells little", []*flowv1.Flow{tcp(p, q, 0, 5, 10, 0x1a), elsewhere(tcp(q, p, 3, 5, 8, 0x1a))},
			"10.0.0.1:50000>10.0.0.2:50001 10/8 first_seen_elsewhere 0.60 established idle\n"},
		{"flags of UDP mean nothing", []*flowv1.Flow{with(udp(p, q, 0, 1, 2), func(f *flowv1.Flow) { f.TcpFlags = 0x04 }), udp(p, q, 30, 31, 2)},
			"10.0.0.1:50000>10.0.0.2:50001 4/0 first_seen 0.80 unanswered idle\n"},
		{"the only speaker tells nothing where the way back is elsewhere", []*flowv1.Flow{apart(udp(p, q, 0, 1, 2))},
			"10.0.0.2:50001>10.0.0.1:50000 0/2 lower_port 0.55 reverse_unobserved idle\n"},
		{"a sure direction does not change", []*flowv1.Flow{tcp(q, p, 0, 1, 1, 0x02), hinted(tcp(p, q, 70, 71, 3, 0x18), source)},
			"10.0.0.2:50001>10.0.0.1:50000 1/3 tcp_flags 0.99 established idle\n"},
		{"an unsure direction changes for a better reason",
			[]*flowv1.Flow{apart(tcp(p, q, 0, 1, 3, 0x18)), hinted(apart(tcp(p, q, 70, 71, 3, 0x18)), byOrder)},
			"10.0.0.1:50000>10.0.0.2:50001 6/0 exporter 0.70 reverse_unobserved idle\n"},
		{"but once", []*flowv1.Flow{apart(tcp(p, q, 0, 1, 3, 0x18)), hinted(apart(tcp(p, q, 70, 71, 3, 0x18)), byOrder),
			hinted(apart(tcp(q, p, 140, 141, 3, 0x18)), source)},
			"10.0.0.1:50000>10.0.0.2:50001 6/3 exporter 0.70 established idle\n"},
		{"a better reason counts, though what was told contradicts it",
			[]*flowv1.Flow{tcp("10.0.0.7:30003", "10.0.0.1:1433", 0, 0, 1, 0x04),
				with(tcp("10.0.0.1:1433", "10.0.0.7:30003", 0, 0, 1, 0x02), func(f *flowv1.Flow) { f.TimeReceivedNs = second(3) })},
			"10.0.0.1:1433>10.0.0.7:30003 1/1 tcp_flags 0.82 rejected rst\n"},
		{"a registered port says that it is a server's, against a client's of today",
			[]*flowv1.Flow{udp("10.0.0.1:1157", "10.0.0.2:40000", 0, 0, 1), udp("10.0.0.2:40000", "10.0.0.1:1157", 0, 0, 1)},
			"10.0.0.2:40000>10.0.0.1:1157 1/1 known_port 0.85 established idle\n"},
		{"but among those that old clients called from it says nothing",
			[]*flowv1.Flow{udp("10.0.0.1:1157", "10.0.0.2:16464", 0, 0, 1), udp("10.0.0.2:16464", "10.0.0.1:1157", 0, 0, 1)},
			"10.0.0.1:1157>10.0.0.2:16464 1/1 none 0.50 established idle\n"},
		{"the only speaker is not the only one after all",
			[]*flowv1.Flow{udp("10.0.0.9:8437", "10.0.0.1:49178", 0, 0, 2),
				with(udp("10.0.0.1:49178", "10.0.0.9:8437", 0, 0, 2), func(f *flowv1.Flow) { f.TimeReceivedNs = second(3) })},
			"10.0.0.1:49178>10.0.0.9:8437 2/2 lower_port 0.55 established idle\n"},
		{"nor is it sure meanwhile, where the ports are a guess", []*flowv1.Flow{udp(q, p, 0.5, 0.5, 2),
			with(udp(p, q, 0, 0.4, 2), func(f *flowv1.Flow) { f.TimeReceivedNs = second(3) })},
			"10.0.0.1:50000>10.0.0.2:50001 2/2 first_seen 0.90 established idle\n"},
		{"an answer to who asked everybody", []*flowv1.Flow{udp("10.0.0.1:1900", "10.0.0.15:50000", 0, 0, 1)},
			"10.0.0.15:50000>10.0.0.1:1900 0/1 known_port 0.85 reverse_unobserved idle\n"},
		{"an answer alone, from a port that no client is given", []*flowv1.Flow{udp("10.0.0.53:53", "10.0.0.15:5130", 0, 0, 1)},
			"10.0.0.15:5130>10.0.0.53:53 0/1 known_port 0.70 reverse_unobserved idle\n"},
		{"from another known port it may be a question", []*flowv1.Flow{udp("10.0.0.53:8082", "10.0.0.15:30301", 0, 0, 1)},
			"10.0.0.53:8082>10.0.0.15:30301 1/0 first_seen 0.65 unanswered idle\n"},
		{"between the service's ports that may be a question", []*flowv1.Flow{udp("10.0.0.15:5353", "10.0.0.1:5353", 0, 0, 1)},
			"10.0.0.15:5353>10.0.0.1:5353 1/0 first_seen 0.80 unanswered idle\n"},
		{"later fragments have no ports, and begin nothing", []*flowv1.Flow{udp("10.0.0.1:0", "10.0.0.15:0", 0, 0, 5)},
			"10.0.0.1:0>10.0.0.15:0 5/0 first_seen 0.60 reverse_unobserved idle\n"},
		{"where nothing tells who was heard asked, so far", []*flowv1.Flow{
			sampled(udp("10.0.0.15:500", "10.0.0.1:500", 0, 0, 1)), sampled(udp("10.0.0.1:500", "10.0.0.15:500", 30, 30, 1)),
			sampled(udp("10.0.0.15:4500", "10.0.0.1:4500", 0, 0, 1))},
			"10.0.0.15:4500>10.0.0.1:4500 1/0 first_seen 0.60 reverse_unobserved idle\n10.0.0.15:500>10.0.0.1:500 1/1 none 0.50 established idle\n"},
		{"a router that advertises itself to everybody", []*flowv1.Flow{
			with(udp("10.0.0.1:0", "224.0.0.1:0", 0, 0, 1), func(f *flowv1.Flow) { f.Proto, f.IcmpType = 1, 9 })},
			"10.0.0.1:0>224.0.0.1:0 1/0 multicast 0.99 one_way idle\n"},
		{"DHCP's answer to who asked everybody", []*flowv1.Flow{udp("10.0.0.1:67", "10.0.0.15:68", 0, 0, 1)},
			"10.0.0.15:68>10.0.0.1:67 0/1 known_port 0.84 reverse_unobserved idle\n"},
		{"a reset alone refuses", []*flowv1.Flow{tcp(q, p, 0, 0, 1, 0x14)},
			"10.0.0.1:50000>10.0.0.2:50001 0/1 tcp_flags 0.97 reverse_unobserved rst\n"},
		{"but not who has acknowledged", []*flowv1.Flow{tcp(p, q, 0, 1, 3, 0x18), tcp(q, p, 70, 70, 1, 0x14)},
			"10.0.0.2:50001>10.0.0.1:50000 1/3 lower_port 0.55 established rst\n"},
		{"nor where packets are sampled", []*flowv1.Flow{sampled(tcp(q, p, 0, 0, 1, 0x14))},
			"10.0.0.2:50001>10.0.0.1:50000 1/0 lower_port 0.55 reverse_unobserved rst\n"},
		{"SYN and ACK with more are not one packet's, whatever the report says",
			[]*flowv1.Flow{tcp(p, q, 0, 0, 1, 0x1a), tcp(q, p, 0, 0, 1, 0x1a)},
			"10.0.0.2:50001>10.0.0.1:50000 1/1 lower_port 0.55 established idle\n"},
		{"a segment that the active timeout cut is followed by one as long", []*flowv1.Flow{
			with(tcp(c, s, 0, 10, 5, 0x1a), func(f *flowv1.Flow) { f.FlowEndReason, f.ActiveTimeoutMs = 2, 300_000 }),
			tcp(c, s, 250, 300, 5, 0x18)},
			"10.0.0.1:50000>198.51.100.7:443 10/0 known_port 0.85 reverse_unobserved idle\n"},
		{"one that runs is reported when its exporter's active timeout has cut it", []*flowv1.Flow{
			told(tcp(c, s, 0, 3, 5, 0x1a)), told(tcp(s, c, 0.1, 3, 5, 0x1a)), told(tcp(c, s, 60, 360, 5, 0x19)), told(tcp(s, c, 60, 360, 5, 0x19))},
			"10.0.0.1:50000>198.51.100.7:443 10/10 first_seen 0.99 established fin\n"},
		{"a question and its answer do not run", []*flowv1.Flow{
			told(udp(p, q, 0, 0, 1)), told(udp(q, p, 0.1, 0.1, 1)), told(udp(p, q, 200, 200, 1)), told(udp(q, p, 200.1, 200.1, 1))},
			"10.0.0.1:50000>10.0.0.2:50001 1/1 first_seen 0.90 established idle\n10.0.0.1:50000>10.0.0.2:50001 1/1 first_seen 0.90 established idle\n"},
		{"nor does a connection that is half open", []*flowv1.Flow{
			told(tcp(c, s, 0, 0, 1, 0x02)), told(tcp(s, c, 0.1, 7, 4, 0x12)), told(tcp(c, s, 200, 200, 1, 0x02)), told(tcp(s, c, 200.1, 207, 4, 0x12))},
			"10.0.0.1:50000>198.51.100.7:443 1/4 tcp_flags 0.99 half_open idle\n10.0.0.1:50000>198.51.100.7:443 1/4 tcp_flags 0.99 half_open idle\n"},
		{"another exporter goes on where the one that counts has died", []*flowv1.Flow{
			tcp(c, s, 0, 60, 60, 0x1a), elsewhere(tcp(s, c, 0.1, 60, 60, 0x1a)),
			with(elsewhere(tcp(c, s, 61, 120, 60, 0x18)), func(f *flowv1.Flow) { f.TimeReceivedNs = second(310) })},
			"10.0.0.1:50000>198.51.100.7:443 120/60 known_port 0.85 established idle\n"},
		{"the last acknowledgement comes by the inactive timeout", []*flowv1.Flow{
			told(tcp(c, s, 0, 5, 10, 0x1b)), told(tcp(s, c, 0.02, 5, 8, 0x1b)),
			with(told(tcp(c, s, 5.1, 5.1, 1, 0x10)), func(f *flowv1.Flow) { f.TimeReceivedNs = second(66) })},
			"10.0.0.1:50000>198.51.100.7:443 11/8 first_seen 0.99 established fin\n"},
		{"a segment with impossible times keeps nothing open for ever", []*flowv1.Flow{
			with(udp(p, q, 0, 1, 1), func(f *flowv1.Flow) { f.TimeFlowStartNs = 0 }), udp(p, q, 200_000, 200_000, 1)},
			"10.0.0.1:50000>10.0.0.2:50001 1/0 first_seen 0.80 unanswered idle\n10.0.0.1:50000>10.0.0.2:50001 1/0 first_seen 0.80 unanswered idle\n"},
		{"ping", []*flowv1.Flow{
			with(udp("10.0.0.9:0", "10.0.0.1:0", 0, 1, 2), func(f *flowv1.Flow) { f.Proto, f.IcmpType = 1, 0 }),
			with(udp("10.0.0.1:0", "10.0.0.9:0", 0, 1, 2), func(f *flowv1.Flow) { f.Proto, f.IcmpType = 1, 8 })},
			"10.0.0.1:0>10.0.0.9:0 2/2 icmp_type 0.98 established idle\n"},
		{"denied by the firewall", []*flowv1.Flow{with(tcp(c, s, 0, 0, 1, 0x02), func(f *flowv1.Flow) { f.FirewallEvent = 3 })},
			"10.0.0.1:50000>198.51.100.7:443 1/0 tcp_flags 0.99 denied idle\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := final(play(test.in)); got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
			if diff := cmp.Diff(play(test.in), playRestored(t, test.in), protocmp.Transform()); diff != "" {
				t.Errorf("a table restored before every tick says something else (-whole, +restored):\n%s", diff)
			}
		})
	}
}

// playRestored is play with a table that is put into a snapshot and restored
// before every tick.
func playRestored(t *testing.T, flows []*flowv1.Flow) (out []*flowv1.Biflow) {
	tb := New(Default())
	drive(tb, flows, func(b *flowv1.Biflow) { out = append(out, proto.Clone(b).(*flowv1.Biflow)) }, func() {
		snapshot := tb.AppendSnapshot(nil)
		*tb = *New(Default())
		if err := tb.Restore(snapshot); err != nil {
			t.Fatal(err)
		}
	})
	return out
}

// TestLargeVolumesAddUp: what no longer fits into 32 bits is told in full, and so is
// what is new in a version.
func TestLargeVolumesAddUp(t *testing.T) {
	const a, b, large = "10.0.0.1:50000", "10.0.0.2:443", 3 << 30
	flows := []*flowv1.Flow{
		with(tcp(a, b, 0, 1, large, 0x1b), func(f *flowv1.Flow) { f.Bytes = 1<<40 + 5 }),
		with(tcp(a, b, 65, 66, large, 0x1b), func(f *flowv1.Flow) { f.Bytes = 7 }),
		with(tcp(b, a, 65, 66, 1, 0x1b), func(f *flowv1.Flow) { f.Bytes = large }),
		with(tcp(b, a, 66, 67, 1, 0x1b), func(f *flowv1.Flow) { f.Bytes = large }),
	}
	for name, got := range map[string][]*flowv1.Biflow{"as it is": play(flows), "restored": playRestored(t, flows)} {
		last := got[len(got)-1]
		sent := [4]uint64{last.ClientBytes, last.ClientPackets, last.ServerBytes, last.ServerPackets}
		if want := [4]uint64{1<<40 + 12, 2 * large, 2 * large, 2}; sent != want {
			t.Errorf("%s: sent %d, want %d", name, sent, want)
		}
		var news [4]uint64
		for _, v := range got {
			for i, n := range [...]uint64{v.NewClientBytes, v.NewClientPackets, v.NewServerBytes, v.NewServerPackets} {
				news[i] += n
			}
		}
		if news != sent {
			t.Errorf("%s: %d was new in %d versions, want %d", name, news, len(got), sent)
		}
	}
}

// TestRatesMeet: counts of several sampling rates are told multiplied out; those of one
// as they were metered, and so is what is new.
func TestRatesMeet(t *testing.T) {
	const a, b = "10.0.0.1:50000", "10.0.0.2:443"
	at := func(rate uint64, f *flowv1.Flow) *flowv1.Flow {
		f.SamplingRate, f.SamplingKind = rate, flowv1.SamplingKind_SAMPLING_KIND_NONE
		if rate > 1 {
			f.SamplingKind = flowv1.SamplingKind_SAMPLING_KIND_PACKET
		}
		return f
	}
	f := func(name, want string, flows ...*flowv1.Flow) {
		t.Helper()
		for how, got := range map[string][]*flowv1.Biflow{"as it is": play(flows), "restored": playRestored(t, flows)} {
			var s strings.Builder
			for _, v := range got {
				fmt.Fprintf(&s, "%d/%d (+%d/%d) at %d\n", v.ClientPackets, v.ServerPackets, v.NewClientPackets, v.NewServerPackets, v.SamplingRate)
			}
			if s.String() != want {
				t.Errorf("%s, %s: told\n%swant\n%s", name, how, s.String(), want)
			}
		}
	}
	f("one rate", "5/0 (+5/0) at 100\n7/3 (+2/3) at 100\n7/3 (+0/0) at 100\n",
		at(100, tcp(a, b, 0, 1, 5, 0x1a)), at(100, tcp(a, b, 60, 70, 2, 0x18)), at(100, tcp(b, a, 60, 70, 3, 0x18)))
	f("each way by another", "5/0 (+5/0) at 100\n500/40 (+0/40) at 1\n500/40 (+0/0) at 1\n",
		at(100, tcp(a, b, 0, 1, 5, 0x1a)), at(1, tcp(b, a, 60, 70, 40, 0x18)))
	f("one way by two in turn", "5/0 (+5/0) at 1\n205/0 (+200/0) at 1\n211/0 (+6/0) at 1\n211/0 (+0/0) at 1\n",
		at(1, tcp(a, b, 0, 1, 5, 0x1a)), at(100, tcp(a, b, 60, 70, 2, 0x18)), at(1, tcp(a, b, 130, 131, 6, 0x18)))
	f("one that does not tell", "5/0 (+5/0) at 0\n7/0 (+2/0) at 1\n7/0 (+0/0) at 1\n",
		at(0, tcp(a, b, 0, 1, 5, 0x1a)), at(1, tcp(a, b, 60, 70, 2, 0x18)))
}

// TestTranslationAndReporters: the tuple after translation is linked to its side,
// whichever half tells it, and everyone who reported is named once.
func TestTranslationAndReporters(t *testing.T) {
	there := with(tcp("10.0.0.1:50000", "198.51.100.7:443", 0, 5, 10, 0x1b), func(f *flowv1.Flow) {
		f.PostSrcAddr, f.PostSrcPort = []byte{203, 0, 113, 5}, 61000
		f.Reporters = []*flowv1.Reporter{{SamplerAddress: []byte{192, 0, 2, 9}}, {SamplerAddress: []byte{192, 0, 2, 1}, Direction: flowv1.Direction_DIRECTION_EGRESS}}
	})
	back := with(tcp("198.51.100.7:443", "10.0.0.1:50000", 0.02, 5, 8, 0x1b), func(f *flowv1.Flow) {
		f.PostSrcAddr, f.PostSrcPort = []byte{172, 16, 0, 7}, 8443
		f.Reporters = there.Reporters[:1]
	})
	out := play([]*flowv1.Flow{there, back})
	last := out[len(out)-1]
	if !bytes.Equal(last.PostClientAddr, []byte{203, 0, 113, 5}) || last.PostClientPort != 61000 ||
		!bytes.Equal(last.PostServerAddr, []byte{172, 16, 0, 7}) || last.PostServerPort != 8443 {
		t.Errorf("translations are %v:%d and %v:%d", last.PostClientAddr, last.PostClientPort, last.PostServerAddr, last.PostServerPort)
	}
	if len(last.Reporters) != 3 {
		t.Errorf("reporters are %v", last.Reporters)
	}
}

// TestADenialByAReporterCounts: what one of two observation points dropped was
// denied, whichever of them is the authority, and however late it says so.
func TestADenialByAReporterCounts(t *testing.T) {
	for _, r := range []*flowv1.Reporter{{FirewallEvent: 3}, {ForwardingStatus: 130}} {
		r.SamplerAddress = []byte{192, 0, 2, 9}
		tell := func(f *flowv1.Flow) { f.Reporters = []*flowv1.Reporter{r} }
		first := tcp("10.0.0.1:50000", "198.51.100.7:443", 0, 0, 1, 0x02)
		late := with(tcp("10.0.0.1:50000", "198.51.100.7:443", 3, 3, 0, 0), func(f *flowv1.Flow) { f.Late, f.Bytes = true, 0 })
		for _, flows := range [][]*flowv1.Flow{{with(proto.Clone(first).(*flowv1.Flow), tell)}, {first, with(late, tell)}} {
			out := play(flows)
			if got := out[len(out)-1].ConnState; got != flowv1.ConnState_CONN_STATE_DENIED {
				t.Errorf("%v: the conversation is %v, want denied", flows, got)
			}
		}
	}
}

// TestLateReporters: a late report adds reporters to the open conversation, and
// neither opens one nor counts as a segment.
func TestLateReporters(t *testing.T) {
	late := func(at float64) *flowv1.Flow {
		return with(tcp("10.0.0.1:50000", "198.51.100.7:443", at, at, 0, 0x02), func(f *flowv1.Flow) {
			f.Late, f.Bytes = true, 0
			f.Reporters = []*flowv1.Reporter{{SamplerAddress: []byte{192, 0, 2, 9}}}
		})
	}
	out := play([]*flowv1.Flow{tcp("10.0.0.1:50000", "198.51.100.7:443", 0, 0, 1, 0x02), late(3), late(1000)})
	last := out[len(out)-1]
	if last.FlowId != out[0].FlowId || last.Segments != 1 || len(last.Reporters) != 2 || last.CloseReason == 0 {
		t.Errorf("the last of %d versions is %v", len(out), last)
	}
}

// TestALateReportCompletes: what a firewall tells after the hold is known from then
// on, and takes nothing back.
func TestALateReportCompletes(t *testing.T) {
	late := func(at float64, user, rule string) *flowv1.Flow {
		return with(tcp("10.0.0.1:50000", "198.51.100.7:443", at, at, 0, 0x02), func(f *flowv1.Flow) {
			f.Late, f.Bytes, f.User, f.FirewallRule = true, 0, user, rule
			f.PostSrcAddr, f.PostSrcPort = []byte{203, 0, 113, 9}, 40001
			f.Reporters = []*flowv1.Reporter{{SamplerAddress: []byte{192, 0, 2, 1}}}
		})
	}
	first := with(tcp("10.0.0.1:50000", "198.51.100.7:443", 0, 0, 1, 0x02), func(f *flowv1.Flow) { f.FirewallRule = "permit" })
	out := play([]*flowv1.Flow{first, late(3, "alice", "other"), late(4, "bob", "")})
	last := out[len(out)-1]
	if last.User != "alice" || last.FirewallRule != "permit" || last.PostClientPort != 40001 || last.Segments != 1 {
		t.Errorf("the last of %d versions is %v", len(out), last)
	}
}

func TestVersionsRiseAndAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type sum struct {
			version uint32
			emitted uint64
			news    uint64
			closed  bool
		}
		seen := make(map[uint64]*sum)
		flows := drawFlows(t)
		var total uint64
		for _, b := range play(flows) {
			s := seen[b.FlowId]
			if s == nil {
				s = new(sum)
				seen[b.FlowId] = s
			}
			if s.closed {
				t.Fatal("a version after the last")
			}
			if b.Version != s.version+1 {
				t.Fatalf("version %d follows %d", b.Version, s.version)
			}
			if s.version > 0 && b.CloseReason == 0 && b.TimeUpdatedNs-s.emitted < uint64(time.Minute) {
				t.Fatal("updates come more often than once a minute")
			}
			s.version, s.emitted, s.closed = b.Version, b.TimeUpdatedNs, b.CloseReason != 0
			s.news += b.NewClientBytes + b.NewServerBytes
			if s.news != b.ClientBytes+b.ServerBytes {
				t.Fatal("new counts do not add up to the cumulative ones")
			}
			if s.closed {
				total += b.ClientPackets + b.ServerPackets
			}
		}
		var want uint64
		for _, f := range flows {
			want += f.Packets
		}
		for id, s := range seen {
			if !s.closed {
				t.Fatalf("conversation %d was never closed", id)
			}
		}
		if total != want {
			t.Fatalf("conversations hold %d packets of %d", total, want)
		}
	})
}

// drawFlows makes flows of a handful of conversations with every kind of flag and gap.
func drawFlows(t *rapid.T) (flows []*flowv1.Flow) {
	at := 0.0
	for i := range rapid.IntRange(1, 40).Draw(t, "flows") {
		at += rapid.Float64Range(0, 100).Draw(t, "gap")
		c := fmt.Sprintf("10.0.0.1:%d", 50000+rapid.IntRange(0, 2).Draw(t, "port"))
		s := "198.51.100.7:443"
		if rapid.Bool().Draw(t, "reverse") {
			c, s = s, c
		}
		f := tcp(c, s, at, at+rapid.Float64Range(0, 90).Draw(t, "duration"), rapid.Uint64Range(1, 50).Draw(t, "packets"),
			rapid.SampledFrom([]uint32{0, 0x02, 0x12, 0x14, 0x18, 0x1b, 0x04}).Draw(t, "flags"))
		f.RecordId = uint64(i)
		flows = append(flows, f)
	}
	return flows
}

func TestRestoreContinuesByteForByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		flows := drawFlows(t)
		cut := rapid.IntRange(0, len(flows)).Draw(t, "cut")
		whole, parts := New(Default()), New(Default())
		run := func(tb *Table, f *flowv1.Flow, last, now eventtime.Tick) (out []byte) {
			step := func(tick eventtime.Tick, in []*flowv1.Flow) {
				var bs []*flowv1.Biflow
				tb.Tick(tick, in, func(b *flowv1.Biflow) { bs = append(bs, proto.Clone(b).(*flowv1.Biflow)) })
				flow.SortBiflows(bs)
				for _, b := range bs {
					out = flow.AppendDelimited(out, b)
				}
			}
			for tb.NextTimer() < now {
				last = max(tb.NextTimer(), last+1)
				step(last, nil)
			}
			step(now, []*flowv1.Flow{f})
			return out
		}
		last := eventtime.TickOf(second(0))
		for i, f := range flows {
			if i == cut {
				fresh := New(Default())
				if err := fresh.Restore(parts.AppendSnapshot(nil)); err != nil {
					t.Fatal(err)
				}
				parts = fresh
			}
			now := max(eventtime.TickOf(f.TimeReceivedNs), last+1)
			if want, got := run(whole, f, last, now), run(parts, f, last, now); !bytes.Equal(want, got) {
				t.Fatal("a restored table goes on differently")
			}
			last = now
		}
	})
}

func TestMemoryPressureClosesAndCounts(t *testing.T) {
	cfg := Default()
	cfg.MaxConversations = 1000
	tb := New(cfg)
	evicted := 0
	for i := range 3000 {
		f := udp(fmt.Sprintf("10.0.0.1:%d", 1024+i), "10.0.0.53:53", float64(i)/1000, float64(i)/1000, 1)
		tb.Tick(eventtime.TickOf(f.TimeReceivedNs), []*flowv1.Flow{f}, func(b *flowv1.Biflow) {
			if b.CloseReason == flowv1.CloseReason_CLOSE_REASON_EVICTED {
				evicted++
			}
		})
	}
	if s := tb.Stats(); s.Open != 1000 || evicted != 2000 || s.Evicted != 2000 {
		t.Errorf("%d open, %d evicted, want 1000 and 2000", s.Open, evicted)
	}
}

func FuzzRestore(f *testing.F) {
	tb := New(Default())
	tb.Tick(1, []*flowv1.Flow{tcp("10.0.0.1:1", "10.0.0.2:2", 0, 1, 1, 2)}, func(*flowv1.Biflow) {})
	f.Add(tb.AppendSnapshot(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		tb := New(Default())
		if tb.Restore(b) == nil {
			tb.End(1, func(*flowv1.Biflow) {})
		}
	})
}
