package stage

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/segmentio/kafka-go"
)

// snapshot asks for one, if there is anything new and none is being stored: it is
// taken when it is this partition's turn.
func (w *worker) snapshot() { w.due = w.storing == nil && w.changed }

// turn gives the memory for the snapshot that is due. There is only one for all
// partitions of a stage, so that they take turns at what costs memory and CPU.
func (w *worker) turn() <-chan []byte {
	if w.due {
		return w.turns
	}
	return nil
}

// takeSnapshot takes one, and has it stored while work goes on: first everything that
// was said before it must be acknowledged, then it is written, then the group's offset
// moves.
func (w *worker) takeSnapshot(memory []byte) {
	started := time.Now()
	w.since, w.changed, w.due = 0, false, false
	w.pace.taken()
	data, said, m := w.engine.appendSnapshot(memory[:0]), w.writer.positions(), w.manifest()
	offsets := w.offsets()
	done := make(chan storedState, 1)
	w.storing = done
	ctx, cancel := context.WithCancel(context.Background())
	w.giveUp = cancel
	go func() {
		defer cancel()
		p := pack(data)
		cost := time.Since(started)
		w.turns <- data
		done <- storedState{cost: cost, err: w.store(ctx, said, m, p, offsets, started)}
	}()
}

func (w *worker) store(ctx context.Context, said []int64, m manifest, p packed, offsets map[string]map[int]int64, started time.Time) error {
	defer p.free()
	if err := w.writer.reached(ctx, said); err != nil {
		return fmt.Errorf("outputs are not acknowledged: %w", err)
	}
	if err := w.state.write(ctx, m, p); err != nil {
		return err
	}
	w.metrics.snapshots.Inc()
	w.metrics.snapshotBytes.Set(float64(p.bytes))
	w.metrics.snapshotSeconds.Observe(time.Since(started).Seconds())
	if err := w.a.generation.commit(offsets); err != nil && !errors.Is(err, kafka.RebalanceInProgress) {
		w.log.Info("the group did not take the offsets", "error", err)
	}
	return nil
}

// storedState is how storing a snapshot went.
type storedState struct {
	cost time.Duration
	err  error
}

func (w *worker) stored(s storedState) {
	w.storing = nil
	w.pace.cost = s.cost
	if err := s.err; err != nil {
		w.changed = true
		w.metrics.snapshotErrors.Inc()
		w.log.Warn("cannot store the state; a crash would replay more", "error", err)
	}
}

func (w *worker) manifest() manifest {
	m := manifest{Stage: w.spec.Name, Partition: w.plan.partition, Epoch: w.spec.Epoch, Inputs: map[string]int64{}}
	for _, in := range w.engine.inboxes {
		m.Inputs[in.topic+"/"+strconv.Itoa(in.partition)] = in.next
	}
	if p := w.engine.policies; p != nil {
		m.Inputs[Policy+"/0"] = p.next
	}
	return m
}

// offsets are those of the partitions that the group deals out.
func (w *worker) offsets() map[string]map[int]int64 {
	offsets := map[string]map[int]int64{}
	for _, in := range w.engine.inboxes {
		topic := w.cfg.Topic(in.topic)
		for _, p := range w.a.partitions {
			if p.topic == topic && p.partition == in.partition {
				offsets[topic] = map[int]int64{in.partition: in.next}
			}
		}
	}
	return offsets
}

// stopPatience is for how long a worker that stops tries to store its state; what
// it cannot store is replayed.
const stopPatience = 20 * time.Second

// release stores the state and keeps the engine for the next generation.
func (w *worker) release(failed <-chan error) {
	late := time.NewTimer(min(stopPatience, w.cfg.RebalanceTimeout))
	defer late.Stop()
	for {
		w.snapshot()
		if w.storing == nil && !w.due {
			w.keep(w.plan.partition, w.a.generation.id, w.engine)
			return
		}
		select {
		case memory := <-w.turn():
			w.takeSnapshot(memory)
		case s := <-w.storing:
			w.stored(s)
		case <-late.C:
			w.log.Warn("cannot store the state while stopping; it will be replayed")
			return
		case err := <-failed:
			w.log.Error("cannot store the state while stopping; it will be replayed", "error", err)
			return
		}
	}
}

// abandon ends a snapshot that is still being stored.
func (w *worker) abandon() {
	if w.storing != nil {
		w.giveUp()
		<-w.storing // given up: how it ended does not matter
		w.storing = nil
	}
}
