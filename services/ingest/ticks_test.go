package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// hall is where decoders speak: it holds what is said against the open tick.
type hall struct {
	mu    sync.Mutex
	ended eventtime.Tick
	said  map[eventtime.Tick]int
	err   error
}

func (h *hall) say(tick eventtime.Tick) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if tick <= h.ended {
		return fmt.Errorf("tick %d was spoken in after tick %d had ended", tick, h.ended)
	}
	h.said[tick]++
	return nil
}

func (h *hall) OpenTick(eventtime.Tick) {}

func (h *hall) EndTick(t eventtime.Tick) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return h.err
	}
	for tick := range h.said {
		if tick > t {
			return fmt.Errorf("tick %d was spoken in before tick %d ended", tick, t)
		}
	}
	clear(h.said)
	if t <= h.ended {
		return fmt.Errorf("tick %d ends after tick %d", t, h.ended)
	}
	h.ended = t
	return nil
}

// TestDecodersKeepInStep: whoever is quick waits; nobody speaks in a tick that has
// ended or has not begun, and the last to leave ends the last tick.
func TestDecodersKeepInStep(t *testing.T) {
	const decoders, last = 4, 300
	h := &hall{ended: 9, said: map[eventtime.Tick]int{}}
	ticks := newTicks(decoders, 10, h, newMetrics(prometheus.NewRegistry(), 1))
	var all sync.WaitGroup
	for i := range decoders {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(i)))
			tick := eventtime.Tick(10)
			for tick < last {
				if err := ticks.advance(i, tick); err != nil {
					t.Error(err)
					return
				}
				for range rng.IntN(3) {
					if err := h.say(tick); err != nil {
						t.Error(err)
					}
				}
				tick += eventtime.Tick(1 + rng.IntN(4))
			}
			if err := ticks.leave(i, last+eventtime.Tick(i)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if want := eventtime.Tick(last + decoders - 2); h.ended != want {
		t.Errorf("tick %d ended last, want %d", h.ended, want)
	}
}

func TestNobodyWaitsForWhoFailed(t *testing.T) {
	h := &hall{said: map[eventtime.Tick]int{}}
	ticks := newTicks(2, 1, h, newMetrics(prometheus.NewRegistry(), 1))
	failed := errors.New("no broker")
	done := make(chan error, 1)
	go func() { done <- ticks.advance(0, 5) }()
	ticks.fail(failed)
	if err := <-done; !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
}
