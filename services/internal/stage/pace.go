package stage

import "time"

// pace keeps what snapshots cost in proportion to the work that they save: with a large
// state and little to do they come less often than the interval says.
type pace struct {
	// busy is the time spent on the input since the last snapshot, cost what that
	// snapshot took of the time of one core.
	busy, cost time.Duration
	// passed is how many intervals have gone by without one.
	passed int
}

const (
	// paceShare is how many times its cost a snapshot must have been worked for: one
	// takes a twentieth of the time at most, and a crash replays that much work.
	paceShare = 20
	// paceIntervals is after how many intervals one is taken all the same.
	paceIntervals = 10
)

// worth tells whether a snapshot has been worked for.
func (p *pace) worth() bool { return p.busy >= paceShare*p.cost }

// due tells, once per interval, whether a snapshot should be taken.
func (p *pace) due() bool {
	p.passed++
	return p.worth() || p.passed >= paceIntervals
}

// taken begins anew.
func (p *pace) taken() { p.busy, p.passed = 0, 0 }
