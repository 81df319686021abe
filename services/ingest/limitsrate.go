package main

import "time"

// rate is how much may come per second; 0 is no limit.
type rate struct{ perSecond, burstNs uint64 }

// meter is a token bucket in one number: the time by which all that has come would
// have come at the rate. It may run ahead of the clock by the burst. (That is the
// "virtual scheduling" form of ITU-T I.371's cell rate algorithm.)
type meter uint64

// take books n, unless that is ahead of the rate by more than the burst. The first
// after a silence fits, whatever its size.
func (m *meter) take(r rate, n, nowNs uint64) bool {
	if r.perSecond == 0 {
		return true
	}
	if uint64(*m) > nowNs+r.burstNs {
		return false
	}
	m.book(r, n, nowNs)
	return true
}

// book takes n in any case, and tells how long it is until more would fit.
func (m *meter) book(r rate, n, nowNs uint64) time.Duration {
	if r.perSecond == 0 {
		return 0
	}
	*m = meter(max(uint64(*m), nowNs) + r.cost(n))
	if ahead := uint64(*m); ahead > nowNs+r.burstNs {
		return time.Duration(ahead - nowNs - r.burstNs)
	}
	return 0
}

// cost is the time n takes at the rate, rounded up. n is at most a datagram's size.
func (r rate) cost(n uint64) uint64 {
	return (n*uint64(time.Second) + r.perSecond - 1) / r.perSecond
}
