package main

import (
	"fmt"
	"slices"
	"sync"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// tickEnder is told of ticks: a stage.Source.
type tickEnder interface {
	// OpenTick says to which tick belongs what is appended from now on.
	OpenTick(tick eventtime.Tick)
	// EndTick says that everything received up to the end of tick has been
	// appended.
	EndTick(tick eventtime.Tick) error
}

// ticks keeps the decoders in step: one tick is open, all speak in that alone,
// and it ends when the last of them has passed it.
//
//	decoder 0 ── passed 7 ──╮
//	decoder 1 ── passed 8 ──┼─▶ tick 7 ends, 8 is open: decoder 0 goes on, 1 waits for it
//	decoder 2 ── passed 7 ──╯
type ticks struct {
	source  tickEnder
	metrics *metrics

	mu    sync.Mutex
	moved sync.Cond
	// at is, per decoder, the first tick in which it may still speak.
	at   []eventtime.Tick
	open eventtime.Tick
	last eventtime.Tick // up to which those who left have spoken
	err  error
}

// newTicks opens a tick for n decoders. Nothing that any of them will speak of was
// received before.
func newTicks(n int, open eventtime.Tick, to tickEnder, m *metrics) *ticks {
	t := &ticks{source: to, metrics: m, at: slices.Repeat([]eventtime.Tick{open}, n), open: open}
	t.moved.L = &t.mu
	to.OpenTick(open)
	return t
}

// advance says that decoder i has handed over everything from before tick to,
// and returns when that tick is open, or the source has failed.
func (t *ticks) advance(i int, to eventtime.Tick) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pass(i, to)
	for t.err == nil && t.open < to {
		t.moved.Wait()
	}
	return t.err
}

// leave says that decoder i has handed over everything from before tick to and
// will not speak again. It waits for nobody; the last to leave ends what is open.
func (t *ticks) leave(i int, to eventtime.Tick) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = max(t.last, to)
	t.pass(i, eventtime.Never)
	return t.err
}

// fail lets nobody wait any more: a decoder has ended early.
func (t *ticks) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = err
	}
	t.moved.Broadcast()
}

// pass ends the ticks that all have passed.
func (t *ticks) pass(i int, to eventtime.Tick) {
	t.at[i] = max(t.at[i], to)
	first := slices.Min(t.at)
	if first == eventtime.Never { // all have left
		first = max(t.last, t.open+1)
	}
	if first <= t.open || t.err != nil {
		return
	}
	if err := t.source.EndTick(first - 1); err != nil {
		t.err = fmt.Errorf("cannot end a tick: %w", err)
	} else {
		t.source.OpenTick(first)
		t.metrics.tick.Set(float64(first.Ns()) / 1e9)
	}
	t.open = first
	t.moved.Broadcast()
}
