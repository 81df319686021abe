package stage

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Run runs a stage until the context ends: it takes part in the stage's consumer
// group, and for each partition it is given it recovers the newest snapshot, and
// goes on from there. At the end it stores its state and leaves, so that whoever
// comes next has nothing to do again. It returns nil after a clean stop.
func Run(ctx context.Context, cfg Config, spec Spec, reg prometheus.Registerer, log *slog.Logger) error {
	if err := spec.Validate(); err != nil {
		return err
	}
	pl := cfg.planner()
	width, err := pl.width(&spec)
	if err != nil {
		return err
	}
	if n := cfg.PartitionsOf(StateTopic(spec.Name)); n != width {
		return fmt.Errorf("topic %s must have %d partitions like the inputs of stage %s, the catalogue says %d", StateTopic(spec.Name), width, spec.Name, n)
	}
	s := &stageRun{cfg: cfg, spec: spec, planner: pl, client: cfg.client(), metrics: newMetrics(reg, spec.Name),
		log: log.With("stage", spec.Name), kept: map[int]keptEngine{}, turns: make(chan []byte, 1)}
	s.turns <- nil
	defer s.client.close()
	if err := standBy(ctx, s.client, &s.cfg, s.topics(), s.log); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("cannot start stage %s: %w", spec.Name, err)
	}
	m := &member{cfg: &s.cfg, group: cfg.GroupOf(spec.Name), topics: s.leading(), balancer: &balancer{together: true},
		metrics: s.metrics, log: s.log, work: s.work}
	return m.run(ctx)
}

// stageRun is a running stage of this process.
type stageRun struct {
	cfg     Config
	spec    Spec
	planner planner
	client  *client
	metrics *metrics
	log     *slog.Logger

	// turns holds the memory for a snapshot of one partition, while none is taken.
	turns chan []byte

	mu sync.Mutex
	// kept are engines of the last generation. Any state that was ever valid is
	// valid for good; one of the generation just before saves the recovery.
	kept map[int]keptEngine
}

type keptEngine struct {
	engine     *engine
	generation int32
}

// topics are the full names of all topics of the stage.
func (s *stageRun) topics() (names []string) {
	for _, in := range s.spec.Inputs {
		names = append(names, s.cfg.Topic(in.Topic))
	}
	for _, out := range s.spec.outputs() {
		names = append(names, s.cfg.Topic(out.Topic))
	}
	if s.spec.Policy {
		names = append(names, s.cfg.Topic(Policy))
	}
	names = append(names, s.cfg.Topic(StateTopic(s.spec.Name)))
	slices.Sort(names)
	return slices.Compact(names)
}

// leading are the inputs that are dealt out by the group.
func (s *stageRun) leading() (names []string) {
	for _, in := range s.spec.Inputs {
		if !in.Broadcast {
			names = append(names, s.cfg.Topic(in.Topic))
		}
	}
	return names
}

// work runs one partition for one generation.
func (s *stageRun) work(ctx context.Context, a assignment) error {
	partition := a.partitions[0].partition
	w := &worker{stageRun: s, a: a, plan: s.planner.plan(&s.spec, partition), log: s.log.With("partition", partition)}
	w.state = &stateLog{client: s.client, topic: s.cfg.Topic(StateTopic(s.spec.Name)), partition: partition, log: w.log}
	return w.run(ctx)
}

// takeKept gives the engine that this process ran in the generation before.
func (s *stageRun) takeKept(partition int, generation int32) *engine {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kept[partition]
	delete(s.kept, partition)
	if k.generation+1 != generation {
		return nil
	}
	return k.engine
}

func (s *stageRun) keep(partition int, generation int32, e *engine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[partition] = keptEngine{e, generation}
}
