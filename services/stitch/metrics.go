package main

import (
	"log/slog"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/internal/unreadable"
	"github.com/flowledger/flowledger/services/stitch/biflow"
)

// metrics are what the cores of this process have counted, beside what the shell
// counts of any stage.
type metrics struct {
	unreadable                                                         unreadable.Counter
	flows, opened, closed, versions, lateReporters, evicted, continued prometheus.Counter
	open                                                               *prometheus.GaugeVec
	log                                                                *slog.Logger
}

func newMetrics(r prometheus.Registerer, log *slog.Logger) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "flowledger", Subsystem: "stitch", Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "flowledger", Subsystem: "stitch", Name: name, Help: help}, []string{"partition"})
		r.MustRegister(g)
		return g
	}
	return &metrics{
		unreadable:    unreadable.New(r, "stitch"),
		flows:         counter("flows_total", "Flows that came in."),
		opened:        counter("opened_total", "Conversations opened."),
		closed:        counter("closed_total", "Conversations closed."),
		versions:      counter("versions_total", "Versions of conversations written."),
		lateReporters: counter("late_reporters_total", "Late reports that added a reporter to a conversation."),
		evicted:       counter("evicted_total", "Conversations closed early because max_conversations was reached."),
		continued:     counter("continued_total", "Conversations that continue one that was closed early."),
		log:           log,
		open:          gauge("open_conversations", "Conversations that are open, as of the last tick handled here."),
	}
}

// add counts what has been added since before.
func (m *metrics) add(now, before biflow.Stats) {
	m.flows.Add(float64(now.Flows - before.Flows))
	m.opened.Add(float64(now.Opened - before.Opened))
	m.closed.Add(float64(now.Closed - before.Closed))
	m.versions.Add(float64(now.Versions - before.Versions))
	m.lateReporters.Add(float64(now.LateReporters - before.LateReporters))
	m.evicted.Add(float64(now.Evicted - before.Evicted))
	m.continued.Add(float64(now.Continued - before.Continued))
}

// measured is a core whose counters are exported after every call.
type measured struct {
	*core
	metrics   *metrics
	before    biflow.Stats
	bad       flow.Bad
	partition string
}

func measure(cfg Config, partition int, m *metrics) stage.Core {
	return &measured{core: newCore(cfg, partition).(*core), metrics: m, partition: strconv.Itoa(partition)}
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
	c.before = c.table.Stats()
	return err
}

// count exports what a call has counted. That conversations were closed early is
// worth a line in the log, for each tick in which it happens.
func (c *measured) count() {
	now := c.table.Stats()
	if n := now.Evicted - c.before.Evicted; n > 0 {
		c.metrics.log.Warn("conversations are closed early: stitch.max_conversations is too low for this partition",
			"partition", c.partition, "closed", n, "open", now.Open)
	}
	c.metrics.add(now, c.before)
	c.before = now
	c.metrics.unreadable.Add(c.in.Bad, &c.bad)
	c.metrics.open.WithLabelValues(c.partition).Set(float64(now.Open))
}
