package stage

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the counters of all stages, drains and sources of a process;
// label stage tells whose.
type metrics struct {
	recordsIn, recordsOut, duplicates, lost, late     prometheus.Counter
	dataLoss, malformed, foreign, stale, ended        prometheus.Counter
	retries, snapshots, snapshotErrors, rebalances    prometheus.Counter
	dropped, storeErrors, policiesRefused, dead       prometheus.Counter
	lag, streamLag, waiting, policyVersion            *prometheus.GaugeVec
	snapshotSeconds                                   prometheus.Histogram
	snapshotBytes, queueBytes, clockOffset, recovered prometheus.Gauge
}

// newMetrics registers the metrics under a stage's name. A nil registerer keeps
// them to ourselves; registering twice gives the same ones.
func newMetrics(reg prometheus.Registerer, stage string) *metrics {
	r := registry{reg, prometheus.Labels{"stage": stage}}
	return &metrics{
		recordsIn:       r.counter("records_in_total", "Records taken from the inputs, repetitions not counted."),
		recordsOut:      r.counter("records_out_total", "Records written and acknowledged."),
		duplicates:      r.counter("duplicates_total", "Records that were seen before and dropped: harmless traces of retries and recoveries."),
		lost:            r.counter("lost_total", "Records whose numbers never came. Anything but 0 is loss before Kafka acknowledged, or within it."),
		late:            r.counter("late_total", "Records that came after their tick had passed and took effect later."),
		dataLoss:        r.counter("data_loss_total", "Offsets that were gone before they were read: retention is too short, or a topic was tampered with."),
		malformed:       r.counter("malformed_total", "Messages without our headers, or whose value is no batch."),
		dead:            r.counter("dead_total", "Dead letters: messages and records that could not be read, kept in flows.dead."),
		foreign:         r.counter("foreign_total", "Messages of a source that does not belong in its topic."),
		stale:           r.counter("stale_total", "Messages of a configuration epoch that has been replaced."),
		ended:           r.counter("after_end_total", "Records that came after the end of the timeline and were refused."),
		retries:         r.counter("produce_retries_total", "Attempts to write that were repeated."),
		snapshots:       r.counter("snapshots_total", "Snapshots stored."),
		snapshotErrors:  r.counter("snapshot_errors_total", "Snapshots that could not be stored."),
		rebalances:      r.counter("rebalances_total", "Generations of the consumer group this member took part in."),
		dropped:         r.counter("dropped_total", "Records refused because the queue was full."),
		storeErrors:     r.counter("store_errors_total", "Times a destination failed and was opened anew."),
		policiesRefused: r.counter("policies_refused_total", "Policies that could not be gone by and were passed over, once per partition."),
		policyVersion:   r.gauges("policy_version", "Version of the policy that holds, 0 without one.", "partition"),
		lag:             r.gauges("lag_messages", "Messages between the position and the end of the log.", "topic", "partition"),
		streamLag:       r.gauges("stream_lag_seconds", "How far stream time is behind the wall clock.", "partition"),
		waiting:         r.gauges("waiting_bytes", "Records read but not released yet, because a source is behind.", "partition"),
		snapshotSeconds: r.histogram("snapshot_seconds", "Time from taking a snapshot to having it stored."),
		snapshotBytes:   r.gaugeOf("snapshot_bytes", "Size of the last snapshot, compressed."),
		queueBytes:      r.gaugeOf("queue_bytes", "What waits to be acknowledged."),
		clockOffset:     r.gaugeOf("clock_offset_seconds", "The broker's clock minus ours."),
		recovered:       r.gaugeOf("partitions", "Partitions at work."),
	}
}

// add counts what an engine or reader has met since the last time.
func (m *metrics) add(now, before tally) {
	m.recordsIn.Add(float64(now.records - before.records))
	m.duplicates.Add(float64(now.duplicates - before.duplicates))
	m.lost.Add(float64(now.lost - before.lost))
	m.late.Add(float64(now.late - before.late))
	m.malformed.Add(float64(now.malformed - before.malformed))
	m.dead.Add(float64(now.dead - before.dead))
	m.foreign.Add(float64(now.foreign - before.foreign))
	m.stale.Add(float64(now.stale - before.stale))
	m.ended.Add(float64(now.ended - before.ended))
	m.policiesRefused.Add(float64(now.refused - before.refused))
}

type registry struct {
	reg    prometheus.Registerer
	labels prometheus.Labels
}

const namespace, subsystem = "flowledger", "stage"

func (r registry) counter(name, help string) prometheus.Counter {
	return register(r.reg, prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, ConstLabels: r.labels}))
}

func (r registry) gaugeOf(name, help string) prometheus.Gauge {
	return register(r.reg, prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, ConstLabels: r.labels}))
}

func (r registry) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return register(r.reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, ConstLabels: r.labels}, labels))
}

func (r registry) histogram(name, help string) prometheus.Histogram {
	return register(r.reg, prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, ConstLabels: r.labels,
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 9)}))
}

func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	err := reg.Register(c)
	var there prometheus.AlreadyRegisteredError
	if errors.As(err, &there) {
		if same, ok := there.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		panic("BUG: cannot register a metric: " + err.Error())
	}
	return c
}

func partitionLabel(p int) string { return strconv.Itoa(p) }
