package stage

import (
	"context"
	"time"
)

// Written returns once Kafka has everything that was appended before the call, so
// that its origin may be forgotten. What waits in the spool is not there yet: the
// spool is bounded, and gives up its oldest. It waits for the open tick to be ended,
// which is for others to do.
func (s *Source) Written(ctx context.Context) error {
	if err := s.sealedSince(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	at := s.writer.positions()
	s.mu.Unlock()
	if s.spooler != nil {
		if err := s.spooler.empty(ctx); err != nil {
			return err
		}
	}
	return s.writer.reached(ctx, at)
}

// sealedSince waits until the tick that is open at the call has been ended.
func (s *Source) sealedSince(ctx context.Context) error {
	check := time.NewTicker(20 * time.Millisecond)
	defer check.Stop()
	open := s.lastTick()
	for s.lastTick() == open {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.stopped:
			return s.ended()
		case <-check.C:
		}
	}
	return nil
}

func (s *Source) lastTick() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(s.tick)
}
