package stage

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts of testdata anew")

// TestInboxTranscripts plays the logs of testdata/inbox: before ---- is a log, one
// message a line (source seq+count tick, then end, stop or end_of_input), or
// "hole N"; behind it, what came of each: what is new and when it takes effect, how far
// the log is complete, and who is not live. "expect a b" names a stage's sources.
func TestInboxTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/inbox/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			log, want, _ := strings.Cut(string(b), "----\n")
			got := playInbox(t, log)
			if *rewrite {
				if err := os.WriteFile(file, []byte(log+"----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want, +got):\n%s", diff)
			}
		})
	}
}

func playInbox(t *testing.T, log string) string {
	var out strings.Builder
	in, tl := newInbox(inboxPlan{topic: FlowsRaw}), tally{}
	for line := range strings.Lines(log) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || words[0] == "#":
			continue
		case words[0] == "expect":
			in = newInbox(inboxPlan{topic: FlowsDeduped, expected: words[1:]})
			continue
		case words[0] == "hole":
			in.skipTo(in.next + number(t, words[1]))
			continue
		}
		m := inboxMessage(t, words)
		before := tl
		_, fresh, at := in.accept(&m, &tl)
		fmt.Fprintf(&out, "%-32s", strings.Join(words, " "))
		if fresh > 0 {
			fmt.Fprintf(&out, " %d at %d", fresh, at)
		}
		describeInbox(&out, in, before, tl)
	}
	return out.String()
}

func inboxMessage(t *testing.T, words []string) message {
	seq, count, _ := strings.Cut(words[1], "+")
	m := message{header: header{source: words[0], seq: number(t, seq), tick: eventtime.Tick(number(t, words[2]))}}
	if name, epoch, found := strings.Cut(words[0], "@"); found {
		m.source, m.epoch = name, int(number(t, epoch))
	}
	for range number(t, count) {
		m.value = append(m.value, 1, 'x')
		m.count++
	}
	for _, w := range words[3:] {
		if w == "end" {
			m.end = true
		} else {
			m.bye = w
		}
	}
	return m
}

func describeInbox(out *strings.Builder, in *inbox, before, now tally) {
	switch p := in.passed(); p {
	case eventtime.Never:
		out.WriteString(" | over")
	case beforeAll:
		out.WriteString(" | nothing passed")
	default:
		fmt.Fprintf(out, " | passed %d", p)
	}
	for _, s := range in.sources {
		if s.state != live {
			fmt.Fprintf(out, ", %s %s", s.name, [...]string{"live", "dead", "left", "over"}[s.state])
		}
	}
	for _, c := range []struct {
		name string
		n    int64
	}{{"duplicates", now.duplicates - before.duplicates}, {"lost", now.lost - before.lost}, {"late", now.late - before.late},
		{"stale", now.stale - before.stale}, {"foreign", now.foreign - before.foreign}, {"after the end", now.ended - before.ended}} {
		if c.n > 0 {
			fmt.Fprintf(out, ", %d %s", c.n, c.name)
		}
	}
	out.WriteString("\n")
}

func number(t *testing.T, s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestHotPathAllocations(t *testing.T) {
	cfg := toyConfig(1, 1)
	spec := Spec{Name: "dedup", Epoch: 1, NewCore: func(int) Core { return quietCore{} },
		Inputs: []Input{{Topic: FlowsRaw}}, Outputs: []OutputSpec{{Topic: FlowsDeduped, Ticks: true, Aligned: true}}}
	e := newEngine(cfg.planner().plan(&spec, 0), quietCore{})
	m := message{header: header{source: "ingest/a", end: true, tick: 1}, value: []byte{1, 'a', 1, 'b'}, count: 2}
	said := 0
	say := func(int, int, outgoing) { said++ }
	perTick := testing.AllocsPerRun(1000, func() {
		e.accept(0, &m)
		e.step(say)
		m.seq, m.tick, m.offset = m.seq+2, m.tick+1, m.offset+1
	})
	if perTick > 0 {
		t.Errorf("a tick of one message costs %v allocations in the engine, want none", perTick)
	}
	if said < 1000 || e.tally.records < 2000 {
		t.Errorf("said %d, took %+v", said, e.tally)
	}
}

// quietCore says nothing.
type quietCore struct{}

func (quietCore) Tick(eventtime.Tick, []Batch, *Output) {}
func (quietCore) NextTimer() eventtime.Tick             { return eventtime.Never }
func (quietCore) End(eventtime.Tick, *Output)           {}
func (quietCore) AppendSnapshot(b []byte) []byte        { return b }
func (quietCore) Restore([]byte) error                  { return nil }
