package merge

import (
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
	s.Uint(uint64(len(w.index)))
	for id := range w.entries.Len() {
		if e := w.entries.At(id); e.live {
			e.append(&s)
		}
	}
	return s.B
}

func (e *entry) append(s *snap.Writer) {
	s.Fixed(e.key.Src.Addr[:])
	s.Fixed(e.key.Dst.Addr[:])
	s.Uint(uint64(e.key.Src.Port))
	s.Uint(uint64(e.key.Dst.Port))
	s.Uint(uint64(e.key.Realm))
	s.Uint(uint64(e.key.Proto))
	s.Uint(uint64(e.authority))
	s.Uint(uint64(e.reason))
	s.Uint(e.coverEnd)
	s.Uint(e.floor)
	s.Uint(e.reach)
	s.Uint(uint64(e.timeouts))
	s.Int(int64(e.last))
	s.Int(int64(e.due))
	s.Uint(uint64(len(e.held)))
	for i := range e.held {
		s.Uint(uint64(e.held[i].point))
		s.Bytes(e.held[i].cell)
	}
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
	for range r.Len() {
		if err := w.restoreEntry(r); err != nil {
			return err
		}
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("cannot restore dedup's state: %w", err)
	}
	return nil
}

func (w *Window) restoreEntry(r *snap.Reader) error {
	var k flow.Key
	r.Fixed(k.Src.Addr[:])
	r.Fixed(k.Dst.Addr[:])
	k.Src.Port, k.Dst.Port = uint16(r.Uint()), uint16(r.Uint())
	k.Realm, k.Proto = uint32(r.Uint()), uint8(r.Uint())
	e, id := w.entry(k)
	e.authority, e.reason = uint32(r.Uint()), flowv1.Authority(r.Uint())
	e.coverEnd, e.floor, e.reach, e.timeouts = r.Uint(), r.Uint(), r.Uint(), uint32(r.Uint())
	e.last, e.due = eventtime.Tick(r.Int()), eventtime.Tick(r.Int())
	if e.authority != noPoint && int(e.authority) >= len(w.points.all) {
		return fmt.Errorf("cannot restore dedup's state: %w", snap.ErrCorrupt)
	}
	for range r.Len() {
		p, cell := uint32(r.Uint()), r.Bytes()
		var f flowv1.Flow
		if int(p) >= len(w.points.all) || f.UnmarshalVT(cell) != nil {
			return fmt.Errorf("cannot restore dedup's state: %w", snap.ErrCorrupt)
		}
		due := e.due
		w.hold(e, id, p, &f, due)
	}
	if e.coverEnd > 0 {
		w.forget.Set(e.last.After(w.cfg.LateHorizon), id)
	}
	return nil
}
