package normalize

// uptimeUnit finds out whether the uptime in the headers of an exporter counts
// seconds, as SonicWall's does, and not milliseconds.
type uptimeUnit struct {
	uptime  uint32
	unixMs  int64
	begun   bool
	decided bool
}

// uptimeSpanMs is the time over which the unit is judged.
const uptimeSpanMs = 20_000

// observe takes in a header. It tells whether uptime goes on by about one per
// second; once it knows either way, it looks no longer.
func (u *uptimeUnit) observe(uptime uint32, unixMs int64) bool {
	if u.decided {
		return false
	}
	if !u.begun || uptime < u.uptime || unixMs < u.unixMs {
		u.uptime, u.unixMs, u.begun = uptime, unixMs, true
		return false
	}
	passed, ticks := unixMs-u.unixMs, int64(uptime-u.uptime)
	if passed < uptimeSpanMs {
		return false
	}
	seconds := ticks*1000 > passed/2 && ticks*1000 < passed*2
	u.decided = seconds || ticks > passed/2 && ticks < passed*2
	if !u.decided {
		u.begun = false
	}
	return seconds
}
