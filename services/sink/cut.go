package main

import (
	"time"

	"github.com/flowledger/flowledger/services/internal/stage"
)

// cutter decides where the log of one partition is cut into inserts. It looks at
// nothing but the messages since the last cut, so whoever starts from a stored
// position makes the same cuts as the one before.
//
// Time is that of the log (when the producer sent a message), not that of the
// records: an old capture that is published within a minute must not become a
// cut per second of the day it was taken.
type cutter struct {
	Cut
	// eager cuts at the end of every tick that has brought something: for topics
	// whose messages are few and urgent.
	eager bool
	// first is the time of the first message since the last cut.
	first  time.Time
	opened bool
}

// due tells whether a cut comes right after m, when rows are waiting.
func (c *cutter) due(m *stage.Message, rows int) bool {
	now := logTime(m)
	if !c.opened {
		c.first, c.opened = now, true
	}
	passed := now.Sub(c.first)
	switch {
	case m.Bye != "", rows >= c.Rows:
		return true
	case rows == 0:
		return passed >= c.Offsets
	case !m.TickEnd:
		return false
	}
	return c.eager || passed >= c.Every
}

// done begins the next stretch.
func (c *cutter) done() { c.opened = false }

// logTime is when a message was sent, or, from a broker that does not say, the
// time of its tick.
func logTime(m *stage.Message) time.Time {
	if m.Time.IsZero() {
		return time.Unix(0, int64(m.Tick.Ns()))
	}
	return m.Time
}
