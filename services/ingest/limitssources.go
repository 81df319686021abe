package main

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	// sourceShards is into how many parts the table is split, so that readers seldom
	// wait for each other.
	sourceShards = 16
	// sourceIdleNs is how long a source must have been silent to give its place away.
	sourceIdleNs = uint64(time.Minute)
	// sourceSearch is how many places are looked at to find such a one, per newcomer:
	// the next newcomer looks at the next places.
	sourceSearch = 64
)

// sources is a bounded table of who sends, and how much.
type sources struct {
	datagrams, bytes rate
	shards           [sourceShards]sourceShard
	evicted          atomic.Uint64

	newMu     sync.Mutex
	newRate   rate
	newcomers meter
}

// source is what is known of an address. Its places in a shard are taken by
// address and never moved.
type source struct {
	key              [16]byte
	heardNs          uint64
	datagrams, bytes meter
}

type sourceShard struct {
	mu    sync.Mutex
	limit int
	index map[[16]byte]uint32
	list  []source
	hand  int // where the search for an idle one goes on
}

// newSources makes a table in which so many newcomers at once find room, if there
// is any.
func newSources(cfg limitsConfig, newcomers int) *sources {
	s := &sources{
		datagrams: rate{uint64(cfg.DatagramsPerSecond), uint64(cfg.Burst)},
		bytes:     rate{uint64(cfg.BytesPerSecond), uint64(cfg.Burst)},
		newRate:   rate{perSecond: uint64(cfg.NewSourcesPerSecond)},
	}
	if s.newRate.perSecond > 0 {
		s.newRate.burstNs = s.newRate.cost(uint64(max(newcomers-1, 0)))
	}
	for i := range s.shards {
		s.shards[i].limit = cfg.MaxSources / sourceShards
		s.shards[i].index = map[[16]byte]uint32{}
	}
	return s
}

// admit books a datagram, unless there is a reason to refuse it.
func (s *sources) admit(from netip.Addr, bytes int, nowNs uint64) refusal {
	sh, key := s.shard(from)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	src, why := s.find(sh, key, nowNs)
	if why != admitted {
		return why
	}
	if src.bytes > meter(nowNs+s.bytes.burstNs) || !src.datagrams.take(s.datagrams, 1, nowNs) {
		return tooFast
	}
	src.bytes.book(s.bytes, uint64(bytes), nowNs)
	return admitted
}

// meet makes a source known that has not sent yet.
func (s *sources) meet(from netip.Addr, nowNs uint64) refusal {
	sh, key := s.shard(from)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	_, why := s.find(sh, key, nowNs)
	return why
}

// pace books a message that has come already, and tells how long it is until the
// source is within its rate. One whose place was given away is not held up.
func (s *sources) pace(from netip.Addr, bytes int, nowNs uint64) time.Duration {
	sh, key := s.shard(from)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	src, why := s.find(sh, key, nowNs)
	if why != admitted {
		return 0
	}
	return max(src.datagrams.book(s.datagrams, 1, nowNs), src.bytes.book(s.bytes, uint64(bytes), nowNs))
}

func (s *sources) shard(from netip.Addr) (*sourceShard, [16]byte) {
	key := from.As16()
	return &s.shards[xxhash.Sum64(key[:])%sourceShards], key
}

// find finds or adds a source.
func (s *sources) find(sh *sourceShard, key [16]byte, nowNs uint64) (*source, refusal) {
	i, ok := sh.index[key]
	if !ok {
		var why refusal
		if i, why = s.enter(sh, key, nowNs); why != admitted {
			return nil, why
		}
	}
	src := &sh.list[i]
	src.heardNs = nowNs
	return src, admitted
}

// enter gives a newcomer a place.
func (s *sources) enter(sh *sourceShard, key [16]byte, nowNs uint64) (uint32, refusal) {
	if !s.letIn(nowNs) {
		return 0, tooManyNew
	}
	i := uint32(len(sh.list))
	if len(sh.list) < sh.limit {
		sh.list = append(sh.list, source{})
	} else {
		idle, ok := sh.idle(nowNs)
		if !ok {
			return 0, tooManySources
		}
		delete(sh.index, sh.list[idle].key)
		s.evicted.Add(1)
		i = uint32(idle)
	}
	sh.list[i] = source{key: key}
	sh.index[key] = i
	return i, admitted
}

// letIn books a newcomer.
func (s *sources) letIn(nowNs uint64) bool {
	s.newMu.Lock()
	defer s.newMu.Unlock()
	return s.newcomers.take(s.newRate, 1, nowNs)
}

// idle finds a place whose source has been silent for long.
func (sh *sourceShard) idle(nowNs uint64) (place int, ok bool) {
	for range min(sourceSearch, len(sh.list)) {
		place = sh.hand
		sh.hand = (sh.hand + 1) % len(sh.list)
		if sh.list[place].heardNs+sourceIdleNs <= nowNs {
			return place, true
		}
	}
	return 0, false
}

// length is the number of sources known.
func (s *sources) length() (n int) {
	for i := range s.shards {
		sh := &s.shards[i]
		sh.mu.Lock()
		n += len(sh.list)
		sh.mu.Unlock()
	}
	return n
}

// watch exports what is asked for at the time of the scrape.
func (s *sources) watch(r prometheus.Registerer) {
	r.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "flowledger", Subsystem: "ingest", Name: "sources",
			Help: "Addresses of which it is known how much they send."}, func() float64 { return float64(s.length()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: "flowledger", Subsystem: "ingest", Name: "sources_forgotten_total",
			Help: "Silent addresses that made room for others."}, func() float64 { return float64(s.evicted.Load()) }),
	)
}
