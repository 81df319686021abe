package eventtime

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestQueuePopsWhatIsDueInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var q Queue[Tick]
	var model []Tick
	now := Tick(0)
	for range 20000 {
		if rng.IntN(3) > 0 {
			due := now + 1 + Tick(rng.IntN(50))
			q.Set(due, due)
			model = append(model, due)
			continue
		}
		now += Tick(rng.IntN(8))
		slices.Sort(model)
		for {
			got, ok := q.Pop(now)
			if !ok {
				break
			}
			if got != model[0] {
				t.Fatalf("popped %d, the earliest is %d", got, model[0])
			}
			model = model[1:]
		}
		if len(model) > 0 && model[0] <= now {
			t.Fatalf("timer %d was due at %d and did not fire", model[0], now)
		}
		want := Never
		if len(model) > 0 {
			want = model[0]
		}
		if q.Next() != want || q.Len() != len(model) {
			t.Fatalf("next %d len %d, want %d and %d", q.Next(), q.Len(), want, len(model))
		}
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
	if n := testing.AllocsPerRun(100, step); n > 1 {
		t.Errorf("%.1f allocations per tick of 100 timers, want none", n)
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
