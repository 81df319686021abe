package stage

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// Whatever a message says, it is either refused or taken; and what is taken can be
// said again.
func FuzzMessage(f *testing.F) {
	f.Add("dedup/3@1", "17", "3400000000", "1", "", []byte{1, 'a'})
	f.Add("ingest/4f1c", "0", "1", "", ByeEndOfInput, []byte{})
	f.Add("@", "-1", "99999999999999999999", "yes", "gone", []byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, source, seq, tick, end, bye string, value []byte) {
		m := message{value: value, fields: []field{
			{headerSource, []byte(source)}, {headerSeq, []byte(seq)}, {headerTick, []byte(tick)}, {headerTickEnd, []byte(end)}, {"other", value},
		}}
		if bye != "" {
			m.fields = append(m.fields, field{headerBye, []byte(bye)})
		}
		in := newInbox(inboxPlan{topic: FlowsRaw})
		r := newReader()
		if m.parse(false) != nil {
			return
		}
		again := message{value: value, fields: m.appendFields(nil, []byte(sourceName(m.source, m.epoch)))}
		if err := again.parse(false); err != nil || again.header != m.header || again.count != m.count {
			t.Fatalf("said %+v, understood %+v, %v", m.header, again.header, err)
		}
		var tl tally
		for range 2 {
			rest, fresh, _ := in.accept(&m, &tl)
			if n, err := flow.Count(rest); err != nil || n != fresh {
				t.Fatalf("%d records are new, %d are left, %v", fresh, n, err)
			}
			r.take(&m)
		}
		if tl.records != int64(m.count) || r.tally.records != int64(m.count) {
			t.Fatalf("of %d records %d and %d were taken", m.count, tl.records, r.tally.records)
		}
	})
}

// Bytes that are no snapshot are refused; those that are give the same again.
func FuzzRestore(f *testing.F) {
	cfg := toyConfig(2, 2)
	spec := toyChain()[2]
	fresh := func() *engine { return newEngine(cfg.planner().plan(&spec, 1), newToyJudge(1)) }
	m := newModel(&testing.T{}, rand.New(rand.NewPCG(1, 1)), cfg, map[string][][]stored{FlowsRaw: busyScript(20).writes(rand.New(rand.NewPCG(1, 1)), 2)})
	for range 600 {
		m.act(m.rng.IntN(len(m.owners)))
	}
	for _, o := range m.owners {
		f.Add(o.engine.appendSnapshot(nil))
	}
	f.Add(fresh().appendSnapshot(nil))
	f.Add([]byte{snapshotVersion})
	f.Fuzz(func(t *testing.T, snapshot []byte) {
		e := fresh()
		if e.restore(bytes.Clone(snapshot)) != nil {
			return
		}
		first := e.appendSnapshot(nil)
		e2 := fresh()
		if err := e2.restore(bytes.Clone(first)); err != nil {
			t.Fatalf("cannot restore what a restored engine says: %v", err)
		}
		if !bytes.Equal(first, e2.appendSnapshot(nil)) {
			t.Fatal("a restored engine gives another snapshot")
		}
	})
}

func FuzzPosition(f *testing.F) {
	r := newReader()
	f.Add(int64(0), r.position().Sources)
	r.take(&message{header: header{source: "ingest/a", seq: 0, tick: 3}, value: []byte{1, 'a'}, count: 1})
	f.Add(int64(1), r.position().Sources)
	f.Fuzz(func(t *testing.T, next int64, sources []byte) {
		r := newReader()
		if r.restore(&Position{Next: next, Sources: sources}) != nil {
			return
		}
		again := newReader()
		p := r.position()
		if err := again.restore(&p); err != nil || !bytes.Equal(again.position().Sources, p.Sources) {
			t.Fatalf("a position does not come back: %v", err)
		}
	})
}
