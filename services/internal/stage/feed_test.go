package stage

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// TestFeedsSpeakInTurn: several goroutines append at once; in the log their
// records lie feed by feed, in each feed's order, numbered without a gap, and one
// message alone ends the tick.
func TestFeedsSpeakInTurn(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	src, err := NewSource(cfg, "ingest/test", []string{Events}, SourceOptions{Block: true}, nil, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- src.Run(ctx) }()
	const feeds, ticks, records = 3, 4, 50
	ways := []*Feed{src.Feed(), src.Feed(), src.Feed()}
	var want []string
	for tick := range ticks {
		var all sync.WaitGroup
		for i, f := range ways {
			all.Go(func() {
				for n := range records {
					if err := f.Append(0, 0, text(fmt.Sprintf("%d/%d/%d", tick, i, n))); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		for i := range feeds {
			for n := range records {
				want = append(want, fmt.Sprintf("%d/%d/%d", tick, i, n))
			}
		}
		if err := src.EndTick(eventtime.Tick(tick)); err != nil {
			t.Fatal(err)
		}
	}
	if err := ways[1].Append(0, 0, text("last")); err != nil {
		t.Fatal(err)
	}
	want = append(want, "last")
	if err := src.Close(ctx, ByeStop); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := ways[0].Append(0, 0, text("too late")); err == nil {
		t.Error("a closed source took a record")
	}
	var got []string
	ends, next := map[eventtime.Tick]int{}, int64(0)
	for _, raw := range readLogs(t, cfg, Events)[Events][0] {
		m := message{fields: raw.fields, value: raw.value}
		if err := m.parse(false); err != nil {
			t.Fatal(err)
		}
		if m.seq != next {
			t.Errorf("number %d, want %d", m.seq, next)
		}
		next += int64(m.count)
		if m.end {
			ends[m.tick]++
		}
		got = append(got, texts(t, m.value)...)
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
	if diff := cmp.Diff(ends, map[eventtime.Tick]int{0: 1, 1: 1, 2: 1, 3: 1, 4: 1}); diff != "" {
		t.Errorf("ends of ticks (-got, +want)\n%s", diff)
	}
}

// TestFullBatchesGoAtOnce: where the open tick has a name, its batches are written as
// they fill, under it, numbered without a gap; the rest follows at its end, and a
// source that closes within a tick ends that one. Dead letters go along.
func TestFullBatchesGoAtOnce(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	src, err := NewSource(cfg, "ingest/test", []string{Events, FlowsDead}, SourceOptions{Block: true}, nil, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- src.Run(ctx) }()
	f := src.Feed()
	big := strings.Repeat("x", 50<<10)
	var want []string
	say := func(records int) {
		for range records {
			r := fmt.Sprint(len(want), big)
			want = append(want, r)
			if err := f.Append(0, 0, text(r)); err != nil {
				t.Fatal(err)
			}
		}
	}
	say(12)
	if n := src.QueuedBytes(); n != 0 {
		t.Errorf("%d bytes of a tick without a name are queued", n)
	}
	if err := src.EndTick(7); err != nil {
		t.Fatal(err)
	}
	src.OpenTick(9)
	for range 3 {
		if err := f.AppendMessage(1, 0, nil, []byte("dead")); err != nil {
			t.Fatal(err)
		}
	}
	say(12)
	written := func() (n int) { return len(readLogs(t, cfg, Events)[Events][0]) }
	for written() < 5 { // three messages of tick 7, two of tick 9
		if ctx.Err() != nil {
			t.Fatal("full batches wait for the end of their tick")
		}
	}
	if err := src.EndTick(10); err != nil {
		t.Fatal(err)
	}
	src.OpenTick(12)
	say(6)
	if n := f.open.out.bytes; n > 100<<10 {
		t.Errorf("the feed believes to hold %d bytes", n)
	}
	if err := errors.Join(src.Close(ctx, ByeStop), <-done); err != nil {
		t.Fatal(err)
	}
	var got, told []string
	next := int64(0)
	for _, raw := range readLogs(t, cfg, Events)[Events][0] {
		m := message{fields: raw.fields, value: raw.value}
		if err := m.parse(false); err != nil {
			t.Fatal(err)
		}
		if m.seq != next {
			t.Errorf("number %d, want %d", m.seq, next)
		}
		next += int64(m.count)
		told = append(told, fmt.Sprintf("%d %d %v%s", m.tick, m.count, m.end, m.bye))
		got = append(got, texts(t, m.value)...)
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
	if diff := cmp.Diff(told, []string{"7 5 false", "7 5 false", "7 2 true", "9 5 false", "9 5 false", "10 2 true", "12 5 false", "12 1 truestop"}); diff != "" {
		t.Errorf("messages: tick, records, end (-got, +want)\n%s", diff)
	}
	if n := len(readLogs(t, cfg, FlowsDead)[FlowsDead][0]); n != 3 {
		t.Errorf("%d dead letters", n)
	}
}

// text is a record that is its own encoding.
type text string

func (s text) SizeVT() int                                  { return len(s) }
func (s text) MarshalToSizedBufferVT(b []byte) (int, error) { return copy(b, s), nil }

// texts are the records of a batch.
func texts(t *testing.T, batch []byte) (all []string) {
	t.Helper()
	for {
		b, rest, err := flow.Next(batch)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return all
		}
		all, batch = append(all, string(b)), rest
	}
}
