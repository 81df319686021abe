package stage

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/flowledger/flowledger/services/dedup/merge"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/simulate"
	"github.com/flowledger/flowledger/services/stitch/biflow"
)

var twice = flag.Int("twice", 2000, "random paths whose messages are written twice")

// mergeCore and biflowCore are dedup's and stitch's cores as their services run them.
type mergeCore struct {
	*merge.Window
	flows  flow.Briefs
	orders flow.Orders
}

func (c *mergeCore) Tick(tick eventtime.Tick, in []Batch, out *Output) {
	c.flows.Reset()
	for _, b := range in {
		c.flows.Add(b.Value)
	}
	c.flows.Sort()
	c.say(out, func(emit func(*flow.Spliced)) { c.Window.TickWire(tick, c.flows.Records, emit) })
}

func (c *mergeCore) End(tick eventtime.Tick, out *Output) {
	c.say(out, func(emit func(*flow.Spliced)) { c.Window.EndWire(tick, emit) })
}

func (c *mergeCore) say(out *Output, step func(emit func(*flow.Spliced))) {
	var said []flow.Spliced
	step(func(f *flow.Spliced) { said = append(said, *f) })
	for _, place := range c.orders.Spliced(said) {
		out.Append(0, 0, &said[place.At])
	}
}

type biflowCore struct {
	*biflow.Table
	in   biflow.Input
	said biflow.Output
}

func (c *biflowCore) Tick(tick eventtime.Tick, in []Batch, out *Output) {
	c.in.Reset()
	for _, b := range in {
		c.in.Add(b.Value)
	}
	c.TickWire(tick, &c.in, &c.said)
	c.say(out)
}

func (c *biflowCore) End(tick eventtime.Tick, out *Output) {
	c.EndWire(tick, &c.said)
	c.say(out)
}

func (c *biflowCore) say(out *Output) {
	c.said.Each(func(_ uint64, delimited []byte) { out.AppendEncoded(0, 0, delimited) })
}

// TestMessagesTwiceChangeNothing is the fifth invariant of preparation: with any
// input message of dedup or stitch written twice, at once or later, both say the
// same, byte for byte.
func TestMessagesTwiceChangeNothing(t *testing.T) {
	for i := range *twice {
		seed := uint64(i + 1)
		rng := rand.New(rand.NewPCG(seed, 5))
		raw := rawLog(t, rng, seed)
		deduped, wantFlows := throughEngine(dedupPlan, &mergeCore{Window: merge.New(merge.Default())}, raw, "dedup/0")
		_, want := throughEngine(stitchPlan, &biflowCore{Table: biflow.New(biflow.Default())}, deduped, "stitch/0")

		again, gotFlows := throughEngine(dedupPlan, &mergeCore{Window: merge.New(merge.Default())}, repeat(rng, raw), "dedup/0")
		_, got := throughEngine(stitchPlan, &biflowCore{Table: biflow.New(biflow.Default())}, repeat(rng, again), "stitch/0")
		if !bytes.Equal(wantFlows, gotFlows) || !bytes.Equal(want, got) {
			t.Fatalf("seed %d: messages that came twice changed what is said", seed)
		}
		if len(want) == 0 {
			t.Fatalf("seed %d: nothing was said", seed)
		}
	}
}

var (
	dedupPlan = plan{
		stage: "dedup", inboxes: []inboxPlan{{topic: FlowsRaw}},
		outputs: []outputPlan{{OutputSpec{Topic: FlowsDeduped, Ticks: true, Aligned: true}, 1}},
	}
	stitchPlan = plan{
		stage: "stitch", inboxes: []inboxPlan{{topic: FlowsDeduped, expected: []string{"dedup/0"}}},
		outputs: []outputPlan{{OutputSpec{Topic: Biflows, Ticks: true}, 1}},
	}
)

// rawLog is a path's reports as two sources write them.
func rawLog(t *testing.T, rng *rand.Rand, seed uint64) (log []message) {
	cfg := simulate.DefaultPath()
	cfg.Seed, cfg.Conversations, cfg.Duration, cfg.Longest = seed, 1+rng.IntN(5), time.Minute, 10*time.Minute
	cfg.Hops, cfg.Protocols = 1+rng.IntN(3), []simulate.Protocol{simulate.Reports}
	p, err := simulate.NewPath(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var seq [2]int64
	var last eventtime.Tick
	write := func(source int, tick eventtime.Tick, end bool, bye string, value []byte, count int) {
		log = append(log, message{
			header: header{source: fmt.Sprintf("ingest/%c", 'a'+source), seq: seq[source], tick: tick, end: end, bye: bye},
			value:  value, count: count,
		})
		seq[source] += int64(count)
	}
	_, err = p.Run(simulate.Output{Datagram: func(d simulate.Datagram) error {
		fs, err := simulate.DecodeReports(d)
		var value []byte
		for _, f := range fs {
			value = flow.AppendDelimited(value, f)
		}
		tick := eventtime.TickOf(uint64(d.At))
		if tick > last && last > 0 {
			write(0, tick-1, true, "", nil, 0)
			write(1, tick-1, true, "", nil, 0)
		}
		last = tick
		write(d.Exporter%2, tick, false, "", value, len(fs))
		return err
	}})
	if err != nil {
		t.Fatal(err)
	}
	write(0, last, true, ByeEndOfInput, nil, 0)
	write(1, last, true, ByeEndOfInput, nil, 0)
	return log
}

// repeat writes some messages of a log again: at once, or later.
func repeat(rng *rand.Rand, log []message) (out []message) {
	for _, m := range log {
		out = append(out, m)
		for rng.IntN(3) == 0 {
			out = append(out, out[max(0, len(out)-1-rng.IntN(1+rng.IntN(20)))])
		}
	}
	return out
}

// throughEngine runs a log through a stage. It returns what the stage writes, as
// messages and as records.
func throughEngine(p plan, core Core, log []message, source string) (out []message, records []byte) {
	e := newEngine(p, core)
	say := func(_, _ int, m outgoing) {
		value := bytes.Clone(m.value)
		m.source = source
		out = append(out, message{header: m.header, value: value, count: m.count})
		records = append(records, value...)
	}
	for i := range log {
		m := log[i]
		m.offset = int64(i)
		e.accept(0, &m)
		e.step(say)
	}
	return out, records
}
