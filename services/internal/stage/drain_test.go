package stage

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// table is a destination in memory: rows and positions are stored together, now
// and then something fails, before or after storing.
type table struct {
	mu     sync.Mutex
	rng    *rand.Rand
	rows   map[string][]string // stored, by partition and source
	at     map[string]Position
	fails  int
	cuts   int
	opened int
}

func newTable() *table {
	return &table{rng: rand.New(rand.NewPCG(5, 5)), rows: map[string][]string{}, at: map[string]Position{}}
}

func (d *table) Open(_ context.Context, topic string, partition int) (Writer, *Position, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened++
	w := &tableWriter{table: d, unit: fmt.Sprintf("%s/%d", topic, partition)}
	if p, ok := d.at[w.unit]; ok {
		return w, &p, nil
	}
	return w, nil, nil
}

type tableWriter struct {
	*table
	unit string
	open map[string][]string
}

var errTable = errors.New("the table is away")

// Write cuts at every fifth tick.
func (w *tableWriter) Write(_ context.Context, m *Message, after func() Position) error {
	if w.open == nil {
		w.open = map[string][]string{}
	}
	entry, _ := TopicNamed(m.Topic)
	id := fmt.Sprintf("%s from %s", w.unit, m.Source)
	w.open[id] = append(w.open[id], recordsOf(m, entry.Plain, false)...)
	if m.Tick%5 != 0 && m.Bye == "" {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rng.IntN(25) == 0 {
		w.fails++
		return errTable
	}
	for id, rows := range w.open {
		w.rows[id] = append(w.rows[id], rows...)
	}
	w.open = nil
	w.at[w.unit] = after()
	w.cuts++
	if w.rng.IntN(25) == 0 { // stored, but we are not told
		w.fails++
		return errTable
	}
	return nil
}

func (w *tableWriter) Close() {}

// have is how many rows there are.
func (d *table) have() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, rows := range d.rows {
		n += len(rows)
	}
	return n
}

func TestDrainStoresEachRecordOnce(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	for _, spec := range toyChain() {
		startStage(t, cfg, spec)
	}
	feed(t, cfg, busyScript(100), nil)
	await(t, "the end of input", func() bool { return ended(t, cfg, Activity, 2) })
	topics := []string{Biflows, FlowsDeduped}
	want := map[string][]string{}
	m := newModel(t, nil, cfg, readLogs(t, cfg, topics...))
	total := 0
	for _, topic := range topics {
		for id, rows := range m.seen(topic) {
			want[id] = rows
			total += len(rows)
		}
	}
	dst := newTable()
	run := func() *process {
		return start(t, cfg, func(ctx context.Context, cfg Config) error {
			return Drain(ctx, cfg, "sink", topics, dst, nil, testLog(t))
		})
	}
	first := run()
	await(t, "a start", func() bool { return dst.have() > 0 })
	second := run()
	await(t, "two members", func() bool { return second.health.Ready() == nil || dst.have() >= total })
	first.stop()
	await(t, "all records", func() bool { return dst.have() >= total })
	second.stop()
	dst.mu.Lock()
	defer dst.mu.Unlock()
	for id, rows := range dst.rows {
		if len(rows) == 0 {
			delete(dst.rows, id)
		}
	}
	if !reflect.DeepEqual(want, dst.rows) {
		t.Errorf("stored rows differ (-want, +got):\n%s", cmp.Diff(want, dst.rows))
	}
	t.Logf("%d records, %d cuts, %d failures, opened %d times", total, dst.cuts, dst.fails, dst.opened)
}

func TestReaderGoesOnFromItsPosition(t *testing.T) {
	log := []outgoing{
		{header: header{seq: 0, tick: 1}, value: []byte{1, 'a', 1, 'b'}},
		{header: header{seq: 0, tick: 1}, value: []byte{1, 'a', 1, 'b'}},
		{header: header{seq: 1, tick: 1, end: true}, value: []byte{1, 'b', 1, 'c'}},
		mark(3, 2),
		{header: header{seq: 5, tick: 3, end: true}, value: []byte{1, 'f'}},
	}
	for cut := range log {
		r := newReader()
		var got []string
		for i, out := range log {
			m := message{offset: int64(i), value: out.value, fields: out.appendFields(nil, []byte("dedup/0@3"))}
			if err := m.parse(false); err != nil {
				t.Fatal(err)
			}
			taken := r.take(&m)
			got = append(got, fmt.Sprintf("%d+%d %q", taken.Seq, taken.Count, taken.Value))
			if i == cut {
				p := r.position()
				lost := r.tally.lost
				r = newReader()
				if err := r.restore(&p); err != nil {
					t.Fatal(err)
				}
				r.tally.lost = lost
			}
		}
		want := []string{`0+2 "\x01a\x01b"`, `2+0 ""`, `2+1 "\x01c"`, `3+0 ""`, `5+1 "\x01f"`}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("cut after %d (-want, +got):\n%s", cut, diff)
		}
		if r.tally.lost != 2 {
			t.Errorf("cut after %d: %d records are lost, want 2", cut, r.tally.lost)
		}
	}
}
