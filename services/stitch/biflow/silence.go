package biflow

import (
	"math"
	"time"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

const (
	// usualInactive is the inactive timeout of exporters that do not tell it, and
	// delivery is for the way to us (DOMAIN: active + inactive + 60 s).
	usualInactive = 15 * time.Second
	delivery      = 60 * time.Second
	// stragglers may come this long after the inactive timeout.
	straggling = 5 * time.Second
	// longestSegment bounds how long a segment is believed to have been: exporters cut
	// sooner, and one whose times are wrong keeps no conversation open for ever.
	longestSegment = 24 * time.Hour
	// handshakes is how often a SYN is answered at most before the server gives up
	// (Linux: 6 times by default).
	handshakes = 10
	// longestHandshake is how long a SYN is sent again at most (Linux: 6 times, 1 to 64 s apart).
	longestHandshake = 127 * time.Second
)

// timeouts are what an exporter told of when it reports a flow, in whole seconds as
// it tells them (IANA elements 36 and 37); 0 is unknown.
type timeouts struct{ active, inactive uint16 }

// timeouts are those of a flow's exporter.
func (r *report) timeouts() timeouts {
	return timeouts{seconds(r.Numbers[flow.AtActive]), seconds(r.Numbers[flow.AtInactive])}
}

// seconds rounds milliseconds of 32 bits up.
func seconds(ms uint64) uint16 { return uint16(min((uint64(uint32(ms))+999)/1000, math.MaxUint16)) }

// idle is the silence after which a conversation is over: as long as its exporter
// may say nothing of it, by its longest segment and, if it runs, by the active
// timeout that the exporter told.
func (t *Table) idle(c *conv) time.Duration {
	least := t.cfg.UDPIdle
	if c.proto == flow.ProtoTCP {
		least = t.cfg.TCPIdle
	}
	silent, o := time.Duration(c.longest), t.origins.at(c.origin)
	if o.active > 0 && c.runs(o) {
		silent = max(silent, time.Duration(o.active)*time.Second)
	}
	if silent == 0 {
		return least
	}
	return max(least, silent+o.patience()+delivery)
}

// patience is the inactive timeout.
func (s *timeouts) patience() time.Duration {
	return max(usualInactive, time.Duration(s.inactive)*time.Second)
}

// linger is how long a conversation that ended may be told more of: exporters that
// let a flow go by its FIN report the last acknowledgement by their inactive timeout.
func (t *Table) linger(o *origin) time.Duration {
	return max(t.cfg.Linger, time.Duration(o.inactive)*time.Second+straggling)
}

// runs tells whether a conversation has shown that it is more than a question and an
// answer, and that it is not over: what was short so far may go on for long, and is
// reported only when the exporter's active timeout cuts it.
func (c *conv) runs(o *origin) bool {
	switch {
	case c.ended != 0 || c.has(endedLow|endedHigh|denied):
		return false
	case c.end()-c.start() > uint64(usualInactive):
		return true
	}
	return o.rate <= 1 && (c.half[0].goesOn() || c.half[1].goesOn())
}

// goesOn tells whether a side of TCP sent more than a SYN, or the answer to one and
// that again.
func (h *half) goesOn() bool {
	return h.flags&ack != 0 && (h.flags != syn|ack || h.packets > handshakes)
}

// deadline is when a conversation is closed if nothing more comes. Where several
// exporters report one that runs, the one that counts may have died. Then another
// reports it after a silence of its own, and dedup gives the former as long again
// before it lets the other count.
func (t *Table) deadline(c *conv) eventtime.Tick {
	o := t.origins.at(c.origin)
	if c.ended != 0 && c.bothSpoke() {
		return t.full(c.last).After(t.linger(o))
	}
	idle := t.idle(c)
	if o.several && c.runs(o) {
		idle *= 2
	}
	return t.full(c.last).After(idle)
}

// latestStart is the latest start that a conversation's next flow may have.
func (t *Table) latestStart(c *conv) uint64 { return c.end() + uint64(t.idle(c)) }

// segmentLength is how long after this flow's start its successor may come: its
// duration, or the exporter's active timeout where that cut it.
func segmentLength(f *segment) uint64 {
	const activeTimeout = 2 // flowEndReason, IANA element 136
	d := lengthOf(f.start, f.end)
	active := uint64(f.active) * 1e9
	if f.endReason == activeTimeout || d > active/2 {
		d = max(d, active)
	}
	return d
}

// lengthOf is how long a flow was, as far as that is believed.
func lengthOf(start, end uint64) uint64 {
	if end <= start {
		return 0
	}
	return min(end-start, uint64(longestSegment))
}
