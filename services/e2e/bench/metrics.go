package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// metrics is what the measurement asks a service.
type metrics struct {
	recordsIn, recordsOut uint64
	lag                   uint64 // messages of the log ahead of it
	queued                uint64 // bytes that wait to be acknowledged, or to be decoded
	decoded, dropped      uint64 // ingest (and goflow2): data records; and datagrams lost in its queue
	partitions            uint64 // at work
	// The sink's records by topic, and rows by table.
	read, rows map[string]uint64
}

// readMetrics reads the text form of Prometheus.
func readMetrics(text []byte) metrics {
	m := metrics{read: map[string]uint64{}, rows: map[string]uint64{}}
	sums := map[string]*uint64{
		"flowledger_stage_records_in_total":    &m.recordsIn,
		"flowledger_stage_records_out_total":   &m.recordsOut,
		"flowledger_stage_lag_messages":        &m.lag,
		"flowledger_stage_queue_bytes":         &m.queued,
		"flowledger_stage_partitions":          &m.partitions,
		"flowledger_ingest_queue_bytes":        &m.queued,
		"flowledger_ingest_data_records_total": &m.decoded,
		"flowledger_ingest_dropped_total":      &m.dropped,
	}
	for line := range bytes.Lines(text) {
		series, value, ok := strings.Cut(string(bytes.TrimSpace(line)), " ")
		if !ok || strings.HasPrefix(series, "#") {
			continue
		}
		name, labels, _ := strings.Cut(series, "{")
		f, err := strconv.ParseFloat(value, 64)
		if err != nil || f < 0 {
			continue
		}
		if sum := sums[name]; sum != nil {
			*sum += uint64(f)
		}
		switch name {
		case "goflow2_flow_process_nf_flowset_records_total": // goflow2's
			if label(labels, "type") == "DataFlowSet" {
				m.decoded += uint64(f)
			}
		case "flowledger_sink_records_total":
			m.read[label(labels, "topic")] += uint64(f)
		case "flowledger_sink_rows_total":
			m.rows[label(labels, "table")] += uint64(f)
		}
	}
	return m
}

// label is the value of one label; none of ours has quotes within.
func label(labels, name string) string {
	_, value, _ := strings.Cut(labels, name+`="`)
	value, _, _ = strings.Cut(value, `"`)
	return value
}

// get asks a service over HTTP.
func get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s says %s: %s", url, resp.Status, bytes.TrimSpace(text))
	}
	return text, err
}
