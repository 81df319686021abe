package stage

import (
	"testing"
	"time"
)

// TestPace lets snapshots come at every interval while they are cheap beside the work
// between them, and at every tenth otherwise.
func TestPace(t *testing.T) {
	f := func(busyPerInterval, cost time.Duration, want int) {
		t.Helper()
		p := pace{cost: cost}
		taken := 0
		for range 100 {
			p.busy += busyPerInterval
			if p.due() {
				taken++
				p.taken()
			}
		}
		if taken != want {
			t.Errorf("%s of work per interval and a cost of %s: %d snapshots in 100 intervals, want %d", busyPerInterval, cost, taken, want)
		}
	}
	f(time.Second, 0, 100)
	f(time.Second, 50*time.Millisecond, 100)
	f(time.Second, 51*time.Millisecond, 50)
	f(time.Second, 200*time.Millisecond, 25)
	f(0, time.Millisecond, 10)
	f(0, 0, 100) // the first
}
