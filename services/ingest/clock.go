package main

import (
	"time"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// clock is the wall clock at start, moved on by the monotonic one, so that it
// neither jumps nor falls when somebody sets the machine's, and steered by the
// broker's, which all ingesters have in common.
type clock struct {
	start  time.Time
	offset func() (ahead time.Duration, known bool)
}

// ns is the steered time, nanoseconds since the epoch.
func (c *clock) ns() uint64 {
	ahead, _ := c.offset()
	return uint64(c.start.Add(time.Since(c.start) + ahead).UnixNano())
}

// until is how long it is until the tick begins, a moment at least.
func (c *clock) until(t eventtime.Tick) time.Duration {
	return max(time.Duration(int64(t.Ns())-int64(c.ns())), time.Millisecond)
}
