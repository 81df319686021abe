package demo

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A ledger that grows is waited for, however slowly it does; one that does not is given up.
func TestAwaitTheLedger(t *testing.T) {
	await := func(moves int) (said string) {
		synctest.Test(t, func(t *testing.T) {
			var progress strings.Builder
			p := &performance{cfg: &Config{Progress: &progress, Now: time.Now}, moved: make(chan struct{}, 1)}
			done := make(chan error, 1)
			go func() {
				for range moves {
					time.Sleep(patience * 9 / 10) // the bubble's time, not ours
					p.moved <- struct{}{}
				}
				time.Sleep(patience * 9 / 10)
				if moves > 0 {
					done <- nil
				}
			}()
			if err := p.await(t.Context(), done); err != nil {
				t.Error(err)
			}
			said = progress.String()
		})
		return said
	}
	if said := await(5); strings.Contains(said, "nothing has moved") {
		t.Errorf("given up while it grew: %s", said)
	}
	if said := await(0); !strings.Contains(said, "nothing has moved") {
		t.Errorf("waited for what does not move: %s", said)
	}
}
