package stage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// diaryCore writes down what it is called with.
type diaryCore struct {
	quietCore
	diary []string
}

func (c *diaryCore) Tick(tick eventtime.Tick, in []Batch, _ *Output) {
	line := fmt.Sprintf("%d:", tick)
	for _, b := range in {
		line += fmt.Sprintf(" %d=%s", b.Input, b.Value[1:])
	}
	c.diary = append(c.diary, line)
}

func (c *diaryCore) End(tick eventtime.Tick, _ *Output) {
	c.diary = append(c.diary, fmt.Sprintf("%d: end", tick))
}

// broadcastSpec reads flows, and names that every partition needs whole.
func broadcastSpec() Spec {
	return Spec{Name: "dedup", Epoch: 1, NewCore: func(int) Core { return &diaryCore{} },
		Inputs:  []Input{{Topic: FlowsRaw}, {Topic: DNS, Broadcast: true}},
		Outputs: []OutputSpec{{Topic: FlowsDeduped, Ticks: true, Aligned: true}}}
}

// A broadcast input is read from all partitions, each of which is waited for.
func TestBroadcastInput(t *testing.T) {
	cfg := toyConfig(2, 2)
	cfg.Partitions.Exporters = 2
	spec := broadcastSpec()
	p := cfg.planner().plan(&spec, 1)
	if got := []inboxPlan{{input: 0, topic: FlowsRaw, partition: 1}, {input: 1, topic: DNS, partition: 0}, {input: 1, topic: DNS, partition: 1}}; !cmp.Equal(got, p.inboxes, cmp.AllowUnexported(inboxPlan{})) {
		t.Fatalf("inboxes are %+v", p.inboxes)
	}
	core := &diaryCore{}
	d := newDialogue(newEngine(p, core))
	d.tell(0, "ingest/a", 10, "x", "")
	d.tell(2, "ingest/a", 13, "name", "")
	d.tell(0, "ingest/a", 12, "y", "")
	d.tell(1, "ingest/a", 12, "", "")
	d.tell(0, "ingest/a", 15, "z", "")
	d.tell(1, "ingest/a", 14, "other", "")
	for inbox := range 3 {
		d.tell(inbox, "ingest/a", 16, "", ByeEndOfInput)
	}
	want := []string{"10: 0=x", "12: 0=y", "13: 1=name", "14: 1=other", "15: 0=z", "17: end"}
	if diff := cmp.Diff(want, core.diary); diff != "" {
		t.Errorf("diary (-want, +got):\n%s", diff)
	}
	if got, want := strings.Join(d.marks, " "), "1/12 1/13 1/17end_of_input"; got != want {
		t.Errorf("marks are %s, want %s", got, want)
	}
}

// dialogue tells an engine messages and notes how far it says it is.
type dialogue struct {
	*engine
	marks []string
	seqs  map[string]int64
}

func newDialogue(e *engine) *dialogue { return &dialogue{engine: e, seqs: map[string]int64{}} }

func (d *dialogue) tell(inbox int, source string, tick eventtime.Tick, text, bye string) {
	m := message{header: header{source: source, seq: d.seqs[fmt.Sprint(source, inbox)], tick: tick, end: true, bye: bye}}
	if text != "" {
		m.value, m.count = append([]byte{byte(len(text))}, text...), 1
		d.seqs[fmt.Sprint(source, inbox)]++
	}
	d.accept(inbox, &m)
	d.step(d.say)
}

func (d *dialogue) say(_, partition int, m outgoing) {
	d.marks = append(d.marks, fmt.Sprintf("%d/%d%s", partition, m.tick, m.bye))
}

// A stage may get an input more, or one less, from one version to the next.
func TestSnapshotOutlivesAChangeOfInputs(t *testing.T) {
	cfg := toyConfig(2, 2)
	more, less := broadcastSpec(), broadcastSpec()
	less.Inputs = less.Inputs[:1]
	accept := func(e *engine, inbox int, text string) {
		e.accept(inbox, &message{header: header{source: "ingest/a", tick: 10}, value: append([]byte{1}, text...), count: 1})
	}
	e := newEngine(cfg.planner().plan(&more, 0), quietCore{})
	accept(e, 0, "a")
	accept(e, 1, "b")
	smaller := newEngine(cfg.planner().plan(&less, 0), quietCore{})
	if err := smaller.restore(e.appendSnapshot(nil)); err != nil {
		t.Fatal(err)
	}
	if len(smaller.waiting) != 1 || len(smaller.waiting[0].batches) != 1 || smaller.inboxes[0].next != 1 {
		t.Errorf("with one input less, %+v waits", smaller.waiting)
	}
	larger := newEngine(cfg.planner().plan(&more, 0), quietCore{})
	if err := larger.restore(smaller.appendSnapshot(nil)); err != nil {
		t.Fatal(err)
	}
	if len(larger.waiting) != 1 || larger.inboxes[1].next != 0 {
		t.Errorf("with one input more, %+v waits", larger.waiting)
	}
	other := toyConfig(2, 2)
	other.Partitions.Conversations = 3
	if err := newEngine(other.planner().plan(&less, 0), quietCore{}).restore(smaller.appendSnapshot(nil)); err == nil {
		t.Error("another number of output partitions was taken")
	}
}

func TestAlignedOutputsStayAligned(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "BUG: output 0 is aligned") {
			t.Errorf("got %v", r)
		}
	}()
	cfg := toyConfig(2, 2)
	spec := toyChain()[0]
	e := newEngine(cfg.planner().plan(&spec, 0), newToyMerge(1)) // writes to the other partition
	r := toyRecord{key: 1}
	m := outgoing{}
	m.value = append([]byte{byte(r.SizeVT())}, r.append(nil)...)
	e.accept(0, &message{header: header{source: "ingest/a", tick: 10, end: true}, value: m.value, count: 1})
	e.step(func(int, int, outgoing) {})
}
