package main

import (
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// others is the label of all exporters for which there was no label left.
const others = "others"

// exporterCounter counts per exporter, with a bound on the labels: anybody can
// send from any address. The first addresses get labels of their own.
type exporterCounter struct {
	vec   *prometheus.CounterVec
	limit int

	mu   sync.Mutex
	seen map[netip.Addr]prometheus.Counter
}

func newExporterCounter(vec *prometheus.CounterVec, limit int) *exporterCounter {
	return &exporterCounter{vec: vec, limit: limit, seen: map[netip.Addr]prometheus.Counter{}}
}

func (c *exporterCounter) add(addr netip.Addr, n int) { c.of(addr).Add(float64(n)) }

func (c *exporterCounter) of(addr netip.Addr) prometheus.Counter {
	c.mu.Lock()
	defer c.mu.Unlock()
	if counter, ok := c.seen[addr]; ok {
		return counter
	}
	if len(c.seen) >= c.limit {
		return c.vec.WithLabelValues(others)
	}
	counter := c.vec.WithLabelValues(addr.String())
	c.seen[addr] = counter
	return counter
}
