package main

import "time"

// backoff is how long to wait between tries: the first pause, doubled each time,
// up to the longest.
type backoff struct{ first, longest time.Duration }

func (b backoff) after(try int) time.Duration {
	return min(b.first<<min(try, 20), b.longest)
}

// defaultBackoff tries soon, and never rests for long.
var defaultBackoff = backoff{first: 100 * time.Millisecond, longest: 10 * time.Second}
