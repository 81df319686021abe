package merge

import "time"

// An exporter whose interfaces all meter tells of packets that pass it twice twice: on
// the way between two VRFs or through a firewall on a stick, or because it keeps a state
// for each interface (OpenBSD's pf), or sends a broadcast out by several. The reports
// look like those of packets that came by several interfaces, which are parts and are
// summed; but they are the same. That may be chance in one flow, so it is only told:
// where it is the rule, SplitInterfaces makes points of the interfaces.

const (
	// sameMoment is how far the times of two views by one clock lie apart at most. Sent
	// again, a packet comes later: TCP waits at least a second (RFC 6298 §2).
	sameMoment = uint64(time.Second) - 1
	// twiceWithin is how many reports of a flow may lie between two that one exporter
	// makes of the same packets.
	twiceWithin = 16
)

// toldTwice tells whether two of the reports that wait are of one point and the same, but
// for the interface.
func (w *Window) toldTwice(e *entry, queue []*held) bool {
	for i, h := range queue {
		for _, o := range queue[max(0, i-twiceWithin):i] {
			if o.point == h.point && h.sameAs(o) && w.otherPort(e, h, o) {
				return true
			}
		}
	}
	return false
}

// sameAs tells whether two reports of a point may be of the same packets. Samplers take
// few, of which two may look the same.
func (h *held) sameAs(o *held) bool {
	return h.packets == o.packets && h.bytes == o.bytes && h.rate <= 1 && o.rate <= 1 &&
		apart(h.start, o.start) <= sameMoment && apart(h.end, o.end) <= sameMoment
}

func apart(a, b uint64) uint64 { return max(a, b) - min(a, b) }

// otherPort tells whether two reports were metered at two interfaces, both known.
func (w *Window) otherPort(e *entry, h, o *held) bool {
	a, b := w.heldPort(e, h), w.heldPort(e, o)
	return a != b && a != 0 && b != 0
}

// heldPort is portOf of a report that waits.
func (w *Window) heldPort(e *entry, h *held) uint32 {
	if w.points.all[h.point].egress {
		return w.unpack(e, h).OutIf
	}
	return h.inIf
}

// alike tells whether two points are one, but for the interface.
func (w *Window) alike(a, b uint32) bool {
	if a == b || a == noPoint || b == noPoint {
		return a == b
	}
	p, o := w.points.all[a], w.points.all[b]
	p.port = o.port
	return p == o
}
