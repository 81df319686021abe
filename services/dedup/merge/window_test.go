package merge

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/netset"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

func TestPurity(t *testing.T) { testkit.Pure(t, ".") }

// second is a time in ns, counted from a fixed start.
func second(s float64) uint64 { return uint64(1_700_000_000e9 + s*1e9) }

// report is a flow of one conversation direction by exporter 192.0.2.<n>,
// received at its end.
func report(exporter int, start, end float64, count uint64) *flowv1.Flow {
	return &flowv1.Flow{
		Type: flowv1.FlowType_FLOW_TYPE_IPFIX, Proto: 6,
		SrcAddr: []byte{10, 0, 0, 1}, DstAddr: []byte{198, 51, 100, 7}, SrcPort: 50000, DstPort: 443,
		SamplerAddress: []byte{192, 0, 2, byte(exporter)}, InIf: uint32(exporter),
		TimeFlowStartNs: second(start), TimeFlowEndNs: second(end), TimeReceivedNs: second(end),
		Bytes: count * 100, Packets: count, RecordId: uint64(exporter)<<48 | uint64(end*1000),
	}
}

func clone(f *flowv1.Flow) *flowv1.Flow { return proto.Clone(f).(*flowv1.Flow) }

// play runs reports through a window, each in the tick of its reception, and
// returns what came out as lines.
func play(cfg Config, reports []*flowv1.Flow) []*flowv1.Flow {
	w := New(cfg)
	var out []*flowv1.Flow
	emit := func(f *flowv1.Flow) { out = append(out, clone(f)) }
	drive(w, reports, emit)
	return out
}

// playRestored is play with a window that is put into a snapshot and restored
// before every tick.
func playRestored(t *testing.T, cfg Config, reports []*flowv1.Flow) (out []*flowv1.Flow) {
	w := New(cfg)
	drive(w, reports, func(f *flowv1.Flow) { out = append(out, clone(f)) }, func() {
		snapshot := w.AppendSnapshot(nil)
		*w = *New(cfg)
		if err := w.Restore(snapshot); err != nil {
			t.Fatal(err)
		}
	})
	return out
}

// drive feeds a window tick by tick, as a stage does; before every tick with
// reports it calls each.
func drive(w *Window, reports []*flowv1.Flow, emit func(*flowv1.Flow), each ...func()) {
	reports = slices.Clone(reports)
	flow.SortRaw(reports)
	last := eventtime.Tick(0)
	for len(reports) > 0 {
		t := eventtime.TickOf(reports[0].TimeReceivedNs)
		for w.NextTimer() < t {
			last = max(w.NextTimer(), last+1)
			w.Tick(last, nil, emit)
		}
		for _, f := range each {
			f()
		}
		n := 0
		for n < len(reports) && eventtime.TickOf(reports[n].TimeReceivedNs) == t {
			n++
		}
		w.Tick(t, reports[:n], emit)
		reports, last = reports[n:], t
	}
	w.End(last+1, emit)
}

func lines(fs []*flowv1.Flow) string {
	var b strings.Builder
	for _, f := range fs {
		fmt.Fprintf(&b, "%d: %d packets %g-%g %s", f.SamplerAddress[3], f.Packets,
			float64(f.TimeFlowStartNs-second(0))/1e9, float64(f.TimeFlowEndNs-second(0))/1e9,
			strings.ToLower(strings.TrimPrefix(f.Authority.String(), "AUTHORITY_")))
		if f.Late {
			b.WriteString(" late")
		}
		for _, r := range f.Reporters {
			fmt.Fprintf(&b, " +%d(%d)", r.SamplerAddress[3], r.Packets)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestWindow(t *testing.T) {
	sampled := func(f *flowv1.Flow, rate uint64) *flowv1.Flow {
		f.SamplingRate, f.SamplingKind = rate, flowv1.SamplingKind_SAMPLING_KIND_PACKET
		return f
	}
	late := func(f *flowv1.Flow, received float64) *flowv1.Flow {
		f.TimeReceivedNs = second(received)
		return f
	}
	egress := func(f *flowv1.Flow) *flowv1.Flow {
		f.Direction = flowv1.Direction_DIRECTION_EGRESS
		return f
	}
	timeouts := func(f *flowv1.Flow, active uint32) *flowv1.Flow {
		f.ActiveTimeoutMs, f.InactiveTimeoutMs = active*1000, 15_000
		return f
	}
	manual := Default()
	manual.Policy = Manual
	manual.Authorities = []Match{{Exporter: netset.MustParse("192.0.2.3/32")[0]}}
	first := Default()
	first.Policy = First

	for _, c := range []struct {
		name string
		cfg  Config
		in   []*flowv1.Flow
		want string
	}{
		{"one exporter alone", Default(),
			[]*flowv1.Flow{report(1, 0, 5, 10)},
			"1: 10 packets 0-5 sole\n"},
		{"three exporters, one lost packets", Default(),
			[]*flowv1.Flow{report(1, 0, 5, 9), late(report(2, 0, 5, 10), 6), late(report(3, 0, 5, 10), 7)},
			"2: 10 packets 0-5 max +1(9) +3(10)\n"},
		{"one that sees every packet takes over from a sampler", Default(),
			[]*flowv1.Flow{sampled(report(1, 0, 2, 1), 100), report(2, 0, 60, 600), sampled(report(1, 61, 61, 1), 100), report(2, 60, 120, 600)},
			"1: 1 packets 0-2 sole\n2: 580 packets 0-60 failover +1(1)\n2: 600 packets 60-120 failover\n"},
		{"not from one that turns out to sample no more", Default(),
			[]*flowv1.Flow{sampled(report(1, 0, 2, 1), 100), report(1, 3, 20, 20), report(2, 0, 60, 60), report(1, 21, 60, 40)},
			"1: 1 packets 0-2 sole\n1: 20 packets 3-20 sole\n1: 40 packets 21-60 sole\n1: 0 packets 0-60 sole late +2(60)\n"},
		{"nor where the first to come counts", first,
			[]*flowv1.Flow{sampled(report(1, 0, 2, 1), 100), report(2, 0, 60, 600), sampled(report(1, 61, 61, 1), 100)},
			"1: 1 packets 0-2 sole\n1: 1 packets 61-61 sole +2(600)\n"},
		{"nor does a sampler take over in a pause of one that sees every packet", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), late(sampled(report(2, 70, 71, 1), 100), 72), late(report(1, 61, 119, 59), 120)},
			"1: 60 packets 0-60 sole\n1: 59 packets 61-119 sole +2(1)\n"},
		{"but once that has failed", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), late(sampled(report(2, 70, 71, 1), 100), 72), late(sampled(report(2, 80, 140, 5), 100), 193)},
			"1: 60 packets 0-60 sole\n2: 1 packets 70-71 failover\n2: 5 packets 80-140 failover\n"},
		{"first come", first,
			[]*flowv1.Flow{report(1, 0, 5, 9), late(report(2, 0, 5, 10), 6)},
			"1: 9 packets 0-5 first +2(10)\n"},
		{"the list decides", manual,
			[]*flowv1.Flow{report(1, 0, 5, 10), late(report(3, 0, 5, 2), 6)},
			"3: 2 packets 0-5 manual +1(10)\n"},
		{"a sampled exporter that nobody designated does not count", manual,
			[]*flowv1.Flow{sampled(report(1, 0, 5, 2), 1000), late(sampled(report(2, 0, 5, 3), 1000), 6),
				late(sampled(report(3, 30, 35, 4), 1000), 300), late(sampled(report(1, 30, 36, 4), 1000), 301)},
			"1: 0 packets 0-5 unspecified late +1(2)\n2: 0 packets 0-5 unspecified late +2(3)\n" +
				"3: 4 packets 30-35 manual +1(4)\n"},
		{"another counts for a time that the authority leaves out", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), report(2, 62, 118, 59), report(1, 121, 180, 60), report(2, 182, 238, 58), report(1, 240, 300, 60)},
			"1: 60 packets 0-60 sole\n2: 59 packets 62-118 failover\n1: 60 packets 121-180 sole\n2: 58 packets 182-238 failover\n1: 60 packets 240-300 sole\n"},
		{"but what it says of that within the hold, after all, counts", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), report(2, 62, 119, 50), report(1, 121, 180, 60), late(report(1, 61, 120, 59), 181)},
			"1: 60 packets 0-60 sole\n1: 60 packets 121-180 sole\n1: 59 packets 61-120 sole +2(50)\n"},
		{"one of them, the others being its reporters; what comes of the authority after all does not count again", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), report(2, 62, 119, 50), late(report(3, 61, 117, 59), 119), report(1, 120, 180, 60), late(report(1, 61, 117, 59), 191)},
			"1: 60 packets 0-60 sole\n3: 59 packets 61-117 failover +2(50)\n1: 60 packets 120-180 sole\n1: 0 packets 61-117 sole\n"},
		{"not where it may be the clock of the other", Default(),
			[]*flowv1.Flow{report(1, 10, 11, 2), late(report(2, 7, 8, 2), 12), report(2, 27, 28, 2), report(1, 30, 31, 2)},
			"1: 2 packets 10-11 max +2(2)\n1: 2 packets 30-31 max +2(2)\n"},
		{"nor where it may have seen the packets at either end of a pause", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), report(2, 60.5, 119.5, 2), report(1, 120, 180, 60)},
			"1: 60 packets 0-60 sole\n1: 60 packets 120-180 sole +2(2)\n"},
		{"also where traffic is dense and all cut their reports at the same instants", Default(),
			[]*flowv1.Flow{report(1, 0, 59.9, 600), report(2, 60, 119.9, 600), report(1, 120, 179.9, 600)},
			"1: 600 packets 0-59.9 sole\n2: 600 packets 60-119.9 failover\n1: 600 packets 120-179.9 sole\n"},
		{"but not again for what it shares with the authority", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), report(2, 50, 110, 60), report(1, 120, 180, 60), report(2, 190, 250, 60), report(1, 240, 255, 15)},
			"1: 60 packets 0-60 sole\n2: 50 packets 50-110 failover\n1: 60 packets 120-180 sole\n2: 60 packets 190-250 failover\n1: 5 packets 240-255 sole\n"},
		{"several, one after the other", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), report(2, 62, 118, 56), report(3, 121, 178, 57), report(1, 181, 230, 49)},
			"1: 60 packets 0-60 sole\n2: 56 packets 62-118 failover\n3: 57 packets 121-178 failover\n1: 49 packets 181-230 sole\n"},
		{"where dense traffic reaches across, from an exporter whose inactive timeout is much shorter than the gap", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), timeouts(report(2, 50, 130, 80), 1800), report(1, 120, 180, 60)},
			"1: 60 packets 0-60 sole\n2: 70 packets 50-130 failover\n1: 50 packets 120-180 sole\n"},
		{"but not from one that may have waited as long", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), timeouts(report(2, 50, 97, 47), 1800), report(1, 90, 130, 40)},
			"1: 60 packets 0-60 sole\n1: 40 packets 90-130 sole +2(47)\n"},
		{"nor where traffic is not dense, and a pause may have been overlooked", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), timeouts(report(2, 50, 130, 30), 1800), report(1, 120, 180, 60)},
			"1: 60 packets 0-60 sole\n1: 60 packets 120-180 sole +2(30)\n"},
		{"one that may have seen what is counted, by another clock, does not take over before one that has not", Default(),
			[]*flowv1.Flow{report(1, 0, 1, 4), report(3, 50, 51, 2), report(2, 2, 57, 10)},
			"1: 4 packets 0-1 sole\n3: 2 packets 50-51 failover +2(10)\n"},
		{"and for what lies before the reports of the one that takes over", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), report(2, 62, 118, 56), report(3, 121, 178, 57)},
			"1: 60 packets 0-60 sole\n2: 56 packets 62-118 failover\n3: 57 packets 121-178 failover\n"},
		{"not where it reaches across, and may be of what the authority has on either side", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), report(2, 50, 126, 16), report(1, 120, 180, 60)},
			"1: 60 packets 0-60 sole\n1: 60 packets 120-180 sole +2(16)\n"},
		{"nor what is sampled", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), sampled(report(2, 62, 117, 1), 100), report(1, 120, 180, 60)},
			"1: 60 packets 0-60 sole\n1: 60 packets 120-180 sole +2(1)\n"},
		{"nor where the authority sampled before", first,
			[]*flowv1.Flow{sampled(report(1, 0, 60, 1), 100), report(2, 62, 117, 56), report(1, 120, 180, 60)},
			"1: 1 packets 0-60 sole\n1: 60 packets 120-180 sole +2(56)\n"},
		{"the next segment of another does not end the wait for the authority", Default(),
			[]*flowv1.Flow{timeouts(report(1, 0, 60, 60), 300), timeouts(report(2, 0, 59, 59), 60),
				timeouts(report(2, 59, 118, 59), 60), timeouts(report(2, 120, 179, 59), 60), timeouts(report(1, 60, 181, 130), 300)},
			"1: 60 packets 0-60 max +2(59)\n1: 130 packets 60-181 max +2(59) +2(59)\n"},
		{"a gap does not excuse the authority from what it owes", Default(),
			[]*flowv1.Flow{timeouts(report(1, 0, 60, 60), 300), timeouts(report(2, 0, 118, 118), 60),
				late(timeouts(report(1, 60, 80, 20), 300), 119), timeouts(report(2, 150, 179, 29), 60), timeouts(report(1, 81, 181, 98), 300)},
			"1: 60 packets 0-60 sole\n1: 20 packets 60-80 sole +2(118)\n1: 98 packets 81-181 sole +2(29)\n"},
		{"nor does a gap after a report that went beyond by less than the slack", Default(),
			[]*flowv1.Flow{timeouts(report(1, 0, 60, 60), 300), timeouts(late(report(2, 0, 63, 62), 80), 60),
				late(report(2, 80, 80, 1), 96), timeouts(late(report(1, 62, 80, 3), 110), 300)},
			"1: 60 packets 0-60 sole\n1: 0 packets 0-63 sole late +2(62)\n1: 3 packets 62-80 sole +2(1)\n"},
		{"of those who go on, one that shares no time takes over", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), late(report(2, 70, 130, 40), 131), late(report(3, 0, 130, 300), 132)},
			"1: 60 packets 0-60 sole\n2: 40 packets 70-130 failover +3(300)\n"},
		{"what lies ahead of the next report of the authority waits on", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), late(report(2, 121, 135, 15), 136), late(report(1, 61, 119, 59), 140)},
			"1: 60 packets 0-60 sole\n1: 59 packets 61-119 sole\n2: 15 packets 121-135 failover\n"},
		{"until the authority has reported that, too", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), late(report(2, 121, 135, 15), 136), late(report(1, 61, 119, 59), 140), late(report(1, 121, 136, 16), 142)},
			"1: 60 packets 0-60 sole\n1: 59 packets 61-119 sole\n1: 16 packets 121-136 sole +2(15)\n"},
		{"but of the first reports nothing does, however far clocks are off", Default(),
			[]*flowv1.Flow{report(1, 0, 1, 2), late(report(2, 11, 12, 2), 1.5)},
			"1: 2 packets 0-1 max +2(2)\n"},
		{"a sampled exporter never wins by volume", Default(),
			[]*flowv1.Flow{sampled(report(1, 0, 5, 1000), 100), late(report(2, 0, 5, 10), 6)},
			"2: 10 packets 0-5 max +1(1000)\n"},
		{"among sampled ones the lowest rate", Default(),
			[]*flowv1.Flow{sampled(report(1, 0, 5, 9), 1000), late(sampled(report(2, 0, 5, 2), 100), 6)},
			"2: 2 packets 0-5 max +1(9)\n"},
		{"segments stick to their authority", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), late(report(2, 0, 60, 61), 61),
				report(1, 60, 120, 70), late(report(2, 60, 120, 60), 121)},
			"2: 61 packets 0-60 max +1(60)\n2: 60 packets 60-120 max +1(70)\n"},
		{"a late report adds a reporter and no volume", Default(),
			[]*flowv1.Flow{report(1, 0, 5, 10), late(report(2, 0, 5, 10), 300)},
			"1: 10 packets 0-5 sole\n1: 0 packets 0-5 sole late +2(10)\n"},
		{"the authority dies, another goes on", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), late(report(2, 0, 60, 60), 61),
				late(report(2, 60, 120, 60), 121), late(report(2, 120, 180, 60), 181)},
			"1: 60 packets 0-60 max +2(60)\n2: 60 packets 60-120 failover\n2: 60 packets 120-180 failover\n"},
		{"a straddling report counts by its uncovered share", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), late(report(2, 0, 120, 120), 121)},
			"1: 60 packets 0-60 sole\n2: 60 packets 0-120 failover\n"},
		{"nor does one that shares less than the slack", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), late(report(2, 70, 72, 2), 80), late(report(3, 57, 110, 300), 81)},
			"1: 60 packets 0-60 sole\n2: 2 packets 70-72 failover +3(300)\n"},
		{"what the former authority counted is not counted when it comes back", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), late(report(2, 0, 120, 120), 121), late(report(2, 30, 130, 100), 300)},
			"1: 60 packets 0-60 sole\n2: 60 packets 0-120 failover\n2: 70 packets 30-130 failover\n"},
		{"a flow is remembered for the late horizon", Default(),
			[]*flowv1.Flow{report(1, 0, 5, 10), late(report(2, 0, 5, 10), 2000)},
			"1: 10 packets 0-5 sole\n1: 0 packets 0-5 sole late +2(10)\n"},
		{"unequal active timeouts", Default(),
			[]*flowv1.Flow{report(1, 0, 60, 60), report(1, 60, 120, 60), report(1, 120, 180, 60),
				late(report(2, 0, 180, 180), 180.2)},
			"1: 60 packets 0-60 sole\n1: 60 packets 60-120 sole\n1: 60 packets 120-180 sole\n1: 0 packets 0-180 sole late +2(180)\n"},
		{"ingress and egress of one box are two views", Default(),
			[]*flowv1.Flow{report(1, 0, 5, 10), egress(report(1, 0, 5, 10))},
			"1: 10 packets 0-5 max +1(10)\n"},
		{"two line cards of one box are summed", Default(),
			[]*flowv1.Flow{report(1, 0, 5, 10), func() *flowv1.Flow {
				f := report(1, 0, 5, 7)
				f.ObservationDomainId, f.RecordId = 2, 99
				return f
			}()},
			"1: 7 packets 0-5 sole\n1: 10 packets 0-5 sole\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var again []*flowv1.Flow // a window writes into the reports that it passes on
			for _, f := range c.in {
				again = append(again, clone(f))
			}
			if got := lines(play(c.cfg, c.in)); got != c.want {
				t.Errorf("got\n%swant\n%s", got, c.want)
			}
			if got := lines(playRestored(t, c.cfg, again)); got != c.want {
				t.Errorf("restored before every tick: got\n%swant\n%s", got, c.want)
			}
		})
	}
}

// drawReports makes the reports of up to four exporters with their own active
// timeouts on one lossless conversation, one packet a second.
func drawReports(t *rapid.T) (reports []*flowv1.Flow, packets uint64) {
	packets = uint64(rapid.IntRange(1, 900).Draw(t, "packets"))
	for e := range rapid.IntRange(1, 4).Draw(t, "exporters") {
		active := uint64(rapid.SampledFrom([]int{30, 60, 300, 1800}).Draw(t, "active"))
		delay := rapid.Float64Range(0, 20).Draw(t, "delay")
		for at := uint64(0); at < packets; at += active {
			n := min(active, packets-at)
			f := report(e+1, float64(at), float64(at+n-1), n)
			f.TimeReceivedNs += uint64(delay * 1e9)
			reports = append(reports, f)
		}
	}
	return reports, packets
}

func TestEveryReportIsInExactlyOneOutput(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reports, _ := drawReports(t)
		seen := make(map[uint64]int)
		for _, f := range play(Default(), reports) {
			if !f.Late {
				seen[f.RecordId]++
			}
			for _, r := range f.Reporters {
				seen[r.RecordId]++
			}
		}
		for _, f := range reports {
			if seen[f.RecordId] != 1 {
				t.Fatalf("report %x is in %d outputs", f.RecordId, seen[f.RecordId])
			}
		}
	})
}

func TestVolumeIsCountedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reports, packets := drawReports(t)
		var sum uint64
		for _, f := range play(Default(), reports) {
			sum += f.Packets
		}
		// Exporters agree, so any authority gives the truth; a failover may
		// lose up to a packet of rounding per border.
		slack := packets/30 + 1
		if sum > packets+slack || sum+slack < packets {
			t.Fatalf("counted %d of %d packets", sum, packets)
		}
	})
}

func TestOrderWithinTheHoldChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 5).Draw(t, "exporters")
		counts := rapid.SliceOfNDistinct(rapid.Uint64Range(1, 1000), n, n, rapid.ID).Draw(t, "counts")
		total := func(order []int) (sum uint64) {
			var in []*flowv1.Flow
			for at, e := range order {
				f := report(e+1, 0, 5, counts[e])
				f.TimeReceivedNs = second(5 + float64(at))
				in = append(in, f)
			}
			for _, f := range play(Default(), in) {
				sum += f.Packets
			}
			return sum
		}
		order := rapid.Permutation(seq(n)).Draw(t, "order")
		if got, want := total(order), slices.Max(counts); got != want {
			t.Fatalf("order %v counts %d, the largest is %d", order, got, want)
		}
	})
}

func seq(n int) (s []int) {
	for i := range n {
		s = append(s, i)
	}
	return s
}

func TestRestoreContinuesByteForByte(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		reports, _ := drawReports(t)
		for i := range reports { // several conversations
			reports[i].SrcPort += uint32(rapid.IntRange(0, 3).Draw(t, "port"))
		}
		flow.SortRaw(reports)
		cut := rapid.IntRange(0, len(reports)).Draw(t, "cut")
		whole, parts := New(Default()), New(Default())
		var want, got []byte
		emitWant := func(f *flowv1.Flow) { want = flow.AppendDelimited(want, f) }
		emitGot := func(f *flowv1.Flow) { got = flow.AppendDelimited(got, f) }
		for i, f := range reports {
			if i == cut {
				fresh := New(Default())
				if err := fresh.Restore(parts.AppendSnapshot(nil)); err != nil {
					t.Fatal(err)
				}
				parts = fresh
			}
			tick := eventtime.TickOf(f.TimeReceivedNs) + eventtime.Tick(i)
			whole.Tick(tick, []*flowv1.Flow{clone(f)}, emitWant)
			parts.Tick(tick, []*flowv1.Flow{clone(f)}, emitGot)
		}
		whole.End(eventtime.Never-1, emitWant)
		parts.End(eventtime.Never-1, emitGot)
		if !bytes.Equal(sortBatch(want), sortBatch(got)) {
			t.Fatal("a restored window goes on differently")
		}
	})
}

// sortBatch puts a batch into the order in which a stage sends it.
func sortBatch(b []byte) (out []byte) {
	var flows []*flowv1.Flow
	for len(b) > 0 {
		msg, rest, err := flow.Next(b)
		f := new(flowv1.Flow)
		if err != nil || f.UnmarshalVT(msg) != nil {
			panic("BUG: a window says what is no flow")
		}
		flows, b = append(flows, f), rest
	}
	flow.SortDeduped(flows)
	for _, f := range flows {
		out = flow.AppendDelimited(out, f)
	}
	return out
}

func TestFlowsAreForgottenAndBounded(t *testing.T) {
	cfg := Default()
	cfg.MaxFlows = 1000
	w := New(cfg)
	none := func(*flowv1.Flow) {}
	tick := eventtime.TickOf(second(0))
	for i := range 5000 {
		f := report(1, float64(i), float64(i), 1)
		f.SrcPort = uint32(i)
		tick = eventtime.TickOf(f.TimeReceivedNs)
		w.Tick(tick, []*flowv1.Flow{f}, none)
	}
	if s := w.Stats(); s.Flows > 1000 || s.Evicted == 0 {
		t.Errorf("%d flows remembered, %d evicted; the bound is 1000", s.Flows, s.Evicted)
	}
	for w.NextTimer() < tick.After(time.Hour) {
		w.Tick(w.NextTimer(), nil, none)
	}
	if s := w.Stats(); s.Flows != 0 {
		t.Errorf("%d flows are remembered an hour after the last report", s.Flows)
	}
}

// What waits is bounded too, however much comes within the hold; every report still
// counts once, whoever comes too late for a decision that was made early is a reporter.
func TestWhatWaitsIsBounded(t *testing.T) {
	cfg := Default()
	cfg.MaxWaiting = 1000
	w := New(cfg)
	bytes := uint64(0)
	emit := func(f *flowv1.Flow) { bytes += f.Bytes }
	for i := range 5000 {
		var in []*flowv1.Flow
		for exporter := range 2 {
			f := report(exporter+1, float64(i)/1000, float64(i)/1000, 10)
			f.SrcPort, f.RecordId = uint32(i), uint64(2*i+exporter)
			in = append(in, f)
		}
		w.Tick(eventtime.TickOf(in[0].TimeReceivedNs), in, emit)
		if n := w.Stats().Waiting; n > 1000 {
			t.Fatalf("%d reports wait", n)
		}
	}
	w.End(0, emit)
	if s := w.Stats(); bytes != 5_000_000 || s.Counted != 5000 || s.Hurried == 0 || s.Waiting != 0 {
		t.Errorf("%d bytes are counted, %+v", bytes, s)
	}
}

func FuzzRestore(f *testing.F) {
	w := New(Default())
	w.Tick(1, []*flowv1.Flow{report(1, 0, 5, 10)}, func(*flowv1.Flow) {})
	f.Add(w.AppendSnapshot(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := New(Default())
		if w.Restore(b) == nil {
			w.End(1, func(*flowv1.Flow) {})
		}
	})
}

// Attempts at a closed port that are made again at once would look like one, were all
// of them told before the first refusal.
func TestARefusalIsDecidedWithWhatItRefuses(t *testing.T) {
	const syn, reset = 0x02, 0x14
	asks := func(start, received float64) *flowv1.Flow {
		f := report(1, start, start, 1)
		f.TcpFlags, f.TimeReceivedNs, f.RecordId = syn, second(received), uint64(received*1000)
		return f
	}
	refuses := func(start, received float64, flags uint32) *flowv1.Flow {
		f := asks(start, received)
		f.SrcAddr, f.DstAddr, f.SrcPort, f.DstPort, f.TcpFlags = f.DstAddr, f.SrcAddr, f.DstPort, f.SrcPort, flags
		return f
	}
	for name, c := range map[string]struct {
		reports []*flowv1.Flow
		want    []float64 // when they are told, by the order of their records
	}{
		"with it":               {[]*flowv1.Flow{asks(0, 1), asks(0.5, 1), refuses(0, 2, reset), refuses(0.5, 2, reset)}, []float64{11, 11, 11, 11}},
		"any other answer":      {[]*flowv1.Flow{asks(0, 1), refuses(0, 2, syn|0x10)}, []float64{11, 12}},
		"half a hold at least":  {[]*flowv1.Flow{asks(0, 1), refuses(0, 8, reset)}, []float64{11, 13}},
		"of what was told":      {[]*flowv1.Flow{asks(0, 1), refuses(0, 12, reset)}, []float64{11, 22}},
		"what nobody attempted": {[]*flowv1.Flow{refuses(0, 1, reset)}, []float64{11}},
	} {
		t.Run(name, func(t *testing.T) {
			w := New(Default())
			var got []float64
			last := report(2, 60, 60, 1) // so that time goes on
			drive(w, append(c.reports, last), func(*flowv1.Flow) { got = append(got, float64(w.now.Ns()-second(0))/1e9) })
			if got = got[:len(got)-1]; !slices.Equal(got, c.want) {
				t.Errorf("told at %v, want %v", got, c.want)
			}
		})
	}
}
