package main

import "github.com/prometheus/client_golang/prometheus"

// logMetrics are the metrics of log files. Lines that become records are counted
// with those of datagrams.
type logMetrics struct {
	files  *prometheus.CounterVec
	failed *prometheus.CounterVec
	status *prometheus.CounterVec
}

func newLogMetrics(r prometheus.Registerer) *logMetrics {
	vec := func(name, label, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "flowledger", Subsystem: "ingest", Name: name, Help: help}, []string{label})
		r.MustRegister(c)
		return c
	}
	m := &logMetrics{
		files:  vec("log_files_total", "kind", "Log files read: vpc, zeek."),
		failed: vec("log_failures_total", "reason", "Log files that could not be opened (open), were gone (gone) or broke off (read), and looks for files that failed (poll)."),
		status: vec("vpc_status_total", "status", "Intervals without data that VPC flow logs tell of: nodata (no traffic), skipdata (AWS lost records)."),
	}
	for _, s := range []string{"nodata", "skipdata"} {
		m.status.WithLabelValues(s)
	}
	return m
}
