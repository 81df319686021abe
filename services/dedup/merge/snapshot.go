package merge

import (
	"encoding/binary"
	"fmt"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/snap"
)

// snapshotVersion changes with the layout below.
const snapshotVersion = 2

// AppendSnapshot appends the whole state.
func (w *Window) AppendSnapshot(dst []byte) []byte {
	s := snap.Writer{B: dst}
	s.Uint(snapshotVersion)
	s.Uint(uint64(len(w.points.all)))
	for _, p := range w.points.all {
		s.Fixed(p.sampler[:])
		s.Bool(p.egress)
	}
	s.Uint(uint64(w.index.Len()))
	for id := range w.entries.Len() {
		if e := w.entries.At(id); e.has(live) {
			w.appendEntry(&s, e)
		}
	}
	return s.B
}

func (w *Window) appendEntry(s *snap.Writer, e *entry) {
	k, is, p := w.key(e), w.standings.all[e.standing], w.past(e)
	s.Fixed(k.Src.Addr[:])
	s.Fixed(k.Dst.Addr[:])
	s.Uint(uint64(k.Src.Port))
	s.Uint(uint64(k.Dst.Port))
	s.Uint(uint64(k.Realm))
	s.Uint(uint64(k.Proto))
	s.Uint(uint64(is.authority))
	s.Uint(uint64(is.reason))
	s.Uint(e.coverEnd)
	s.Uint(p.floor)
	s.Uint(p.reach)
	s.Uint(uint64(is.timeouts))
	s.Int(int64(w.lastTick(e)))
	if !e.has(waiting) {
		s.Int(0)
		s.Uint(0)
		return
	}
	s.Int(int64(w.waits.At(e.link).due))
	queue := w.queue(e)
	s.Uint(uint64(len(queue)))
	for _, h := range queue {
		s.Uint(uint64(h.point))
		s.B = w.appendHeld(s.B, e, h)
	}
}

// appendHeld appends a report as protobuf, with its length.
func (w *Window) appendHeld(b []byte, e *entry, h *held) []byte {
	if _, ok := h.packed(); !ok {
		wire := w.cells.get(h.body)
		return append(binary.AppendUvarint(b, uint64(len(wire))), wire...)
	}
	b = flow.AppendDelimited(b, w.unpack(e, h))
	w.out.giveBack()
	return b
}

// Restore fills an empty window from a snapshot.
func (w *Window) Restore(b []byte) error {
	r := snap.NewReader(b)
	if v := r.Uint(); v != snapshotVersion && r.Err() == nil {
		return fmt.Errorf("cannot restore dedup's state: snapshot has version %d, this program reads %d", v, snapshotVersion)
	}
	for range r.Len() {
		var p point
		r.Fixed(p.sampler[:])
		p.egress = r.Bool()
		w.points.id(p)
	}
	n := r.Len()
	w.index.Reserve(n)
	var read flow.Briefs
	for range n {
		if !w.restoreEntry(r, &read) {
			return fmt.Errorf("cannot restore dedup's state: %w", snap.ErrCorrupt)
		}
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("cannot restore dedup's state: %w", err)
	}
	return nil
}

// restoreEntry reads one entry; it tells whether it makes sense.
func (w *Window) restoreEntry(r *snap.Reader, read *flow.Briefs) bool {
	var k flow.Key
	r.Fixed(k.Src.Addr[:])
	r.Fixed(k.Dst.Addr[:])
	k.Src.Port, k.Dst.Port = uint16(r.Uint()), uint16(r.Uint())
	k.Realm, k.Proto = uint32(r.Uint()), uint8(r.Uint())
	is := standing{authority: uint32(r.Uint()), reason: flowv1.Authority(r.Uint())}
	coverEnd := r.Uint()
	before := past{floor: r.Uint(), reach: r.Uint()}
	is.timeouts = uint32(r.Uint())
	last, due := eventtime.Tick(r.Int()), eventtime.Tick(r.Int())
	reports := r.Len()
	hash := k.Hash()
	if r.Err() != nil || !w.knows(is.authority) || coverEnd == 0 && reports == 0 {
		return false
	}
	if e, _ := w.lookup(&k, hash); e != nil {
		return false
	}
	e, id := w.entry(&k, hash)
	w.now = max(w.now, last)
	e.standing, e.coverEnd, e.last = w.standings.id(is), coverEnd, uint32(last)
	w.setPast(e, before)
	for range reports {
		if !w.restoreHeld(r, read, e, id, due) {
			return false
		}
	}
	if reports == 0 {
		e.flags |= timed
		w.forget.Set(last.After(w.cfg.LateHorizon), id)
	}
	return true
}

// knows tells whether an authority is a point of the snapshot, or none.
func (w *Window) knows(authority uint32) bool {
	return authority == noPoint || int(authority) < len(w.points.all)
}

// restoreHeld reads one report that waits.
func (w *Window) restoreHeld(r *snap.Reader, read *flow.Briefs, e *entry, id uint32, due eventtime.Tick) bool {
	p, encoded := uint32(r.Uint()), r.Bytes()
	if r.Err() != nil || int(p) >= len(w.points.all) {
		return false
	}
	read.Reset()
	if !read.AddOne(encoded) {
		return false
	}
	w.hold(e, id, p, &arrival{Brief: read.Records[0]}, due)
	return true
}
