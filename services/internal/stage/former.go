package stage

import (
	"context"
	"errors"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// former is a process that is no more, and left something to be said.
type former struct {
	name   string
	source *Source
	writer *writer
	seqs   [][]int64
	byes   [][]bool
	tick   eventtime.Tick
	cancel context.CancelFunc
	done   chan struct{}
}

// former writes under the name of a former process. Its errors are those that
// this process's own lanes meet as well.
func (s *Source) former(ctx context.Context, name string) *former {
	plan := s.plan
	plan.source = name
	ctx, cancel := context.WithCancel(ctx)
	f := &former{name: name, source: s, writer: newWriter(s.client, plan, int64(s.cfg.QueueBytes), s.m, s.log), cancel: cancel, done: make(chan struct{})}
	f.writer.heard = func(a ack) { s.clock.add(a, s.m) }
	for _, n := range s.counts {
		f.seqs, f.byes = append(f.seqs, make([]int64, n)), append(f.byes, make([]bool, n))
	}
	go func() {
		defer close(f.done)
		if err := f.writer.run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			s.log.Error("cannot write what a former process left", "error", err)
		}
	}()
	return f
}

func (f *former) put(m *spooled) error {
	t, err := f.source.topicOf(m)
	if err != nil {
		return err
	}
	f.seqs[t][m.partition] = m.seq + int64(m.count)
	f.tick = max(f.tick, m.tick)
	f.byes[t][m.partition] = m.bye != ""
	f.writer.put(t, m.partition, m.outgoing)
	return nil
}

// sayBye signs off where the process had no time to. A number that is too low, of
// a partition of which nothing was spooled, tells readers nothing new.
func (f *former) sayBye() {
	for t := range f.byes {
		for p, said := range f.byes[t] {
			if !said && !f.source.plain[t] {
				m := mark(f.seqs[t][p], f.tick)
				m.bye = ByeStop
				f.writer.put(t, p, m)
			}
		}
	}
}

func (f *former) close() {
	if f != nil {
		f.cancel()
		<-f.done
	}
}

// keep spools what the lanes still hold when nobody writes any more, before all
// else, and tells how much waits for the next process.
func (sp *spooler) keep() (bytes int64, err error) {
	s := sp.source
	s.mu.Lock()
	defer s.mu.Unlock()
	if sp.on {
		sp.flush()
	}
	if frames, records := s.writer.unwritten(s.topics); len(frames) > 0 {
		if _, err := sp.spool.Prepend(frames, records); err != nil {
			return 0, err
		}
	}
	return sp.spool.Bytes(), nil
}

// copyQueue puts what waits in memory on disk as well, lest it die with the process:
// the lanes go on to send it, and the copy goes when they have. As it is a copy, no
// record is lost with it. Source.mu is held.
func (sp *spooler) copyQueue() {
	frames, records := sp.source.writer.unwritten(sp.source.topics)
	if len(frames) == 0 {
		return
	}
	clear(records)
	var err error
	if sp.copied, err = sp.spool.Prepend(frames, records); err != nil {
		sp.log.Warn("what waits for Kafka in memory is in memory only", "error", err)
	}
}

// unwritten is what the lanes hold, as frames, with the number of records in each.
func (w *writer) unwritten(topics []string) (frames [][]byte, records []int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for t, lanes := range w.lanes {
		for p, l := range lanes {
			b, n := rest(l.queue, topics[t], p)
			if len(b) > 0 {
				frames, records = append(frames, b), append(records, n)
			}
		}
	}
	return frames, records
}

// rest is what a lane has not written, as a frame. Marks alone are not worth it.
func rest(queue []outgoing, topic string, partition int) (frame []byte, records int) {
	for _, m := range queue {
		if m.count > 0 || m.bye != "" {
			frame = (&spooled{topic: topic, partition: partition, outgoing: m}).append(frame)
			records += m.count
		}
	}
	return frame, records
}
