package stage

import (
	"context"
	"time"

	"github.com/flowledger/flowledger/services/internal/spool"
)

// run leads what is spooled to the lanes, until the context ends.
func (sp *spooler) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sp.wake:
		}
		if err := sp.drain(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
	}
}

// drain empties the spool, then lets the source speak to its lanes again.
func (sp *spooler) drain(ctx context.Context) error {
	var old *former
	defer func() { old.close() }()
	for {
		seg := sp.spool.Take()
		if seg == nil {
			// What was queued before the detour began goes first: until Kafka takes that,
			// it takes nothing else.
			w := sp.source.writer
			if err := w.reached(ctx, w.positions()); err != nil {
				return err
			}
			if sp.end() {
				return nil
			}
			continue
		}
		if seg == sp.copied { // the lanes have it
			if err := sp.done(ctx, seg, sp.source.writer); err != nil {
				return err
			}
			continue
		}
		put, reached := sp.source.putSpooled, sp.source.writer
		if seg.Owner != sp.source.name {
			if old == nil || old.name != seg.Owner {
				old.close()
				old = sp.source.former(ctx, seg.Owner)
			}
			put, reached = old.put, old.writer
		}
		if err := sp.send(ctx, seg, put, reached); err != nil {
			return err
		}
		if old != nil && old.name == seg.Owner && !sp.spool.More(seg.Owner) {
			old.sayBye()
		}
		if err := sp.done(ctx, seg, reached); err != nil {
			return err
		}
	}
}

// done removes a segment once Kafka has it.
func (sp *spooler) done(ctx context.Context, seg *spool.Segment, w *writer) error {
	if err := w.reached(ctx, w.positions()); err != nil {
		return err
	}
	return sp.spool.Remove(seg)
}

// send puts a segment's messages into their lanes as these have room.
func (sp *spooler) send(ctx context.Context, seg *spool.Segment, put func(*spooled) error, w *writer) error {
	err := seg.Each(func(frame []byte) error {
		for len(frame) > 0 {
			m, rest, err := nextSpooled(frame)
			if err != nil {
				return err
			}
			if err := w.awaitRoom(ctx); err != nil {
				return err
			}
			if err := put(&m); err != nil {
				return err
			}
			frame = rest
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		sp.log.Error("part of the spool is lost", "error", err)
		return nil
	}
	return err
}

// end closes the detour if nothing was spooled meanwhile.
func (sp *spooler) end() bool {
	s := sp.source
	s.mu.Lock()
	defer s.mu.Unlock()
	sp.flush()
	if !sp.spool.Empty() {
		return false
	}
	for t := range sp.marks {
		for p, m := range sp.marks[t] {
			if m != nil {
				s.writer.put(t, p, *m)
				sp.marks[t][p] = nil
			}
		}
	}
	sp.on = false
	close(sp.idle)
	sp.log.Info("Kafka has all that was spooled", "after", time.Since(sp.began).Round(time.Millisecond).String())
	return true
}

// putSpooled puts a message of this process's own into its lane.
func (s *Source) putSpooled(m *spooled) error {
	t, err := s.topicOf(m)
	if err == nil {
		s.writer.put(t, m.partition, m.outgoing)
	}
	return err
}
