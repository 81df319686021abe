package stage

import (
	"testing"
	"time"
	"unsafe"
)

// stepped is t as it would read if somebody had set the machine's clock by d: the
// wall clock's reading differs, the monotonic one is as it was.
func stepped(t *testing.T, at time.Time, seconds int64) time.Time {
	t.Helper()
	const nanosecondBits = 30 // below the seconds, in the first word of a time.Time
	before := at
	*(*uint64)(unsafe.Pointer(&at)) += uint64(seconds) << nanosecondBits
	if at.Sub(before) != 0 || at.Round(0).Sub(before.Round(0)) != time.Duration(seconds)*time.Second {
		t.Skip("this release of Go keeps times in another way")
	}
	return at
}

func TestSteppedWallClockChangesNothing(t *testing.T) {
	m := newMetrics(nil, "test")
	for _, step := range []int64{0, 3600, -3600} {
		var c clock
		sent := time.Now()
		broker := sent.Round(0).Add(5*time.Second + time.Millisecond)
		c.add(ack{sent: stepped(t, sent, step), answered: stepped(t, sent.Add(2*time.Millisecond), step), at: broker}, m)
		got, ok := c.offset()
		if !ok || (got-5*time.Second).Abs() > time.Millisecond {
			t.Errorf("clock set by %d s: offset %v, %v; want 5s", step, got, ok)
		}
	}
}

func TestClockBelievesTheQuickestAnswer(t *testing.T) {
	m := newMetrics(nil, "test")
	var c clock
	if _, ok := c.offset(); ok {
		t.Error("an offset is known before there was an answer")
	}
	start := time.Unix(1700000000, 0)
	add := func(sentAfter, trip, ahead time.Duration) {
		sent := start.Add(sentAfter)
		c.add(ack{sent: sent, answered: sent.Add(trip), at: sent.Add(trip/2 + ahead)}, m)
	}
	c.add(ack{sent: start, answered: start}, m) // an answer without a time
	add(time.Second, 300*time.Millisecond, 9*time.Second)
	add(2*time.Second, 2*time.Millisecond, 5*time.Second)
	add(3*time.Second, 100*time.Millisecond, 7*time.Second)
	if got, ok := c.offset(); !ok || got != 5*time.Second {
		t.Errorf("got %v, %v, want the offset of the quickest answer", got, ok)
	}
	for i := range 16 {
		add(time.Duration(4+i)*time.Second, 50*time.Millisecond, -time.Second)
	}
	if got, _ := c.offset(); got != -time.Second {
		t.Errorf("got %v: answers of long ago must not count", got)
	}
	if !c.answeredAfter(start) || c.answeredAfter(start.Add(time.Hour)) {
		t.Error("the time of the last answer is wrong")
	}
}
