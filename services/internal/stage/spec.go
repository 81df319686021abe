package stage

import (
	"errors"
	"fmt"
	"slices"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// Spec says what a stage is: its topics and its core.
type Spec struct {
	// Name is the stage's name: it names the state topic, the consumer group and
	// the sources of its outputs.
	Name string
	// Epoch is the number of the configuration: raise it when a change of
	// configuration or code makes the core answer differently to the same input.
	// Messages of lower epochs are then ignored by whoever has seen the higher.
	Epoch  int
	Inputs []Input
	// Outputs are what the core writes. What it cannot read goes to FlowsDead beside
	// them, the last of all.
	Outputs []OutputSpec
	// Policy tells that the core is a PolicyCore: it is given the policy that holds.
	Policy bool
	// NewCore makes the fresh core of one partition.
	NewCore func(partition int) Core
}

// Input is a topic that a stage reads.
type Input struct {
	Topic string
	// From is the stage that writes the topic: one source per partition of its
	// own input, all waited for. Empty for topics that ingest or people write:
	// sources come and go.
	From string
	// Aligned tells that partition p of the topic is written by partition p of
	// From alone (OutputSpec.Aligned there), so that no other is waited for.
	Aligned bool
	// Broadcast inputs are needed whole: every partition of the stage reads all
	// partitions of the topic.
	Broadcast bool
	// Delay is by how many ticks the input takes effect later than its own ticks
	// say. A stage that reads its own output needs it.
	Delay eventtime.Tick
}

// OutputSpec is a topic that a stage writes.
type OutputSpec struct {
	Topic string
	// Ticks tells that readers go by the ticks: partitions without records get
	// empty messages that say how far the stage has come.
	Ticks bool
	// Aligned tells that partition p of the stage writes to partition p alone.
	Aligned bool
}

// outputs are all topics that the stage writes.
func (s *Spec) outputs() []OutputSpec {
	return append(slices.Clip(s.Outputs), OutputSpec{Topic: FlowsDead})
}

// Validate names what is wrong with a spec: the mistakes of its author.
func (s *Spec) Validate() error {
	if s.Name == "" || s.NewCore == nil {
		return errors.New("a stage needs a name and a core")
	}
	if s.Epoch < 0 || s.Epoch > maxEpoch {
		return fmt.Errorf("stage %s: epoch %d is not from 0 to %d", s.Name, s.Epoch, maxEpoch)
	}
	leading := 0
	for _, in := range s.Inputs {
		if in.Aligned && (in.From == "" || in.Broadcast) {
			return fmt.Errorf("stage %s: input %s can be aligned only with a stage, and not broadcast", s.Name, in.Topic)
		}
		if in.From == s.Name && in.Delay < 1 {
			return fmt.Errorf("stage %s: reading its own output %s needs a delay", s.Name, in.Topic)
		}
		if !in.Broadcast && in.From != s.Name {
			leading++
		}
	}
	if leading == 0 {
		return fmt.Errorf("stage %s: needs an input that is not broadcast: it is assigned by its partitions", s.Name)
	}
	return nil
}

// plan is what one partition's engine reads and writes.
type plan struct {
	stage     string
	epoch     int
	partition int
	inboxes   []inboxPlan
	outputs   []outputPlan
	policy    bool
}

type outputPlan struct {
	OutputSpec
	partitions int
}

// source is the name under which the partition writes.
func (p *plan) source() string { return stageSource(p.stage, p.partition) }

func stageSource(stage string, partition int) string { return fmt.Sprintf("%s/%d", stage, partition) }

// planner knows topics: their partitions and kinds.
type planner struct {
	// partitions of a topic, 0 if there is no such topic.
	partitions func(topic string) int
	plain      func(topic string) bool
}

func (c *Config) planner() planner {
	return planner{
		partitions: c.PartitionsOf,
		plain: func(name string) bool {
			t, _ := TopicNamed(name)
			return t.Plain
		},
	}
}

// width is the number of partitions of the stage.
func (pl planner) width(s *Spec) (int, error) {
	width := 0
	for _, in := range s.Inputs {
		n := pl.partitions(in.Topic)
		switch {
		case n == 0:
			return 0, fmt.Errorf("stage %s reads %s, which is not in the catalogue of topics", s.Name, in.Topic)
		case in.From != "" && pl.partitions(StateTopic(in.From)) == 0:
			return 0, fmt.Errorf("stage %s reads from stage %s, whose topic %s is not in the catalogue", s.Name, in.From, StateTopic(in.From))
		case in.Broadcast:
		case width != 0 && n != width:
			return 0, fmt.Errorf("stage %s: its inputs have %d and %d partitions; inputs that are not broadcast must have the same number", s.Name, width, n)
		default:
			width = n
		}
	}
	for _, out := range s.outputs() {
		n := pl.partitions(out.Topic)
		if n == 0 {
			return 0, fmt.Errorf("stage %s writes %s, which is not in the catalogue of topics", s.Name, out.Topic)
		}
		if out.Aligned && n != width {
			return 0, fmt.Errorf("stage %s: %s is aligned and needs %d partitions, not %d", s.Name, out.Topic, width, n)
		}
	}
	return width, nil
}

// plan lays out one partition of the stage.
func (pl planner) plan(s *Spec, partition int) plan {
	p := plan{stage: s.Name, epoch: s.Epoch, partition: partition, policy: s.Policy}
	for i, in := range s.Inputs {
		box := inboxPlan{input: i, topic: in.Topic, plain: pl.plain(in.Topic), delay: in.Delay, loop: in.From == s.Name}
		first, last := partition, partition
		if in.Broadcast {
			first, last = 0, pl.partitions(in.Topic)-1
		}
		for q := first; q <= last; q++ {
			box.partition = q
			box.expected = pl.expected(in, q)
			p.inboxes = append(p.inboxes, box)
		}
	}
	for _, out := range s.outputs() {
		p.outputs = append(p.outputs, outputPlan{out, pl.partitions(out.Topic)})
	}
	return p
}

// expected names the sources of one partition of an input; nil where they come and go.
func (pl planner) expected(in Input, partition int) []string {
	switch {
	case in.From == "":
		return nil
	case in.Aligned:
		return []string{stageSource(in.From, partition)}
	}
	names := make([]string, pl.partitions(StateTopic(in.From)))
	for i := range names {
		names[i] = stageSource(in.From, i)
	}
	return names
}
