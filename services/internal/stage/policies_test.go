package stage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// noteCore notes the policies it is given; those that begin with ! it refuses.
type noteCore struct {
	quietCore
	given []string
}

func (c *noteCore) Policy(raw []byte) error {
	if raw[0] == '!' {
		return errors.New("no policy")
	}
	c.given = append(c.given, string(raw))
	return nil
}

// policyMessage is a policy as it is read, written at a second.
func policyMessage(version int64, tick eventtime.Tick, raw string, second int64) message {
	h := header{seq: version - 1, tick: tick}
	m := message{fields: h.appendFields(nil, []byte(policySource)), value: appendBytes(nil, raw), time: time.Unix(second, 0)}
	_ = m.parse(false)
	return m
}

// Which policy holds follows from the log alone.
func TestPoliciesInForce(t *testing.T) {
	other := policyMessage(1, 50, "other", 0)
	other.source = "ingest/a"
	damaged := policyMessage(1, 50, "damaged", 0)
	damaged.value = damaged.value[:3]
	damaged.count, damaged.err = 0, errBatch
	for _, test := range []struct {
		name string
		log  []message
		want string // what the core is given by which of the ticks 0, 10, 20 …
		tl   tally
	}{
		{"one ahead", []message{policyMessage(1, 50, "a", 0)}, "50a", tally{records: 1}},
		{"from the start", []message{policyMessage(1, 0, "a", 1000)}, "0a", tally{records: 1}},
		{"written too late: ten seconds from then", []message{policyMessage(1, 50, "a", 25)}, "70a", tally{records: 1}},
		{"one after the other", []message{policyMessage(1, 50, "a", 0), policyMessage(2, 70, "b", 0)}, "50a 70b", tally{records: 2}},
		{"the last counts, also if it holds earlier", []message{policyMessage(1, 70, "a", 0), policyMessage(2, 50, "b", 0)}, "50b", tally{records: 2}},
		{"of one version the first", []message{policyMessage(1, 50, "a", 0), policyMessage(1, 50, "b", 0)}, "50a", tally{records: 1, duplicates: 1}},
		{"versions rise", []message{policyMessage(2, 50, "a", 0), policyMessage(1, 60, "b", 0)}, "50a", tally{records: 1, duplicates: 1}},
		{"one that is refused leaves the last", []message{policyMessage(1, 50, "a", 0), policyMessage(2, 60, "!", 0)}, "50a", tally{records: 2, refused: 1}},
		{"none of ours", []message{other, damaged, policyMessage(1, 50, "a", 0)}, "50a", tally{records: 1, malformed: 2}},
	} {
		core := &noteCore{}
		p := newPolicies(core)
		var tl tally
		got := ""
		for i := range test.log {
			test.log[i].offset = int64(i)
			p.accept(&test.log[i], beforeAll, &tl)
		}
		for tick := eventtime.Tick(0); tick <= 100; tick += 10 {
			n := len(core.given)
			p.enforce(tick, &tl)
			for _, raw := range core.given[n:] {
				got += fmt.Sprintf(" %d%s", tick, raw)
			}
			n = len(core.given)
			again := newPolicies(core)
			d := decoder{b: p.append(nil)}
			again.restore(&d)
			again.reinstate(&tl)
			if d.err != nil || len(d.b) > 0 || p.force.version > 0 && core.given[n] != core.given[n-1] {
				t.Fatalf("%s: restored at tick %d: %v, given %v", test.name, tick, d.err, core.given)
			}
			core.given = core.given[:n]
			p = again
		}
		if got != " "+test.want || tl != test.tl || p.next != int64(len(test.log)) {
			t.Errorf("%s: got%s, %+v, next %d", test.name, got, tl, p.next)
		}
	}
}

// A tick waits until the policies are read that were written before its records.
func TestTicksWaitForPolicies(t *testing.T) {
	cfg := toyConfig(1, 1)
	spec := Spec{Name: "dedup", Policy: true, Inputs: []Input{{Topic: FlowsRaw}}, Outputs: []OutputSpec{{Topic: FlowsDeduped, Ticks: true, Aligned: true}}}
	core := &struct {
		diaryCore
		noteCore
	}{}
	e := newEngine(cfg.planner().plan(&spec, 0), &policyDiary{&core.diaryCore, &core.noteCore})
	d := newDialogue(e)
	d.tell(0, "ingest/a", 30, "x", "")
	d.tell(0, "ingest/a", 31, "y", "")
	m := policyMessage(1, 31, "a", 0)
	e.acceptPolicy(&m)
	if len(core.diary) > 0 || len(d.marks) > 0 {
		t.Errorf("before the policies are known: %v, %v", core.diary, d.marks)
	}
	e.policies.read(e.passed(false))
	d.tell(0, "ingest/a", 31+policyAhead, "z", "")
	d.tell(0, "ingest/a", 32+policyAhead, "w", ByeEndOfInput)
	if diff := cmp.Diff([]string{"30: 0=x", "31: 0=y", "41: 0=z"}, core.diary); diff != "" {
		t.Errorf("when they are known up to 41 (-want, +got):\n%s", diff)
	}
	e.policies.read(e.passed(false))
	e.step(d.say)
	if diff := cmp.Diff([]string{"30: 0=x", "31: 0=y", "41: 0=z", "42: 0=w", "43: end"}, core.diary); diff != "" {
		t.Errorf("when all are known (-want, +got):\n%s", diff)
	}
	if !cmp.Equal(core.given, []string{"a"}) {
		t.Errorf("given %v", core.given)
	}
}

// TestWaitingForPoliciesTakesNoMemory: what only waits until the policies are read stays
// where it was read, however small a part of that it is.
func TestWaitingForPoliciesTakesNoMemory(t *testing.T) {
	cfg := toyConfig(1, 1)
	spec := Spec{Name: "dedup", Policy: true, Inputs: []Input{{Topic: FlowsRaw}}, Outputs: []OutputSpec{{Topic: FlowsDeduped, Ticks: true, Aligned: true}}}
	e := newEngine(cfg.planner().plan(&spec, 0), &policyDiary{&diaryCore{}, &noteCore{}})
	p := &page{b: make([]byte, 1<<16)}
	p.refs.Add(2)
	for i, end := range []bool{true, false} {
		value := flow.AppendDelimited(nil, &toyRecord{id: uint64(i)})
		e.accept(0, &message{header: header{source: "ingest/a", seq: int64(i), tick: eventtime.Tick(30 + i), end: end}, offset: int64(i), value: value, count: 1, page: p})
	}
	e.settle()
	if p.refs.Load() != 1 || e.waiting[0].batches[0].page != p {
		t.Errorf("%d messages lie in the page: the one whose tick is complete should", p.refs.Load())
	}
}

type policyDiary struct {
	*diaryCore
	note *noteCore
}

func (c *policyDiary) Policy(raw []byte) error { return c.note.Policy(raw) }

// Policies that people write while a stream goes on hold from the same tick in all
// partitions, whoever is killed meanwhile.
func TestPoliciesAmongKills(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	spec := toyChain()[1]
	upstream, downstream := startStage(t, cfg, toyChain()[0]), startStage(t, cfg, toyChain()[2])
	members := []*process{startStage(t, cfg, spec), startStage(t, cfg, spec)}
	log := NewPolicyLog(cfg)
	defer log.Close()
	rng := rand.New(rand.NewPCG(5, 5))
	version := int64(0)
	written := written(t, cfg)
	pause := func(tick eventtime.Tick) {
		written()
		if tick%12 == 0 {
			i := rng.IntN(2)
			members[i].kill()
			members[i] = startStage(t, cfg, spec)
		}
		if tick%20 == 0 {
			version++
			if err := log.append(t.Context(), version, tick+20, []byte{byte(10 + version)}, time.UnixMilli(int64(tick)*500)); err != nil {
				t.Error(err)
			}
		}
	}
	feed(t, feedConfig(cfg), busyScript(120), pause)
	await(t, "the end of input", func() bool { return ended(t, cfg, Activity, 2) })
	for _, p := range append(members, upstream, downstream) {
		p.stop()
	}
	if all, err := log.Read(t.Context()); err != nil || len(all) != 6 || all[3].From != 100 {
		t.Errorf("policies are %v, %v", all, err)
	}
	verify(t, cfg)
}

// Of two that write the same version one is told that the other was first.
func TestAppendPolicy(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	log := NewPolicyLog(cfg)
	defer log.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	soon := eventtime.TickOf(uint64(time.Now().UnixNano()))
	p, err := log.Append(ctx, 1, soon+1000, []byte("a"))
	if err != nil || p.Version != 1 || p.From != soon+1000 {
		t.Fatalf("got %+v, %v", p, err)
	}
	if _, err := log.Append(ctx, 1, soon+1000, []byte("b")); !errors.Is(err, ErrPolicyTaken) {
		t.Errorf("a second of version 1: got %v", err)
	}
	if p, err := log.Append(ctx, 2, soon, []byte("c")); err != nil || p.From < soon+policyLead {
		t.Errorf("of now: got %+v, %v", p, err)
	}
	if _, err := log.Append(ctx, 3, soon, make([]byte, MaxPolicyBytes+1)); err == nil {
		t.Error("a policy of any size is taken")
	}
	if _, err := log.Append(ctx, 3, soon, make([]byte, MaxPolicyBytes)); err != nil {
		t.Error(err)
	}
	all, err := log.Read(ctx)
	if err != nil || len(all) != 3 || string(all[1].Raw) != "c" {
		t.Errorf("got %d, %v", len(all), err)
	}
}

// A stage may begin to go by policies, or cease to, from one version to the next; and
// there were none in the first format of snapshots.
func TestSnapshotOutlivesAChangeOfPolicy(t *testing.T) {
	cfg := toyConfig(1, 1)
	spec := Spec{Name: "dedup", Inputs: []Input{{Topic: FlowsRaw}}}
	without := func() *engine { return newEngine(cfg.planner().plan(&spec, 0), quietCore{}) }
	going := spec
	going.Policy = true
	with := func() (*engine, *noteCore) {
		c := &noteCore{}
		return newEngine(cfg.planner().plan(&going, 0), c), c
	}
	e, _ := with()
	for version, tick := range []eventtime.Tick{1, 50} {
		m := policyMessage(int64(version+1), tick, "ab"[version:version+1], -100)
		e.acceptPolicy(&m)
	}
	e.enforce(30)
	snapshot := e.appendSnapshot(nil)
	again, core := with()
	if err := again.restore(snapshot); err != nil || !cmp.Equal(core.given, []string{"a"}) || len(again.policies.ahead) != 1 {
		t.Errorf("restored: %v, given %v, ahead %v", err, core.given, again.policies.ahead)
	}
	if err := without().restore(snapshot); err != nil {
		t.Error(err)
	}
	old := without().appendSnapshot(nil)
	if again, _ = with(); again.restore(old) != nil || again.policies.next != 0 {
		t.Error("a snapshot without policies is not taken")
	}
	old = old[:len(old)-1] // the core's part is empty, and so was that of policies
	old[0] = 1
	if again, _ = with(); again.restore(old) != nil || again.policies.next != 0 {
		t.Error("a snapshot of the first format is not taken")
	}
}

// A stage that has read all of its input before it knew the policies, and was stopped
// then, goes on though nothing more comes.
func TestPoliciesAreAskedForAtStart(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	feed(t, cfg, busyScript(30), nil)
	spec := Spec{Name: "dedup", Epoch: 1, Policy: true, NewCore: func(int) Core { return &noteCore{} },
		Inputs: []Input{{Topic: FlowsRaw}}, Outputs: []OutputSpec{{Topic: FlowsDeduped, Ticks: true, Aligned: true}}}
	c := cfg.client()
	defer c.close()
	for p, log := range readLogs(t, cfg, FlowsRaw)[FlowsRaw] {
		e := newEngine(cfg.planner().plan(&spec, p), spec.NewCore(p))
		for offset, s := range log {
			m := message{offset: int64(offset), fields: s.fields, value: s.value}
			if err := m.parse(false); err != nil {
				t.Fatal(err)
			}
			e.accept(0, &m)
		}
		state := &stateLog{client: c, topic: cfg.Topic(StateTopic("dedup")), partition: p, log: testLog(t)}
		if err := state.write(t.Context(), manifest{Stage: "dedup", Partition: p, Epoch: 1}, pack(e.appendSnapshot(nil))); err != nil {
			t.Fatal(err)
		}
	}
	startStage(t, cfg, spec)
	await(t, "the end of input", func() bool { return ended(t, cfg, FlowsDeduped, 1) })
}
