// Package unreadable exports what stages cannot read of the log and leave out.
//
//	flow.Bad of a core ─▶ Counter ─▶ flowledger_<stage>_unreadable_total{reason}
package unreadable

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// Counter counts for all cores of a stage, by reason.
type Counter struct{ Truncated, Undecodable prometheus.Counter }

// New registers the counter of a stage.
func New(r prometheus.Registerer, stage string) Counter {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "flowledger", Subsystem: stage, Name: "unreadable_total",
		Help: "What of the log cannot be read, and is left out and kept in flows.dead: undecodable (a message that is none), truncated (a batch from there on where it ends within a message).",
	}, []string{"reason"})
	r.MustRegister(c)
	return Counter{Truncated: c.WithLabelValues("truncated"), Undecodable: c.WithLabelValues("undecodable")}
}

// Add counts what a core has left out since before, which is now.
func (c Counter) Add(now flow.Bad, before *flow.Bad) {
	c.Truncated.Add(float64(now.Truncated - before.Truncated))
	c.Undecodable.Add(float64(now.Undecodable - before.Undecodable))
	*before = now
}
