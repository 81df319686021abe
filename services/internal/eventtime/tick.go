// Package eventtime defines the stream's clock once: ticks, and timers that
// fire at them. Time enters as data; nothing here reads a clock.
package eventtime

import (
	"math"
	"time"
)

// TickLength is the step in which stream time moves.
const TickLength = 500 * time.Millisecond

// Tick numbers the steps of stream time since the epoch.
type Tick int64

// Never is a tick that does not come: no timer is set.
const Never Tick = math.MaxInt64

// TickOf is the tick a time (nanoseconds since the epoch) lies in.
func TickOf(ns uint64) Tick { return Tick(ns / uint64(TickLength)) }

// Ns is the start of the tick, nanoseconds since the epoch.
func (t Tick) Ns() uint64 { return uint64(t) * uint64(TickLength) }

// After is the first tick at which d has surely passed since any time within t.
func (t Tick) After(d time.Duration) Tick {
	return t + Tick((d+TickLength-1)/TickLength)
}
