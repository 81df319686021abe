package main

import (
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

// The engine's threads and Go's runtime share one process: its signals, its
// stacks. While the engine is at work, nil dereferences must stay panics, signals
// must arrive, and the collector must run.
func TestGoRuntimeSurvivesTheEngine(t *testing.T) {
	base := "http://" + startForTest(t).addr.String() + "/"
	const clients, queries, shocks = 4, 40, 400
	hangup := make(chan os.Signal, shocks)
	signal.Notify(hangup, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(hangup)

	var work sync.WaitGroup
	for range clients {
		work.Go(func() {
			for range queries {
				if got := ask(t, base, "SELECT sum(cityHash64(number) % 2) > 0, length(groupArray(toString(number))) FROM numbers(50000)"); got != "1\t50000\n" {
					t.Errorf("got %q", got)
				}
			}
		})
	}
	received := 0
	for i := range shocks {
		if !panics() {
			t.Fatal("a nil dereference was no panic")
		}
		if err := syscall.Kill(os.Getpid(), [2]syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1}[i%2]); err != nil {
			t.Fatal(err)
		}
		<-hangup
		received++
		if i%40 == 0 {
			runtime.GC()
			_ = deep(20_000)
		}
	}
	work.Wait()
	if received != shocks {
		t.Errorf("%d signals of %d arrived", received, shocks)
	}
}

func panics() (yes bool) {
	defer func() { yes = recover() != nil }()
	var nothing *struct{ a [100]int }
	nothing.a[3]++
	return false
}

// deep makes the goroutine's stack grow.
func deep(n int) int {
	if n == 0 {
		return 0
	}
	return deep(n-1) + 1
}
