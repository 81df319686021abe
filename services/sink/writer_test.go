package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/sink/rows"
)

var errCrash = errors.New("crash")

// memory is a store that keeps its promise as ClickHouse does, and crashes.
type memory struct {
	inserted map[string]string // by token
	position *stage.Position
	// lives is after how many inserts it crashes, and whether the last one counts;
	// negative is never.
	lives int
	lost  bool
}

func newMemory() *memory { return &memory{inserted: map[string]string{}, lives: -1} }

func (s *memory) insert(_ context.Context, token string, b rows.Block) error {
	if s.lives == 0 && s.lost {
		return errCrash
	}
	text := fmt.Sprint(b)
	if before, again := s.inserted[token]; again && before != text {
		return fmt.Errorf("token %s was used for another block", token)
	}
	s.inserted[token] = text
	if b.Table == "offsets" {
		next := int64(b.Columns[2].Values.([]uint64)[0])
		if s.position == nil || next > s.position.Next {
			s.position = &stage.Position{Next: next, Sources: []byte(b.Columns[3].Values.([]string)[0])}
		}
	}
	if s.lives == 0 {
		return errCrash
	}
	s.lives--
	return nil
}

func newTestWriter(s store, at *stage.Position, m *metrics) *writer {
	builder, err := rows.For("biflows")
	if err != nil {
		panic(err)
	}
	w := &writer{
		topic: "t.biflows", partition: 3, builder: builder, store: s,
		cutter:  cutter{Cut: Cut{Every: time.Second, Rows: 40, Offsets: 5 * time.Second}},
		metrics: m.partition("biflows", 3), log: slog.New(slog.DiscardHandler), now: func() time.Time { return time.Unix(0, 0) },
	}
	if at != nil {
		w.start, w.started = at.Next, true
	}
	return w
}

// drain feeds the log from a position on, at most so many messages, as the
// drain does: the sources' state is the number of messages so far.
func drain(w *writer, log []*stage.Message, from *stage.Position, most int) error {
	start := int64(0)
	if from != nil {
		start = from.Next
		if seen := binary.BigEndian.Uint64(from.Sources); seen != uint64(start) {
			return fmt.Errorf("the sources' state %d does not belong to offset %d", seen, start)
		}
	}
	for i := start; i < int64(len(log)) && most > 0; i++ {
		most--
		next := i + 1
		err := w.Write(context.Background(), log[i], func() stage.Position {
			return stage.Position{Next: next, Sources: binary.BigEndian.AppendUint64(nil, uint64(next))}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// drawLog draws a log of some sources whose ticks and versions rise, with
// repeated versions, unreadable values, and an end.
func drawLog(t *rapid.T) (log []*stage.Message) {
	n := rapid.IntRange(1, 120).Draw(t, "messages")
	version := uint32(0)
	at := time.Unix(1_700_000_000, 0)
	for i := range n {
		at = at.Add(time.Duration(rapid.IntRange(-50, 400).Draw(t, "ms")) * time.Millisecond)
		var value []byte
		for range rapid.IntRange(0, 8).Draw(t, "records") {
			version++
			value = flow.AppendDelimited(value, &flowv1.Biflow{
				FlowId: rapid.Uint64Range(1, 12).Draw(t, "id"), Version: version, Proto: 6, TimeOpenedNs: 1e18,
				ClientAddr: []byte{10, 0, 0, 1}, ServerAddr: []byte{10, 0, 0, 2}, ClientBytes: uint64(version),
			})
		}
		if rapid.IntRange(0, 20).Draw(t, "broken") == 0 {
			value = append(value, 0x7f)
		}
		log = append(log, &stage.Message{Topic: "biflows", Partition: 3, Offset: int64(i), Time: at, TickEnd: rapid.Bool().Draw(t, "end"), Value: value})
	}
	log[n-1].Bye = stage.ByeEndOfInput
	return log
}

// Wherever the process dies, between any two inserts or within one, and however
// often: what is inserted in the end is what one that never died would insert.
func TestCrashesChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := drawLog(t)
		ideal := newMemory()
		m := newMetrics(prometheus.NewRegistry())
		if err := drain(newTestWriter(ideal, nil, m), log, nil, len(log)); err != nil {
			t.Fatal(err)
		}
		got := newMemory()
		for range rapid.IntRange(0, 8).Draw(t, "crashes") {
			got.lives, got.lost = rapid.IntRange(0, 9).Draw(t, "inserts"), rapid.Bool().Draw(t, "lost")
			most := rapid.IntRange(0, len(log)).Draw(t, "most")
			if err := drain(newTestWriter(got, got.position, m), log, got.position, most); err != nil && !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
		}
		got.lives = -1
		if err := drain(newTestWriter(got, got.position, m), log, got.position, len(log)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(ideal.inserted, got.inserted); diff != "" {
			t.Fatalf("(-ideal +got)\n%s", diff)
		}
	})
}

// Two owners of one partition, each believing it is the only one, write along;
// now and then one of them dies and begins again from what is stored.
func TestZombiesChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		log := drawLog(t)
		m := newMetrics(prometheus.NewRegistry())
		ideal, got := newMemory(), newMemory()
		if err := drain(newTestWriter(ideal, nil, m), log, nil, len(log)); err != nil {
			t.Fatal(err)
		}
		owners := [2]owner{newOwner(got, m), newOwner(got, m)}
		for range 3 * len(log) {
			o := &owners[rapid.IntRange(0, 1).Draw(t, "who")]
			if rapid.IntRange(0, 30).Draw(t, "dies") == 0 {
				*o = newOwner(got, m)
			}
			o.step(t, log, 1)
		}
		for i := range owners {
			owners[i].step(t, log, len(log))
		}
		if diff := cmp.Diff(ideal.inserted, got.inserted); diff != "" {
			t.Fatalf("(-ideal +got)\n%s", diff)
		}
	})
}

// owner is one writer of a partition and how far it has read.
type owner struct {
	w  *writer
	at *stage.Position
}

func newOwner(s *memory, m *metrics) owner {
	return owner{w: newTestWriter(s, s.position, m), at: s.position}
}

// step reads a number of messages more.
func (o *owner) step(t *rapid.T, log []*stage.Message, messages int) {
	next := int64(0)
	if o.at != nil {
		next = o.at.Next
	}
	if err := drain(o.w, log, o.at, messages); err != nil {
		t.Fatal(err)
	}
	next = min(next+int64(messages), int64(len(log)))
	o.at = &stage.Position{Next: next, Sources: binary.BigEndian.AppendUint64(nil, uint64(next))}
}

// The tokens are a promise to later versions of this program: a cut that was
// half inserted before an upgrade must be known again after it.
func TestTokens(t *testing.T) {
	s := newMemory()
	m := newMetrics(prometheus.NewRegistry())
	value := flow.AppendDelimited(nil, &flowv1.Biflow{FlowId: 1, Version: 1, ClientAddr: []byte{10, 0, 0, 1}})
	log := []*stage.Message{{Offset: 0, Value: value}, {Offset: 1, Bye: stage.ByeStop}, {Offset: 2, Bye: stage.ByeEndOfInput}}
	if err := drain(newTestWriter(s, nil, m), log, nil, len(log)); err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{
		"t.biflows/3/0-1/biflows", "t.biflows/3/0-1/host_biflows", "t.biflows/3/0-1/first_seen", "t.biflows/3/0-1/offsets", "t.biflows/3/2-2/offsets",
	} {
		if _, ok := s.inserted[token]; !ok {
			t.Errorf("no insert with token %s", token)
		}
		delete(s.inserted, token)
	}
	if len(s.inserted) > 0 {
		t.Errorf("more inserts: %v", s.inserted)
	}
	if s.position == nil || s.position.Next != 3 {
		t.Errorf("position %v, want 3", s.position)
	}
}

func TestUnreadableIsCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := newMetrics(reg)
	value := append(flow.AppendDelimited(nil, &flowv1.Biflow{FlowId: 1}), 0xff)
	w := newTestWriter(newMemory(), nil, m)
	if err := drain(w, []*stage.Message{{Value: value, Bye: stage.ByeStop}}, nil, 1); err != nil {
		t.Fatal(err)
	}
	want := `
# HELP flowledger_sink_records_total Records read from the log.
# TYPE flowledger_sink_records_total counter
flowledger_sink_records_total{topic="biflows"} 1
# HELP flowledger_sink_unreadable_total Messages of which something, a record or all, was left out since it cannot be read.
# TYPE flowledger_sink_unreadable_total counter
flowledger_sink_unreadable_total{topic="biflows"} 1
# HELP flowledger_sink_offset Everything before this offset is in the ledger.
# TYPE flowledger_sink_offset gauge
flowledger_sink_offset{partition="3",topic="biflows"} 1
`
	names := []string{"flowledger_sink_records_total", "flowledger_sink_unreadable_total", "flowledger_sink_offset"}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	w.Close()
	if n, err := testutil.GatherAndCount(reg, "flowledger_sink_offset"); err != nil || n != 0 {
		t.Errorf("the offset of a partition that was given away is still told (%d, %v)", n, err)
	}
}
