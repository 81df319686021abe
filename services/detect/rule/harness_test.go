package rule

import (
	"encoding/json"
	"net/netip"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// epoch is when the tests' timelines start: 2026-01-01 00:00 UTC.
var epoch = uint64(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())

// at is a time on the tests' timeline.
func at(d time.Duration) uint64 { return epoch + uint64(d) }

func wire(s string) []byte {
	a := netip.MustParseAddr(s)
	return a.AsSlice()
}

const (
	established = flowv1.ConnState_CONN_STATE_ESTABLISHED
	rejected    = flowv1.ConnState_CONN_STATE_REJECTED
	unanswered  = flowv1.ConnState_CONN_STATE_UNANSWERED
	unobserved  = flowv1.ConnState_CONN_STATE_REVERSE_UNOBSERVED
	oneWay      = flowv1.ConnState_CONN_STATE_ONE_WAY
	denied      = flowv1.ConnState_CONN_STATE_DENIED
	halfOpen    = flowv1.ConnState_CONN_STATE_HALF_OPEN
)

// call is a first version of a TCP biflow; id counts up.
func call(id uint64, start time.Duration, client, server string, port int, state flowv1.ConnState) *flowv1.Biflow {
	b := &flowv1.Biflow{
		FlowId: id, Version: 1, Proto: 6,
		ClientAddr: wire(client), ClientPort: 40000, ServerAddr: wire(server), ServerPort: uint32(port),
		ClientPackets: 1, ClientBytes: 60, TimeFlowStartNs: at(start), TimeFlowEndNs: at(start),
		ClientTcpFlags: 0x02, InitiatorConfidence: 0.97, ConnState: state,
	}
	if state == established {
		b.ClientPackets, b.ServerPackets, b.ServerBytes, b.ClientTcpFlags = 6, 6, 900, 0x1b
	}
	return b
}

// later makes the next version of a flow with another state.
func later(b *flowv1.Biflow, state flowv1.ConnState) *flowv1.Biflow {
	c := proto.Clone(b).(*flowv1.Biflow)
	c.Version++
	c.ConnState = state
	return c
}

// timeline is what happens at which tick.
type timeline map[eventtime.Tick][]*flowv1.Biflow

// add puts biflows where a pipeline would: delay after their start.
func (l timeline) add(delay time.Duration, bs ...*flowv1.Biflow) {
	for _, b := range bs {
		t := eventtime.TickOf(b.TimeFlowStartNs + uint64(delay))
		l[t] = append(l[t], b)
	}
}

func (l timeline) ticks() []eventtime.Tick {
	ticks := make([]eventtime.Tick, 0, len(l))
	for t := range l {
		ticks = append(ticks, t)
	}
	slices.Sort(ticks)
	return ticks
}

// finding is an alert as a reader takes it from the topic.
type finding struct {
	detectionFinding
	host string
	tick eventtime.Tick
}

func (f *finding) reason() string { return f.Unmapped.CloseReason }

func newSet(t testing.TB, cfg Config) *Set {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// collect reads alerts into findings.
func collect(t testing.TB, tick eventtime.Tick, to *[]finding) func(*Alert) {
	return func(a *Alert) {
		f := finding{host: a.Host.Netip().String(), tick: tick}
		if err := json.Unmarshal(a.JSON, &f.detectionFinding); err != nil {
			t.Fatalf("cannot read alert %s: %v", a.JSON, err)
		}
		if f.FindingInfo.UID != a.UID {
			t.Fatalf("alert %s carries uid %s", a.UID, f.FindingInfo.UID)
		}
		*to = append(*to, f)
	}
}

// tickWith has a set see a tick's biflows, and then the tick.
func tickWith(s *Set, t eventtime.Tick, in []*flowv1.Biflow, emit func(*Alert)) {
	for _, b := range in {
		s.See(b)
	}
	s.Tick(t, emit)
}

// play runs a timeline as a stage does: ticks with input and ticks with timers.
func play(t testing.TB, s *Set, l timeline) (out []finding) {
	for _, tick := range l.ticks() {
		out = append(out, playTimers(t, s, tick)...)
		flow.SortBiflows(l[tick])
		tickWith(s, tick, l[tick], collect(t, tick, &out))
	}
	return out
}

// playTimers calls the set at its timers before a tick.
func playTimers(t testing.TB, s *Set, before eventtime.Tick) (out []finding) {
	for n := s.NextTimer(); n < before; n = s.NextTimer() {
		s.Tick(n, collect(t, n, &out))
		if s.NextTimer() <= n {
			t.Fatalf("NextTimer is %d after Tick(%d)", s.NextTimer(), n)
		}
	}
	return out
}

// playOut runs a timeline to its end.
func playOut(t testing.TB, cfg Config, l timeline) []finding {
	s := newSet(t, cfg)
	out := play(t, s, l)
	ticks := l.ticks()
	end := ticks[len(ticks)-1] + 1
	out = append(out, playTimers(t, s, end)...)
	s.End(end, collect(t, end, &out))
	return out
}

// lastOf keeps the last message of each finding, in order of creation.
func lastOf(fs []finding) (out []finding) {
	at := map[string]int{}
	for _, f := range fs {
		if i, ok := at[f.FindingInfo.UID]; ok {
			out[i] = f
			continue
		}
		at[f.FindingInfo.UID] = len(out)
		out = append(out, f)
	}
	return out
}

// truth reads a data set as biflows, each one final version, told ten seconds
// after its end.
func truth(t testing.TB, name string) timeline {
	t.Helper()
	l := timeline{}
	for i, c := range testkit.ReadTruth(t, testkit.Data(t, name+".truth.jsonl.gz")) {
		l.add(10*time.Second+time.Duration(c.Length*1e9), truthBiflow(&c, uint64(i+1)))
	}
	return l
}

func truthBiflow(c *testkit.Truth, id uint64) *flowv1.Biflow {
	start := uint64(c.Start*1e6) * 1000
	b := &flowv1.Biflow{
		FlowId: id, Version: 1, Proto: c.Proto, ClientAddr: c.Client.AsSlice(), ServerAddr: c.Server.AsSlice(),
		ClientPackets: c.Cpk, ClientBytes: c.Cby, ServerPackets: c.Spk, ServerBytes: c.Sby,
		TimeFlowStartNs: start, TimeFlowEndNs: start + uint64(c.Length*1e9), InitiatorConfidence: 0.9,
		CloseReason: flowv1.CloseReason_CLOSE_REASON_IDLE,
	}
	if flow.HasPorts(uint8(c.Proto)) {
		b.ClientPort, b.ServerPort = c.Cport, c.Sport
	} else {
		b.IcmpType = c.Cport
	}
	b.ConnState = truthState(c)
	return b
}

func truthState(c *testkit.Truth) flowv1.ConnState {
	switch {
	case c.Server.IsMulticast() || c.Server.Is4() && c.Server.As4()[3] == 255:
		return oneWay
	case c.Spk == 0:
		return unanswered
	case c.Proto == 6 && c.Sby == 40*c.Spk && c.Cpk <= 3:
		return rejected
	}
	return established
}
