package main

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/ingest/normalize"
)

// metrics are ingest's own. Conservation: data_records_total is the sum of
// records_total over its kinds.
type metrics struct {
	datagrams, bytes, badDatagrams prometheus.Counter
	readErrors                     prometheus.Counter
	dropped                        *prometheus.CounterVec
	droppedQueue, droppedKernel    prometheus.Counter
	refused                        [refusals]*topCounter
	exporterDatagrams              *exporterCounter
	exporterBytes                  *exporterCounter

	dataRecords, optionsRecords prometheus.Counter
	records                     kinds
	dead                        *prometheus.CounterVec
	deadNotKept                 prometheus.Counter
	missingTemplates            prometheus.Counter
	lateSets, expiredSets       prometheus.Counter
	duplicates, lostRecords     prometheus.Counter
	droppedSamples              prometheus.Counter
	factsLearnt, followErrors   prometheus.Counter
	refusedTemplates            prometheus.Counter
	refusedOptions              *prometheus.CounterVec
	tick                        prometheus.Gauge
	// unaccounted is data_records_total less the sum of records_total.
	unaccounted atomic.Int64
}

func newMetrics(r prometheus.Registerer, exporters int) *metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "flowledger", Subsystem: "ingest", Name: name, Help: help})
		r.MustRegister(c)
		return c
	}
	vec := func(name, label, help string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "flowledger", Subsystem: "ingest", Name: name, Help: help}, []string{label})
		r.MustRegister(c)
		return c
	}
	perExporter := func(name, help string) *exporterCounter {
		return newExporterCounter(vec(name, "sampler_address", help), exporters)
	}
	m := &metrics{
		datagrams:         counter("datagrams_total", "Datagrams received from exporters that may send."),
		bytes:             counter("bytes_total", "UDP payload of these datagrams."),
		badDatagrams:      counter("bad_datagrams_total", "Datagrams of which some part could not be read; the rest was used."),
		readErrors:        counter("read_errors_total", "Errors of reading a socket."),
		dropped:           vec("dropped_total", "reason", "Datagrams lost before they were decoded: queue_full (Kafka or the decoder is behind), kernel (the socket's buffer was full; of datagrams that it holds in one piece, UDP_GRO, the kernel counts one)."),
		exporterDatagrams: perExporter("exporter_datagrams_total", "Datagrams decoded, per exporter."),
		exporterBytes:     perExporter("exporter_bytes_total", "UDP payload decoded, per exporter."),
		dataRecords:       counter("data_records_total", "Data records cut out of datagrams."),
		optionsRecords:    counter("options_records_total", "Options records cut out of datagrams."),
		records:           newKinds(vec("records_total", "kind", "What became of the data records, each once: flow, event, flow_and_event, dead.")),
		dead:              vec("dead_total", "reason", "Dead letters: input that could not be read, kept in flows.dead."),
		deadNotKept:       counter("dead_not_kept_total", "Dead letters beyond max_dead_bytes, counted only."),
		missingTemplates:  counter("missing_template_sets_total", "Data sets whose template was not known when they came."),
		lateSets:          counter("late_sets_total", "Of these, sets that were read once their template came."),
		expiredSets:       counter("expired_sets_total", "Of these, sets whose template did not come in time, or for which there was no room: dead letters."),
		duplicates:        counter("duplicate_datagrams_total", "Datagrams that came twice and were not read again."),
		lostRecords:       counter("lost_records_total", "Records that never came, by the exporters' sequence numbers. With several replicas behind one exporter, those that another got are among them."),
		droppedSamples:    counter("sflow_dropped_samples_total", "Samples that sFlow agents lost for want of resources, as they count them: their rates are then higher than they say (effectiveSamplingInterval on topic exporters)."),
		factsLearnt:       counter("facts_learnt_total", "Facts about exporters learnt from other ingesters and former processes."),
		followErrors:      counter("follow_errors_total", "Failed reads of the topic of exporters; they are repeated."),
		refusedTemplates:  counter("refused_templates_total", "Templates beyond a bound."),
		refusedOptions:    vec("refused_options_total", "reason", "What exporters said of themselves beyond a bound: not kept for want of room (room), or not told on topic exporters (rate)."),
		tick:              prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "flowledger", Subsystem: "ingest", Name: "tick_end_seconds", Help: "Stream time up to which everything received has been handed over."}),
	}
	r.MustRegister(m.tick)
	m.watchBooks(r)
	m.refused = newRefused(r, exporters)
	m.droppedQueue, m.droppedKernel = m.dropped.WithLabelValues("queue_full"), m.dropped.WithLabelValues("kernel")
	return m
}

// kinds are what becomes of data records.
type kinds struct{ flow, event, flowAndEvent, dead prometheus.Counter }

func newKinds(vec *prometheus.CounterVec) kinds {
	return kinds{vec.WithLabelValues("flow"), vec.WithLabelValues("event"), vec.WithLabelValues("flow_and_event"), vec.WithLabelValues("dead")}
}

// watchBooks exports whether the law of conservation holds.
func (m *metrics) watchBooks(r prometheus.Registerer) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "flowledger", Subsystem: "ingest", Name: "unaccounted_records",
		Help: "Data records of which it is not known what became of them. Anything but 0 is a fault of this program."}, func() float64 { return float64(m.unaccounted.Load()) }))
}

// watch exports what is asked for at the time of the scrape.
func watch(r prometheus.Registerer, q *queues) {
	gauge := func(name, help string, f func() float64) {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "flowledger", Subsystem: "ingest", Name: name, Help: help}, f))
	}
	gauge("queue_bytes", "Memory of the datagrams that wait for the decoder or are with it.", func() float64 { bytes, _ := q.length(); return float64(bytes) })
	gauge("queue_datagrams", "Datagrams that wait for the decoder.", func() float64 { _, n := q.length(); return float64(n) })
}

// count adds what a result says.
func (m *metrics) count(r *normalize.Result) {
	m.badDatagrams.Add(float64(r.BadDatagrams))
	m.dataRecords.Add(float64(r.DataRecords))
	m.optionsRecords.Add(float64(r.OptionsRecords))
	m.unaccounted.Add(int64(r.DataRecords) - int64(r.Records.Flow+r.Records.Event+r.Records.FlowAndEvent+r.Records.Dead))
	m.records.flow.Add(float64(r.Records.Flow))
	m.records.event.Add(float64(r.Records.Event))
	m.records.flowAndEvent.Add(float64(r.Records.FlowAndEvent))
	m.records.dead.Add(float64(r.Records.Dead))
	m.deadNotKept.Add(float64(r.DeadNotKept))
	m.missingTemplates.Add(float64(r.MissingTemplateSets))
	m.lateSets.Add(float64(r.LateSets))
	m.expiredSets.Add(float64(r.ExpiredSets))
	m.duplicates.Add(float64(r.Duplicates))
	m.lostRecords.Add(float64(r.LostRecords))
	m.droppedSamples.Add(float64(r.DroppedSamples))
	m.refusedTemplates.Add(float64(r.RefusedTemplates))
	m.refusedOptions.WithLabelValues("room").Add(float64(r.RefusedOptions))
	m.refusedOptions.WithLabelValues("rate").Add(float64(r.UntoldOptions))
	for i := range r.Dead {
		m.dead.WithLabelValues(r.Dead[i].Reason).Inc()
	}
}
