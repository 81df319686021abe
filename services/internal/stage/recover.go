package stage

import (
	"context"
	"errors"
	"fmt"
)

// recover gets the engine: the one that is still here, or one from the newest snapshot.
func (w *worker) recover(ctx context.Context) error {
	w.engine = w.takeKept(w.plan.partition, w.a.generation.id)
	for attempt := 0; ; attempt++ {
		err := w.begin(ctx)
		var fatal *fatalError
		if err == nil || errors.As(err, &fatal) {
			return err
		}
		if attempt%10 == 3 {
			w.log.Warn("cannot recover, still trying", "error", err)
		}
		if e := backoff(ctx, attempt); e != nil {
			return e
		}
	}
}

// fatalError is one that no repetition cures.
type fatalError struct{ error }

func (w *worker) begin(ctx context.Context) error {
	if w.engine == nil {
		if err := w.restore(ctx); err != nil {
			w.engine = nil
			return err
		}
	}
	return w.place(ctx)
}

// restore makes an engine of the newest snapshot, or a fresh one.
func (w *worker) restore(ctx context.Context) error {
	m, data, err := w.state.newest(ctx)
	if err != nil {
		return err
	}
	w.engine = newEngine(w.plan, w.spec.NewCore(w.plan.partition))
	if data == nil {
		return w.lostState()
	}
	if m.Epoch > w.spec.Epoch {
		return &fatalError{fmt.Errorf("the newest state of %s is of epoch %d, this process runs epoch %d: start the newer configuration", w.spec.Name, m.Epoch, w.spec.Epoch)}
	}
	if err := w.engine.restore(data); err != nil {
		return &fatalError{fmt.Errorf("cannot restore partition %d of stage %s: %w; run the version that wrote it, or begin a new timeline with another kafka.topic_prefix", w.plan.partition, w.spec.Name, err)}
	}
	w.log.Info("state was recovered", "bytes", len(data), "inputs", m.Inputs)
	return nil
}

// lostState refuses to begin anew where a snapshot must have been: the numbers of
// the outputs would begin again, and readers would drop what they name.
func (w *worker) lostState() error {
	for _, p := range w.a.partitions {
		if p.committed > 0 {
			return &fatalError{fmt.Errorf("the group has read %s/%d up to offset %d, but %s/%d holds no snapshot: the state is lost; restore the topic, or begin a new timeline with another kafka.topic_prefix",
				p.topic, p.partition, p.committed, w.state.topic, w.state.partition)}
		}
	}
	return nil
}

// place begins inputs that were never read at the first offset there is.
func (w *worker) place(ctx context.Context) error {
	for _, in := range w.engine.inboxes {
		if in.next > 0 {
			continue
		}
		first, _, err := w.client.offsets(ctx, w.cfg.Topic(in.topic), in.partition)
		if err != nil {
			return err
		}
		if first > 0 {
			in.skipTo(first)
		}
	}
	return nil
}
