package rule

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// story is a finding's messages, one line each: when, what, how many.
func story(fs []finding) (out []string) {
	for _, f := range fs {
		line := fmt.Sprintf("%s %s %s %d", time.Duration(f.tick.Ns()-epoch), f.ActivityName, f.Severity, f.Count)
		if f.reason() != "" {
			line += " " + f.reason()
		}
		out = append(out, line)
	}
	return out
}

func tell(t *testing.T, cfg Config, flows []*flowv1.Biflow) []finding {
	t.Helper()
	l := timeline{}
	l.add(0, flows...)
	s := newSet(t, cfg)
	out := play(t, s, l)
	return append(out, playTimers(t, s, eventtime.Never)...)
}

func TestUpdatesWhenDoubledButNotBefore15Minutes(t *testing.T) {
	flows := spread(1000, 3*time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "198.51.100.9", "203.0.113.5", 1+i, rejected)
	})
	want := []string{
		"42s Create Low 15",
		"15m42s Update Low 314",
		"31m21s Update Low 628",
		"1h49m57s Close Low 1000 quiet",
	}
	if d := cmp.Diff(want, story(tell(t, Default(), flows))); d != "" {
		t.Errorf("messages (-want, +got):\n%s", d)
	}
}

func TestScanIsClosedWhenQuiet(t *testing.T) {
	flows := spread(20, time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "198.51.100.9", "203.0.113.5", 8000+i, rejected)
	})
	// Going on to use what answered keeps nothing open.
	for i := range 30 {
		flows = append(flows, call(uint64(100+i), time.Minute+time.Duration(i)*5*time.Minute, "198.51.100.9", "203.0.113.5", 443, established))
	}
	// The next day's scan is another finding.
	for i := range 15 {
		flows = append(flows, call(uint64(200+i), 24*time.Hour+time.Duration(i)*time.Second, "198.51.100.9", "203.0.113.5", 8000+i, rejected))
	}
	got := tell(t, Default(), flows)
	want := []string{"14s Create Low 15", "1h1m0s Close Low 21 quiet", "24h0m14s Create Low 15", "25h0m14s Close Low 15 quiet"}
	if d := cmp.Diff(want, story(got)); d != "" {
		t.Errorf("messages (-want, +got):\n%s", d)
	}
	if got[0].FindingInfo.UID == got[2].FindingInfo.UID {
		t.Error("two episodes share a uid")
	}
}

func TestFailuresAreTakenBack(t *testing.T) {
	flows := spread(15, time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "198.51.100.9", "203.0.113.5", 8000+i, unanswered)
	})
	s := newSet(t, Default())
	l := timeline{}
	l.add(0, flows...)
	out := play(t, s, l)
	tick := eventtime.TickOf(at(time.Minute))
	tickWith(s, tick, []*flowv1.Biflow{later(flows[3], established)}, collect(t, tick, &out))
	if d := cmp.Diff([]string{"14s Create Low 15", "1m0s Close Low 15 taken_back"}, story(out)); d != "" {
		t.Errorf("messages (-want, +got):\n%s", d)
	}
	// Taken back in time, nothing is told at all.
	l = timeline{}
	l.add(0, flows[:14]...)
	l.add(20*time.Second, later(flows[3], established))
	l.add(30*time.Second, flows[14])
	if got := play(t, newSet(t, Default()), l); got != nil {
		t.Errorf("got %v, want nothing: only 14 ports failed", story(got))
	}
}

func TestDirectionRevisedBreaksNothing(t *testing.T) {
	flows := spread(14, time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "198.51.100.9", "203.0.113.5", 8000+i, unanswered)
	})
	turned := later(flows[0], established)
	turned.ClientAddr, turned.ServerAddr = turned.ServerAddr, turned.ClientAddr
	turned.DirectionRevised = true
	if got := tell(t, Default(), append(flows, turned)); got != nil {
		t.Errorf("got %v, want nothing", story(got))
	}
}

func TestAttemptsAreToldTogetherAndUseAtOnce(t *testing.T) {
	flows := []*flowv1.Biflow{
		call(1, 0, "10.0.0.9", "203.0.113.5", 445, unanswered),
		call(2, time.Minute, "10.0.0.9", "203.0.113.6", 445, unanswered),
		call(3, 2*time.Minute, "10.0.0.9", "203.0.113.6", 3389, rejected),
		call(4, 20*time.Minute, "10.0.0.9", "203.0.113.7", 445, established),
	}
	want := []string{"15m0s Create Low 3", "20m0s Update High 4", "1h20m0s Close High 4 quiet"}
	if d := cmp.Diff(want, story(tell(t, Default(), flows))); d != "" {
		t.Errorf("messages (-want, +got):\n%s", d)
	}
	want = []string{"0s Create High 1", "1h0m0s Close High 1 quiet"}
	if d := cmp.Diff(want, story(tell(t, Default(), []*flowv1.Biflow{call(1, 0, "10.0.0.9", "203.0.113.5", 445, established)}))); d != "" {
		t.Errorf("messages (-want, +got):\n%s", d)
	}
}

// TestUnansweredSettles: without flags, a call counts as failed when the report
// of an answer would have come, and not at all if one came.
func TestUnansweredSettles(t *testing.T) {
	flows := spread(40, time.Second, func(i int) *flowv1.Biflow {
		b := call(0, 0, "10.0.0.9", "203.0.113.5", 8000+i, unanswered)
		b.Proto, b.ClientTcpFlags = 17, 0
		return b
	})
	want := []string{"1m44s Create High 40", "2m39s Close High 40 quiet"}
	cfg := Default()
	cfg.PortScan.Quiet = 55 * time.Second
	if d := cmp.Diff(want, story(tell(t, cfg, flows))); d != "" {
		t.Errorf("messages (-want, +got):\n%s", d)
	}
	// The resolver's case: all are answered within a minute.
	l := timeline{}
	l.add(0, flows...)
	for _, b := range flows {
		l.add(time.Minute, later(b, established))
	}
	s := newSet(t, Default())
	if got := append(play(t, s, l), playTimers(t, s, eventtime.Never)...); got != nil {
		t.Errorf("got %v, want nothing", story(got))
	}
}

func TestUseIsTakenBack(t *testing.T) {
	b := call(1, 0, "10.0.0.9", "203.0.113.5", 445, established)
	l := timeline{}
	l.add(0, b)
	l.add(time.Minute, later(b, unobserved))
	got := play(t, newSet(t, Default()), l)
	if d := cmp.Diff([]string{"0s Create High 1", "1m0s Close Informational 0 taken_back"}, story(got)); d != "" {
		t.Errorf("messages (-want, +got):\n%s", d)
	}
}

// A session of five hours is one finding, however many versions it has.
func TestLongSessionIsOneFinding(t *testing.T) {
	l := timeline{}
	b := call(1, 0, "10.0.0.9", "203.0.113.5", 445, established)
	for i := range 300 {
		l.add(time.Duration(i)*time.Minute, b)
		b = later(b, established)
	}
	got := play(t, newSet(t, Default()), l)
	if d := cmp.Diff([]string{"0s Create High 1"}, story(got)); d != "" {
		t.Errorf("messages (-want, +got):\n%s", d)
	}
}

func TestEndOfInputClosesEverything(t *testing.T) {
	l := timeline{}
	l.add(0, spread(20, time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "198.51.100.9", "203.0.113.5", 8000+i, rejected)
	})...)
	l.add(0, call(99, 30*time.Second, "10.0.0.9", "203.0.113.5", 445, unanswered))
	got := story(playOut(t, Default(), l))
	want := []string{"14s Create Low 15", "30.5s Create Low 1", "30.5s Close Low 1 end_of_input", "30.5s Close Low 20 end_of_input"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("messages (-want, +got):\n%s", d)
	}
}

func TestConfidenceFallsWithGuessesAndSampling(t *testing.T) {
	score := func(spoil func(*flowv1.Biflow)) int {
		flows := spread(15, time.Second, func(i int) *flowv1.Biflow {
			b := call(0, 0, "198.51.100.9", "203.0.113.5", 8000+i, rejected)
			spoil(b)
			return b
		})
		got := tell(t, Default(), flows)
		if len(got) == 0 {
			t.Fatal("no finding")
		}
		return got[0].ConfidenceScore
	}
	sure := score(func(*flowv1.Biflow) {})
	guess := score(func(b *flowv1.Biflow) { b.InitiatorConfidence = 0.55 })
	sampled := score(func(b *flowv1.Biflow) { b.SamplingRate = 1000 })
	if sure != 90 || guess != 50 || sampled != 60 {
		t.Errorf("confidence is %d when sure, %d by guess, %d sampled; want 90, 50, 60", sure, guess, sampled)
	}
}

func TestTooManyClientsForgetTheLongestSilent(t *testing.T) {
	cfg := Default()
	cfg.MaxClients = 3
	l := timeline{}
	l.add(0, spread(15, time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "198.51.100.9", "203.0.113.5", 8000+i, rejected)
	})...)
	for i := range 3 {
		l.add(0, call(uint64(100+i), time.Minute+time.Duration(i)*time.Second, fmt.Sprintf("198.51.100.%d", 100+i), "203.0.113.5", 80, rejected))
	}
	s := newSet(t, cfg)
	got := play(t, s, l)
	if d := cmp.Diff([]string{"14s Create Low 15", "1m2s Close Low 15 evicted"}, story(got)); d != "" {
		t.Errorf("messages (-want, +got):\n%s", d)
	}
	if s.Stats().ClientsEvicted != 1 || s.byClient.Len() != 3 {
		t.Errorf("%d evicted, %d clients; want 1 and 3", s.Stats().ClientsEvicted, s.byClient.Len())
	}
}

func TestTooManyWindowsForgetTheOldestQuarter(t *testing.T) {
	cfg := Default()
	cfg.MaxWindows = 8
	l := timeline{}
	l.add(0, spread(100, time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "198.51.100.9", fmt.Sprintf("203.0.%d.5", i), 8000+i, rejected)
	})...)
	s := newSet(t, cfg)
	play(t, s, l)
	c := s.recent.newest
	for k, n := range c.count {
		if int(n) > cfg.MaxWindows {
			t.Errorf("%d windows of kind %d, want at most %d", n, k, cfg.MaxWindows)
		}
	}
	if s.Stats().WindowsEvicted == 0 || s.byWindow.Len() != c.held() {
		t.Errorf("%d windows evicted; %d known, %d held", s.Stats().WindowsEvicted, s.byWindow.Len(), c.held())
	}
}

func TestLateFlowsAreCounted(t *testing.T) {
	l := timeline{}
	l.add(16*time.Minute, spread(30, time.Second, func(i int) *flowv1.Biflow {
		return call(0, 0, "198.51.100.9", "203.0.113.5", 8000+i, rejected)
	})...)
	s := newSet(t, Default())
	if got := play(t, s, l); got != nil || s.Stats().Late != 30 || s.byClient.Len() != 0 {
		t.Errorf("got %v, %d late, %d clients; want nothing, 30, 0", story(got), s.Stats().Late, s.byClient.Len())
	}
}
