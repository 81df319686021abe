package stage

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Health tells whether a stage or drain does its work: it is a member of its
// group, and all partitions it was given are recovered. The zero value is ready
// to be put into a Config; it is safe for concurrent use.
type Health struct {
	mu      sync.Mutex
	joined  bool
	pending map[string]struct{}
	err     error
}

// Ready is nil when all assigned partitions are recovered, else says what is
// waited for. A member without partitions (more members than partitions) is ready.
func (h *Health) Ready() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.err != nil:
		return h.err
	case !h.joined:
		return fmt.Errorf("waiting for the consumer group")
	case len(h.pending) > 0:
		names := make([]string, 0, len(h.pending))
		for n := range h.pending {
			names = append(names, n)
		}
		slices.Sort(names)
		return fmt.Errorf("recovering %s", strings.Join(names, ", "))
	}
	return nil
}

// assigned begins a generation: these units have to be recovered.
func (h *Health) assigned(units []string) {
	h.set(func() {
		h.joined, h.err = true, nil
		h.pending = make(map[string]struct{}, len(units))
		for _, u := range units {
			h.pending[u] = struct{}{}
		}
	})
}

func (h *Health) recovered(unit string) { h.set(func() { delete(h.pending, unit) }) }

// pend says that a unit is not at work any more.
func (h *Health) pend(unit string) {
	h.set(func() {
		if h.pending == nil {
			h.pending = map[string]struct{}{}
		}
		h.pending[unit] = struct{}{}
	})
}

func (h *Health) left(err error) { h.set(func() { h.joined, h.err = false, err }) }

func (h *Health) set(f func()) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
}
