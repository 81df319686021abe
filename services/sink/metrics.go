package main

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/sink/rows"
)

// metrics counts what the sink does.
type metrics struct {
	records    *prometheus.CounterVec
	unreadable *prometheus.CounterVec
	rows       *prometheus.CounterVec
	seconds    *prometheus.HistogramVec
	failures   *prometheus.CounterVec
	offset     *prometheus.GaugeVec
	delay      *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	name := func(n string) string { return "flowledger_sink_" + n }
	m := &metrics{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("records_total"), Help: "Records read from the log."}, []string{"topic"}),
		unreadable: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("unreadable_total"), Help: "Messages of which something, a record or all, was left out since it cannot be read."}, []string{"topic"}),
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("rows_total"), Help: "Rows that ClickHouse acknowledged, repetitions included."}, []string{"table"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name("insert_seconds"), Help: "Duration of inserts that went well.", Buckets: prometheus.ExponentialBuckets(0.002, 2, 14)}, []string{"table"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: name("insert_failures_total"), Help: "Inserts that had to be tried again, by who failed: clickhouse, connection, timeout."}, []string{"table", "reason"}),
		offset: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: name("offset"), Help: "Everything before this offset is in the ledger."}, []string{"topic", "partition"}),
		delay: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: name("delay_seconds"), Help: "Age of the last message of a cut when it was in the ledger.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 18)}, []string{"topic"}),
	}
	reg.MustRegister(m.records, m.unreadable, m.rows, m.seconds, m.failures, m.offset, m.delay)
	return m
}

func (m *metrics) inserted(b rows.Block, took time.Duration) {
	m.rows.WithLabelValues(b.Table).Add(float64(b.Rows))
	m.seconds.WithLabelValues(b.Table).Observe(took.Seconds())
}

// partitionMetrics is the part of metrics that one partition moves.
type partitionMetrics struct {
	records    prometheus.Counter
	unreadable prometheus.Counter
	offset     prometheus.Gauge
	delay      prometheus.Observer
	close      func()
}

func (m *metrics) partition(topic string, partition int) *partitionMetrics {
	number := strconv.Itoa(partition)
	return &partitionMetrics{
		records:    m.records.WithLabelValues(topic),
		unreadable: m.unreadable.WithLabelValues(topic),
		offset:     m.offset.WithLabelValues(topic, number),
		delay:      m.delay.WithLabelValues(topic),
		close:      func() { m.offset.DeleteLabelValues(topic, number) },
	}
}

func (p *partitionMetrics) stored(next int64, delay time.Duration) {
	p.offset.Set(float64(next))
	p.delay.Observe(max(delay, 0).Seconds())
}
