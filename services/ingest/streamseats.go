package main

import (
	"context"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// seatIdleNs is how long a connection must have been silent to give its seat to a source
	// that has fewer than its own.
	seatIdleNs = uint64(time.Minute)
	// maxLeaving is how many may be on their way out, beyond those who sit: what they had
	// sent is still read, which takes a moment.
	maxLeaving = 16
)

// seats bounds connections, in total and by source. Where all are taken, a source that
// has fewer than another gets one of its; so nobody can keep others out by holding many,
// or, from many addresses, by holding them in silence.
type seats struct {
	max, maxPer int
	clock       func() uint64

	mu      sync.Mutex
	taken   map[*seat]struct{}
	by      map[netip.Addr]int
	leaving int
}

// seat is a connection's.
type seat struct {
	from netip.Addr
	// silentNs is since when a message is waited for, busy while none is.
	silentNs atomic.Uint64
	// giveWay asks the connection to end. It is set before the seat is taken.
	giveWay context.CancelFunc
	asked   bool // that was done
}

// busy is later than any time: what we keep waiting ourselves is not silent.
const busy = math.MaxUint64

func newSeats(maxAll, maxPer int, clock func() uint64) *seats {
	return &seats{max: maxAll, maxPer: maxPer, clock: clock, taken: map[*seat]struct{}{}, by: map[netip.Addr]int{}}
}

// take gives a connection a seat; nil says that there is none. giveWay is called when
// somebody else is to have it.
func (s *seats) take(from netip.Addr, giveWay context.CancelFunc) *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.by[from] >= s.maxPer {
		return nil
	}
	now := s.clock()
	if len(s.taken)-s.leaving >= s.max && !s.makeRoom(s.by[from], now) {
		return nil
	}
	one := &seat{from: from, giveWay: giveWay}
	one.silentNs.Store(now)
	s.taken[one] = struct{}{}
	s.by[from]++
	return one
}

// makeRoom asks a connection to end, for a source that has so many: of the sources with most
// the one that has been silent longest. Its source must not have fewer afterwards than the
// newcomer's, unless it has been silent for long: else two would take turns.
func (s *seats) makeRoom(has int, now uint64) bool {
	if s.leaving >= maxLeaving {
		return false
	}
	var victim *seat
	most, since := 0, uint64(0)
	for one := range s.taken {
		if one.asked {
			continue
		}
		n, silent := s.by[one.from], one.silentNs.Load()
		if n > most || n == most && silent < since {
			victim, most, since = one, n, silent
		}
	}
	if victim == nil || most < has+1 || most == has+1 && (since == busy || since+seatIdleNs > now) {
		return false
	}
	victim.asked = true
	s.leaving++
	s.by[victim.from]--
	victim.giveWay()
	return true
}

// leave gives a seat back.
func (s *seats) leave(one *seat) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.taken, one)
	if one.asked {
		s.leaving--
	} else {
		s.by[one.from]--
	}
	if s.by[one.from] == 0 {
		delete(s.by, one.from)
	}
}

// gaveWay tells whether a connection was asked to end.
func (s *seats) gaveWay(one *seat) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return one.asked
}

func (s *seats) length() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.taken)
}
