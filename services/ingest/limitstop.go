package main

import (
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// topCounter counts per source, with names for those that matter and "others" for
// the rest. Anybody can send from any address, so who came first must not keep the
// names: a source that is heard twice as often as the rarest named one takes its
// name. All that is ever counted stays in the sum, and named series are few:
// each change of a name takes twice what the last took.
type topCounter struct {
	vec    *prometheus.CounterVec
	limit  int
	others prometheus.Counter

	mu    sync.Mutex
	named map[netip.Addr]*topSource
	// least is at most the weight of the lightest named source.
	least uint64
	// rest has sources without a name that are heard often: each that sends more than
	// one part in maxRest of what the rest sends is among them (Misra and Gries).
	rest    map[netip.Addr]uint64
	maxRest int
}

// topSource is a named source. Its weight is what its place was won with, and all
// since; the count is what stands under its name.
type topSource struct {
	counter       prometheus.Counter
	weight, count uint64
}

// topMargin is how many more a source without a name must have been heard than
// twice the rarest named one.
const topMargin = 64

// minRest is how many sources without a name are watched at least.
const minRest = 1024

func newTopCounter(vec *prometheus.CounterVec, limit int) *topCounter {
	return &topCounter{vec: vec, limit: limit, others: vec.WithLabelValues(others), named: map[netip.Addr]*topSource{}, rest: map[netip.Addr]uint64{}, maxRest: max(limit, minRest)}
}

func (c *topCounter) add(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.named[addr]
	if !ok && len(c.named) < c.limit {
		s, ok = c.name(addr, 0), true
	}
	if ok {
		s.weight++
		s.count++
		s.counter.Inc()
		return
	}
	c.others.Inc()
	if weight := c.weigh(addr); weight >= 2*c.least+topMargin {
		c.promote(addr, weight)
	}
}

func (c *topCounter) name(addr netip.Addr, weight uint64) *topSource {
	s := &topSource{counter: c.vec.WithLabelValues(addr.String()), weight: weight}
	c.named[addr] = s
	return s
}

// weigh counts a source without a name, and tells how often it was heard at least.
func (c *topCounter) weigh(addr netip.Addr) uint64 {
	if n, ok := c.rest[addr]; ok || len(c.rest) < c.maxRest {
		c.rest[addr] = n + 1
		return n + 1
	}
	for a, n := range c.rest {
		if n == 1 {
			delete(c.rest, a)
		} else {
			c.rest[a] = n - 1
		}
	}
	return 0
}

// promote gives a source the name of the lightest, if it is heavy enough for that.
func (c *topCounter) promote(addr netip.Addr, weight uint64) {
	var lightest netip.Addr
	c.least = 1<<64 - 1
	for a, s := range c.named {
		if s.weight < c.least {
			lightest, c.least = a, s.weight
		}
	}
	if weight < 2*c.least+topMargin {
		return
	}
	c.vec.DeleteLabelValues(lightest.String())
	c.others.Add(float64(c.named[lightest].count))
	delete(c.named, lightest)
	delete(c.rest, addr)
	c.name(addr, weight)
}

// newRefused makes the counters of what is refused, one for each reason.
func newRefused(r prometheus.Registerer, limit int) (c [refusals]*topCounter) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "flowledger", Subsystem: "ingest", Name: "refused_total",
		Help: "Datagrams and connections not let in, by source: not_allowed (outside allow), rate, new_sources and sources (limits), connections and tls (streams)."},
		[]string{"reason", "sampler_address"})
	r.MustRegister(vec)
	for why := admitted + 1; why < refusals; why++ {
		c[why] = newTopCounter(vec.MustCurryWith(prometheus.Labels{"reason": refusalNames[why]}), limit)
	}
	return c
}
