package stage

import (
	"bytes"
	"testing"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// TestBufferPool gives room, takes it back, and holds a bounded amount.
func TestBufferPool(t *testing.T) {
	var p bufferPool
	for _, n := range []int{0, 1, 4096, 4097, 1 << 20, 16 << 20, 16<<20 + 1, 40 << 20} {
		b := p.get(n)
		if len(b) != 0 || cap(b) < n {
			t.Errorf("asked for %d bytes, got %d of %d", n, len(b), cap(b))
		}
		p.put(append(b, 1))
		if p.kept > poolBytes {
			t.Errorf("the pool holds %d bytes", p.kept)
		}
	}
	a := p.get(5000)[:1]
	p.put(a)
	if b := p.get(6000)[:1]; &a[0] != &b[0] {
		t.Error("a buffer is not used again")
	}
	for range 100 {
		p.put(make([]byte, 1<<20))
	}
	if p.kept > poolBytes {
		t.Errorf("the pool holds %d bytes", p.kept)
	}
}

// keeper notes what it was given.
type keeper struct {
	quietCore
	got [][]byte
}

func (k *keeper) Tick(_ eventtime.Tick, in []Batch, _ *Output) {
	for _, b := range in {
		k.got = append(k.got, bytes.Clone(b.Value))
	}
}

// TestPages releases a page when the last of its messages is released: those that are
// repetitions at once, others with their tick; and one that holds much for little early.
func TestPages(t *testing.T) {
	cfg := toyConfig(1, 1)
	spec := Spec{Name: "dedup", Epoch: 1, Inputs: []Input{{Topic: FlowsRaw}}, NewCore: func(int) Core { return quietCore{} },
		Outputs: []OutputSpec{{Topic: FlowsDeduped, Ticks: true, Aligned: true}}}
	core := &keeper{}
	e := newEngine(cfg.planner().plan(&spec, 0), core)
	p := &page{b: make([]byte, 0, 1<<16)}
	offset := int64(0)
	accept := func(source string, seq int64, tick eventtime.Tick, size int) {
		start := len(p.b)
		p.b = flow.AppendDelimited(p.b, &toyRecord{id: uint64(tick)})
		p.b = append(p.b, bytes.Repeat([]byte{0}, size)...) // records of nothing
		h := header{source: source, seq: seq, tick: tick, end: true}
		m := message{offset: offset, value: p.b[start:], fields: h.appendFields(nil, []byte(source)), page: p}
		offset++
		p.refs.Add(1)
		if err := m.parse(false); err != nil {
			t.Fatal(err)
		}
		e.accept(0, &m)
		e.step(func(int, int, outgoing) {})
	}
	accept("a", 0, 1, 0) // all sources have passed it: released at once
	if n := p.refs.Load(); n != 0 || len(core.got) != 1 {
		t.Fatalf("%d messages are held, the core saw %d", n, len(core.got))
	}
	p = &page{b: make([]byte, 0, 1<<16)}
	accept("a", 0, 1, 0) // a repetition
	if n := p.refs.Load(); n != 0 {
		t.Fatalf("%d repetitions are held", n)
	}
	p = &page{b: make([]byte, 0, 1<<16)}
	p.refs.Add(1)
	accept("b", 0, 2, 0) // a has not passed it
	accept("b", 1, 3, 9000)
	want := [][]byte{bytes.Clone(p.b[:len(p.b)-9000-6]), bytes.Clone(p.b[len(p.b)-9000-6:])}
	if n := p.refs.Load(); n != 3 {
		t.Fatalf("%d messages are held", n-1)
	}
	e.settle()
	if n := p.refs.Load(); n != 2 {
		t.Errorf("%d messages are held: the small one should have memory of its own, the other not", n-1)
	}
	core.got = nil
	accept("a", 1, 3, 0)
	if len(core.got) != 3 || !bytes.Equal(core.got[0], want[0]) || !bytes.Equal(core.got[1], want[1]) {
		t.Errorf("the core saw %d batches, other than those that waited", len(core.got))
	}
	if n := p.refs.Load(); n != 1 {
		t.Errorf("%d messages are held at the end", n-1)
	}
}
