package main

import (
	"log/slog"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/dedup/merge"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/internal/unreadable"
)

// metrics are what the cores of this process have counted, beside what the shell
// counts of any stage.
type metrics struct {
	unreadable                                                             unreadable.Counter
	reports, counted, merged, late, failovers, evicted, hurried, toldTwice prometheus.Counter
	flows, waiting, sharing                                                *prometheus.GaugeVec
	log                                                                    *slog.Logger
	// told are the exporters of which the log has said that they seem to share packets.
	told sync.Map
}

func newMetrics(r prometheus.Registerer, log *slog.Logger) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "flowledger", Subsystem: "dedup", Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "flowledger", Subsystem: "dedup", Name: name, Help: help}, []string{"partition"})
		r.MustRegister(g)
		return g
	}
	return &metrics{
		unreadable: unreadable.New(r, "dedup"),
		reports:    counter("reports_total", "Reports of observation points that came in."),
		counted:    counter("counted_total", "Reports whose volume counts: the authorities'."),
		merged:     counter("merged_total", "Reports merged in as further reporters of a flow, their volume not counted."),
		late:       counter("late_total", "Reports that came after their flow had been passed on."),
		failovers:  counter("failovers_total", "Times another observation point took over from a silent authority."),
		evicted:    counter("evicted_total", "Flows forgotten early because max_flows was reached: late duplicates of them count twice."),
		hurried:    counter("hurried_total", "Flows decided before the end of their hold because max_waiting was reached: reports that come after it are late ones."),
		toldTwice:  counter("told_twice_total", "Flows of which an exporter reported the same at two of its interfaces, and both count. If it rises, packets pass it twice: name it in dedup.split_interfaces."),
		flows:      gauge("flows", "Flows remembered, as of the last tick handled here."),
		waiting:    gauge("waiting_reports", "Reports held for those of other exporters."),
		sharing:    gauge("sharing_exporters", "Pairs of exporters that seem to share the packets of flows, as in ECMP by packet, and are in no group of dedup.groups: one counts, so volume is missing. The log names them."),
		log:        log,
	}
}

// add counts what has been added since before.
func (m *metrics) add(now, before merge.Stats) {
	m.reports.Add(float64(now.Reports - before.Reports))
	m.counted.Add(float64(now.Counted - before.Counted))
	m.merged.Add(float64(now.Merged - before.Merged))
	m.late.Add(float64(now.Late - before.Late))
	m.failovers.Add(float64(now.Failovers - before.Failovers))
	m.evicted.Add(float64(now.Evicted - before.Evicted))
	m.hurried.Add(float64(now.Hurried - before.Hurried))
	m.toldTwice.Add(float64(now.ToldTwice - before.ToldTwice))
}

// measured is a core whose counters are exported after every call.
type measured struct {
	*core
	metrics   *metrics
	before    merge.Stats
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
	c.before = c.window.Stats()
	return err
}

func (c *measured) count() {
	now := c.window.Stats()
	c.metrics.add(now, c.before)
	c.before = now
	c.metrics.unreadable.Add(c.flows.Bad, &c.bad)
	c.metrics.flows.WithLabelValues(c.partition).Set(float64(now.Flows))
	c.metrics.waiting.WithLabelValues(c.partition).Set(float64(now.Waiting))
	sharing := c.window.Sharing()
	c.metrics.sharing.WithLabelValues(c.partition).Set(float64(len(sharing)))
	for _, s := range sharing {
		c.metrics.tell(s)
	}
}

// tell says once in the log that two exporters seem to share packets.
func (m *metrics) tell(s merge.Sharing) {
	if _, told := m.told.LoadOrStore([2]flow.Addr{s.A, s.B}, true); !told {
		m.log.Warn("two exporters count other packets of the same flows at the same time: if they share them (ECMP by packet), name both in a group of dedup.groups; if not, packets are lost between them, or one samples",
			"exporter", s.A.Netip(), "other", s.B.Netip(), "compared", s.Compared, "unlike", s.Unlike)
	}
}
