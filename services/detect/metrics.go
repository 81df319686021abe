package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/detect/rule"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/internal/unreadable"
)

// metrics are what the cores of this process have counted, beside what the shell
// counts of any stage.
type metrics struct {
	unreadable                                            unreadable.Counter
	late, clientsEvicted, windowsEvicted, contactsEvicted prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "flowledger", Subsystem: "detect", Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	return &metrics{
		unreadable:      unreadable.New(r, "detect"),
		late:            counter("late_total", "Flows that started too long ago to enter a window."),
		clientsEvicted:  counter("clients_evicted_total", "Clients forgotten early because max_clients was reached."),
		windowsEvicted:  counter("windows_evicted_total", "Windows forgotten early because max_windows was reached."),
		contactsEvicted: counter("contacts_evicted_total", "Contacts forgotten early for want of room."),
	}
}

// add counts what has been added since before.
func (m *metrics) add(now, before rule.Stats) {
	m.late.Add(float64(now.Late - before.Late))
	m.clientsEvicted.Add(float64(now.ClientsEvicted - before.ClientsEvicted))
	m.windowsEvicted.Add(float64(now.WindowsEvicted - before.WindowsEvicted))
	m.contactsEvicted.Add(float64(now.ContactsEvicted - before.ContactsEvicted))
}

// measured is a core whose counters are exported after every call.
type measured struct {
	*core
	metrics *metrics
	before  rule.Stats
	bad     flow.Bad
}

func measure(cfg Config, partition int, m *metrics) stage.Core {
	return &measured{core: newCore(cfg, partition).(*core), metrics: m}
}

func (c *measured) Tick(tick eventtime.Tick, in []stage.Batch, out *stage.Output) {
	c.core.Tick(tick, in, out)
	c.count()
}

func (c *measured) End(tick eventtime.Tick, out *stage.Output) {
	c.core.End(tick, out)
	c.count()
}

// Restore brings counters of the past along: they were counted when they happened.
func (c *measured) Restore(snapshot []byte) error {
	err := c.core.Restore(snapshot)
	c.before = c.rules.Stats()
	return err
}

func (c *measured) count() {
	now := c.rules.Stats()
	c.metrics.add(now, c.before)
	c.before = now
	c.metrics.unreadable.Add(c.biflows.Bad, &c.bad)
}
