package stage

import (
	"sync"
	"time"
)

// clock estimates how far the broker's clock is ahead of ours, by the times in
// its answers. An answer tells the truth to within its round trip: of the last
// few the quickest is believed. Our clock is the steady one: somebody may set the
// machine's in between, and the offset is as before.
type clock struct {
	mu       sync.Mutex
	samples  [16]clockSample
	count    int
	answered time.Time
}

type clockSample struct{ offset, trip time.Duration }

// processStart carries the wall clock and the monotonic one at the same moment.
var processStart = time.Now()

// steady is a time by the wall clock at the start of the process, moved on by the
// monotonic one: the clock by which callers apply the offset.
func steady(t time.Time) time.Time { return processStart.Add(t.Sub(processStart)) }

func (c *clock) add(a ack, m *metrics) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answered = a.answered
	if a.at.UnixMilli() <= 0 {
		return
	}
	trip := a.answered.Sub(a.sent)
	c.samples[c.count%len(c.samples)] = clockSample{offset: a.at.Sub(steady(a.sent).Add(trip / 2)), trip: trip}
	c.count++
	if best, ok := c.best(); ok {
		m.clockOffset.Set(best.Seconds())
	}
}

func (c *clock) best() (time.Duration, bool) {
	n := min(c.count, len(c.samples))
	if n == 0 {
		return 0, false
	}
	best := c.samples[0]
	for _, s := range c.samples[1:n] {
		if s.trip < best.trip {
			best = s
		}
	}
	return best.offset, true
}

func (c *clock) offset() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.best()
}

func (c *clock) answeredAfter(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answered.After(t)
}
