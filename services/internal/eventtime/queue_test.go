package eventtime

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// timer is a key that tells when it is due and how many were set before it.
type timer struct {
	due Tick
	set int
}

// TestQueuePopsWhatIsDueInOrder holds the queue against a sorted list: timers near
// and far, of ticks that have passed, and set while others are popped.
func TestQueuePopsWhatIsDueInOrder(t *testing.T) {
	for _, reach := range []int{50, horizon + 100, 5 * horizon} {
		t.Run(fmt.Sprint(reach), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, uint64(reach)))
			var q Queue[timer]
			var model []timer
			now, set := Tick(1_000_000_000), 0
			add := func() {
				due := now + 1 + Tick(rng.IntN(reach))
				if rng.IntN(20) == 0 {
					due = now - Tick(rng.IntN(3))
				}
				x := timer{due, set}
				set++
				q.Set(due, x)
				model = append(model, x)
			}
			for range 20000 {
				if rng.IntN(3) > 0 {
					add()
					continue
				}
				now += Tick(rng.IntN(reach / 6))
				for {
					got, ok := q.Pop(now)
					if !ok {
						break
					}
					slices.SortStableFunc(model, func(a, b timer) int { return cmp.Compare(a.due, b.due) })
					if got != model[0] {
						t.Fatalf("popped %v, the earliest is %v", got, model[0])
					}
					model = model[1:]
					if rng.IntN(8) == 0 { // not in the past: the open tick goes first
						due := got.due + Tick(rng.IntN(3))
						q.Set(due, timer{due, set})
						model = append(model, timer{due, set})
						set++
					}
				}
				want := Never
				for _, x := range model {
					want = min(want, x.due)
				}
				if want <= now {
					t.Fatalf("the timer of %d was due at %d and did not fire", want, now)
				}
				if q.Next() != want || q.Len() != len(model) {
					t.Fatalf("next %d len %d, want %d and %d", q.Next(), q.Len(), want, len(model))
				}
			}
		})
	}
}

// Ticks out of a damaged snapshot may be anything.
func TestQueueTakesAnyTick(t *testing.T) {
	var q Queue[int]
	q.Set(Never-1, 2)
	q.Set(math.MinInt64, 0)
	q.Set(5, 1)
	for want := range 3 {
		if got, ok := q.Pop(Never); !ok || got != want {
			t.Fatalf("popped %d %v, want %d", got, ok, want)
		}
	}
	if _, ok := q.Pop(Never); ok || q.Next() != Never {
		t.Fatal("the queue is not empty")
	}
}

func TestQueueDoesNotAllocateInSteadyState(t *testing.T) {
	var q Queue[int]
	now := Tick(0)
	step := func() {
		now++
		for i := range 100 {
			q.Set(now+Tick(i%20)+1, i)
		}
		for {
			if _, ok := q.Pop(now); !ok {
				return
			}
		}
	}
	for range 200 {
		step()
	}
	if n := testing.AllocsPerRun(100, step); n > 0 {
		t.Errorf("%.1f allocations per tick of 100 timers, want none", n)
	}
}

// BenchmarkQueue is what a stage asks of it: a tick's timers set some ticks ahead
// (a hold) or many (a tombstone), and popped when they are due.
func BenchmarkQueue(b *testing.B) {
	for _, ahead := range []Tick{20, 4200} {
		b.Run(fmt.Sprint(ahead), func(b *testing.B) {
			var q Queue[uint32]
			now := Tick(1_000_000_000)
			const each = 1000
			for i := 0; i < b.N; i += each {
				now++
				for j := range Tick(each) {
					q.Set(now+ahead-j%16, uint32(j))
				}
				for {
					if _, ok := q.Pop(now); !ok {
						break
					}
				}
			}
		})
	}
}

func TestTickAfterNeverComesEarly(t *testing.T) {
	if got := TickOf(1_000_000_000); got != 2 {
		t.Errorf("second 1 is tick %d, want 2", got)
	}
	if got := Tick(10).After(TickLength); got != 11 {
		t.Errorf("After one length is %d, want 11", got)
	}
	if got := Tick(10).After(TickLength + 1); got != 12 {
		t.Errorf("After just over one length is %d, want 12", got)
	}
}
