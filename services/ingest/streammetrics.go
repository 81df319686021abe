package main

import "github.com/prometheus/client_golang/prometheus"

// streamMetrics are those of connections. What comes by them counts as datagrams
// as well: one message is one.
type streamMetrics struct {
	accepted, ended, held *prometheus.CounterVec
	heldQueue, heldRate   prometheus.Counter
	messages, lost        prometheus.Counter
	acceptErrors          prometheus.Counter
	certificateErrors     prometheus.Counter
}

func newStreamMetrics(r prometheus.Registerer) *streamMetrics {
	opts := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "flowledger", Subsystem: "ingest", Name: name, Help: help}
	}
	m := &streamMetrics{
		accepted: prometheus.NewCounterVec(opts("stream_connections_total", "Connections let in."), []string{"transport"}),
		ended: prometheus.NewCounterVec(opts("stream_ended_total",
			"Connections that have ended: closed (by the exporter), idle, stop, made_room (for a source with fewer), not_ipfix and bad_length (malformed), truncated (within a message), broken."), []string{"reason"}),
		held:              prometheus.NewCounterVec(opts("stream_held_seconds_total", "Time for which connections were not read: queue (no room), rate (limits)."), []string{"reason"}),
		messages:          prometheus.NewCounter(opts("stream_messages_total", "IPFIX messages received over TCP and TLS; they are among datagrams_total.")),
		lost:              prometheus.NewCounter(opts("stream_lost_messages_total", "Of these, messages for which a stop found no room in time.")),
		acceptErrors:      prometheus.NewCounter(opts("stream_accept_errors_total", "Errors of accepting a connection, such as too many open files.")),
		certificateErrors: prometheus.NewCounter(opts("stream_certificate_errors_total", "Changed certificates that could not be used; the former ones stay.")),
	}
	r.MustRegister(m.accepted, m.ended, m.held, m.messages, m.lost, m.acceptErrors, m.certificateErrors)
	m.heldQueue, m.heldRate = m.held.WithLabelValues("queue"), m.held.WithLabelValues("rate")
	for _, why := range []string{endClosed, endIdle, endStop, endMadeRoom, endNotIPFIX, endLength, endTruncated, endBroken} {
		m.ended.WithLabelValues(why)
	}
	return m
}

// watch exports how many connections there are.
func (m *streamMetrics) watch(r prometheus.Registerer, s *seats) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "flowledger", Subsystem: "ingest", Name: "stream_connections",
		Help: "Connections at the moment."}, func() float64 { return float64(s.length()) }))
}
