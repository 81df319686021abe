package normalize

const (
	nsPerMs = 1_000_000
	nsPerS  = 1_000_000_000
	// maxMs is the last millisecond that 64 bits of nanoseconds hold.
	maxMs = (1<<64 - 1) / nsPerMs
)

// bootClock estimates when an exporter started, from headers that give both the
// uptime in milliseconds and the time of day less exactly. The true value lies
// in the intersection of what all headers allow, so that, unlike export minus
// uptime of each single datagram, it does not jitter by up to a second, and the
// segments of one flow line up.
type bootClock struct {
	lo, hi int64 // ms since the epoch: lo ≤ boot < hi
	set    bool
}

// observe takes in a header: export time unixMs, which was cut to multiples of
// resolutionMs, and uptime. It returns the estimate. Headers may contradict each
// other a little: the uptime is a crystal's, which gains or loses up to 100 µs in a
// second on a time of day that is set right, and the two are not read at once. Then the
// estimate is moved by as much. Where they contradict each other by more than the
// resolution, the exporter was restarted, its uptime wrapped (every 49.7 days), or its
// clock was set: the estimate begins anew.
func (c *bootClock) observe(unixMs, uptimeMs, resolutionMs int64) int64 {
	lo := unixMs - uptimeMs
	hi := lo + resolutionMs
	switch {
	case !c.set || lo >= c.hi+resolutionMs || hi <= c.lo-resolutionMs:
		*c = bootClock{lo: lo, hi: hi, set: true}
	case lo >= c.hi:
		c.lo, c.hi = lo, lo+1
	case hi <= c.lo:
		c.lo, c.hi = hi-1, hi
	default:
		c.lo, c.hi = max(c.lo, lo), min(c.hi, hi)
	}
	return c.lo
}

// bootResetMs is how far behind the export the newest flow of a datagram may lie
// before the exporter is taken to have started anew (inferredBoot).
const bootResetMs = 3600_000

// inferredBoot estimates the boot time of an IPFIX exporter that gives times
// relative to it but does not say when it was: no flow ends after it is exported.
type inferredBoot struct {
	ms  int64
	set bool
}

// observe takes in the latest end of a flow in a message exported at exportMs,
// and returns the estimate.
func (c *inferredBoot) observe(exportMs int64, latestEnd uint32) int64 {
	boot := exportMs - int64(latestEnd)
	if !c.set || boot < c.ms || boot > c.ms+bootResetMs {
		*c = inferredBoot{ms: boot, set: true}
	}
	return c.ms
}

// sinceEvent is how many milliseconds before the header's uptime something
// happened. The difference of 32 bits, signed, holds over the wrap and for
// events slightly after the header's uptime; what seems to lie more than a
// minute ahead is taken for very old instead.
func sinceEvent(uptime, at uint32) int64 {
	d := int32(uptime - at)
	if d < -60_000 {
		return int64(uptime - at)
	}
	return int64(d)
}

// msToNs turns signed milliseconds since the epoch into nanoseconds, and what
// lies outside of what they can say into the nearest that can be said.
func msToNs(ms int64) uint64 {
	switch {
	case ms < 0:
		return 0
	case uint64(ms) > maxMs:
		return maxMs * nsPerMs
	}
	return uint64(ms) * nsPerMs
}

// saturatingMs is msToNs for unsigned milliseconds, as in IPFIX's dateTimeMilliseconds.
func saturatingMs(ms uint64) uint64 { return min(ms, maxMs) * nsPerMs }

// ntpEpoch is the start of NTP's era 0 (1900) before ours, in seconds.
const ntpEpoch = 2_208_988_800

// ntpNs reads an NTP timestamp (RFC 7011 §6.1.10) in the era that brings it
// nearest to the reception; era 1 starts in 2036. Zero is no time (RFC 5905 §6).
func ntpNs(ts, receivedNs uint64) uint64 {
	if ts == 0 {
		return 0
	}
	frac := (ts & 0xffffffff) * nsPerS >> 32
	return ntpSeconds(ts>>32, receivedNs)*nsPerS + frac
}

// ntpMicrosNs reads an NTP timestamp of dateTimeMicroseconds, the low 11 bits
// of which mean nothing (RFC 7011 §6.1.9), rounded to microseconds.
func ntpMicrosNs(ts, receivedNs uint64) uint64 {
	if ts == 0 {
		return 0
	}
	us := ((ts&0xfffff800&0xffffffff)*1_000_000 + 1<<31) >> 32
	return ntpSeconds(ts>>32, receivedNs)*nsPerS + us*1000
}

// ntpSeconds turns seconds of an NTP era into seconds since our epoch.
func ntpSeconds(sec, receivedNs uint64) uint64 {
	received := int64(receivedNs / nsPerS)
	s := int64(sec) - ntpEpoch
	for s < received-1<<31 {
		s += 1 << 32
	}
	return uint64(max(s, 0))
}
