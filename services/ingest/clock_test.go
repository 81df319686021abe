package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

func TestClockGoesByTheBroker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ahead := time.Duration(0)
		c := &clock{start: start, offset: func() (time.Duration, bool) { return ahead, true }}
		time.Sleep(time.Second) // the bubble's time, not ours
		if got, want := c.ns(), uint64(start.Add(time.Second).UnixNano()); got != want {
			t.Errorf("%d, want %d", got, want)
		}
		ahead = -time.Minute
		if got, want := c.ns(), uint64(start.Add(time.Second-time.Minute).UnixNano()); got != want {
			t.Errorf("steered: %d, want %d", got, want)
		}
	})
}

func TestUntilTheNextTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &clock{start: time.Now(), offset: func() (time.Duration, bool) { return 0, false }}
		tick := eventtime.TickOf(c.ns())
		if got := c.until(tick + 3); got <= 2*eventtime.TickLength || got > 3*eventtime.TickLength {
			t.Errorf("%s until three ticks on", got)
		}
		if got := c.until(tick - 10); got != time.Millisecond {
			t.Errorf("%s until a tick that has passed", got)
		}
	})
}
