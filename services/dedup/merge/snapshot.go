package merge

import (
	"slices"

	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/snap"
)

// snapshotVersion changes with the layout: points and standings by number, then
// the entries in the order in which they lie in memory, each told by how it differs
// from the one before it: most take 18 bytes.
const snapshotVersion = 7

// What an entry, and a report that waits, take at most in most snapshots: room is
// made for all of them at once.
const (
	usualEntry = 20
	usualHeld  = 136
)

// AppendSnapshot appends the whole state.
func (w *Window) AppendSnapshot(dst []byte) []byte {
	s := snap.Writer{B: slices.Grow(dst, 1<<10+usualEntry*w.index.Len()+usualHeld*w.stats.Waiting)}
	s.Uint(snapshotVersion)
	s.Uint(uint64(len(w.points.all)))
	for _, p := range w.points.all {
		s.Fixed(p.sampler[:])
		s.Uint(uint64(p.domain))
		s.Uint(uint64(p.port))
		s.Bool(p.egress)
	}
	s.Uint(uint64(len(w.standings.all)))
	for _, is := range w.standings.all {
		s.Uint(uint64(is.authority))
		s.Uint(uint64(is.reason))
		s.Uint(uint64(is.timeouts))
		s.Uint(uint64(is.realm))
		s.Bool(is.sampled)
	}
	s.Uint(uint64(w.index.Len()))
	var before neighbour
	for id := range w.entries.Len() {
		if e := w.entries.At(id); e.has(live) {
			w.appendEntry(&s, e, &before)
		}
	}
	return s.B
}

// appendEntry appends an entry and the reports that wait in it.
func (w *Window) appendEntry(s *snap.Writer, e *entry, before *neighbour) {
	is := neighbour{last: w.lastTick(e), standing: e.standing(), proto: e.proto()}
	p := w.past(e)
	how := layoutOf(e, is, *before, p)
	s.B = append(s.B, byte(how), byte(e.srcPort), byte(e.srcPort>>8), byte(e.dstPort), byte(e.dstPort>>8))
	if how&isWide == 0 {
		s.B = append(append(s.B, e.src[:]...), e.dst[:]...)
	} else {
		addrs := w.wide.At(e.pair())
		s.B = append(append(s.B, addrs.src[:]...), addrs.dst[:]...)
	}
	s.Int(int64(is.last - before.last))
	if how&likeBefore == 0 {
		s.Uint(uint64(is.standing))
		s.Uint(uint64(is.proto))
	}
	if how&isCovered != 0 {
		unit := how.unit()
		s.Int(int64(is.last.Ns()/unit - e.coverEnd/unit))
	}
	if how&hasPast != 0 {
		s.Uint(p.floor)
		s.Uint(p.reach)
	}
	if how&isWaiting != 0 {
		w.appendWait(s, e, is)
	}
	*before = is
}

// appendWait appends the reports that wait.
func (w *Window) appendWait(s *snap.Writer, e *entry, is neighbour) {
	s.Int(int64(w.due(e) - is.last))
	queue := w.queue(e)
	s.Uint(uint64(len(queue)))
	for _, h := range queue {
		s.Uint(uint64(h.point))
		if _, ok := h.packed(); ok {
			s.B = flow.AppendDelimited(s.B, w.unpack(e, h))
			w.out.giveBack()
		} else {
			s.Bytes(w.cells.get(h.body))
		}
	}
}
