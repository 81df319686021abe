package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/flowledger/flowledger/services/internal/capture"
	"github.com/flowledger/flowledger/services/internal/pipeline"
)

// summary is what `flowctl run --summary` writes.
type summary struct {
	Datagrams      uint64 `json:"datagrams"`
	DataRecords    uint64 `json:"data_records"`
	OptionsRecords uint64 `json:"options_records"`
	// Records add up to DataRecords.
	Records records `json:"records"`
	Flows   uint64  `json:"flows"`
	Biflows uint64  `json:"biflows"`
	Alerts  uint64  `json:"alerts"`
	// Bytes and Packets are the sums over Flows.
	Bytes       uint64            `json:"bytes"`
	Packets     uint64            `json:"packets"`
	DeadReasons map[string]uint64 `json:"dead_reasons"`
	Seconds     float64           `json:"seconds"`
	CPUSeconds  float64           `json:"cpu_seconds"`
	// missing counts data sets whose template never came; for people only.
	missing uint64
}

// records is what became of the data records.
type records struct {
	Flow         uint64 `json:"flow"`
	Event        uint64 `json:"event"`
	FlowAndEvent uint64 `json:"flow_and_event"`
	Dead         uint64 `json:"dead"`
}

func newSummary(s pipeline.Summary, took, cpu time.Duration) summary {
	reasons := s.DeadReasons
	if reasons == nil {
		reasons = map[string]uint64{}
	}
	return summary{
		Datagrams: s.Datagrams, DataRecords: s.DataRecords, OptionsRecords: s.OptionsRecords,
		Records: records{Flow: s.Records.Flow, Event: s.Records.Event, FlowAndEvent: s.Records.FlowAndEvent, Dead: s.Records.Dead},
		Flows:   s.Flows, Biflows: s.Biflows, Alerts: s.Alerts, Bytes: s.Bytes, Packets: s.Packets,
		DeadReasons: reasons, Seconds: milli(took), CPUSeconds: milli(cpu),
		missing: s.MissingTemplateSets,
	}
}

// milli is a duration in seconds, to the millisecond.
func milli(d time.Duration) float64 { return math.Round(d.Seconds()*1000) / 1000 }

func (s *summary) json() []byte {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("BUG: cannot marshal a summary: " + err.Error())
	}
	return append(b, '\n')
}

// print writes the summary for people.
func (s *summary) print(w io.Writer, files int, st capture.Stats) {
	line := func(what, format string, args ...any) {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("  %-13s %s", what, fmt.Sprintf(format, args...)), " "))
	}
	fmt.Fprintf(w, "%s, %s in %.3f s (%.3f s CPU)\n", plural(uint64(files), "capture"), plural(s.Datagrams, "datagram"), s.Seconds, s.CPUSeconds)
	line("data records", "%12s  %s", count(s.DataRecords), s.fates())
	line("options", "%12s", count(s.OptionsRecords))
	line("flows", "%12s  %s in %s packets", count(s.Flows), size(s.Bytes), count(s.Packets))
	line("conversations", "%12s", count(s.Biflows))
	line("alerts", "%12s", count(s.Alerts))
	if why := s.reasons(); why != "" {
		line("dead letters", "%12s  %s", count(sum(s.DeadReasons)), why)
	}
	if s.missing > 0 {
		line("sets left out", "%12s  their template is not in the capture", count(s.missing))
	}
	if used := st.Datagrams + st.Fragments + st.Segments; st.Packets > used {
		line("passed over", "%12s  of %s", count(st.Packets-used), skipped(st))
	}
}

// fates says what became of the data records.
func (s *summary) fates() string {
	var parts []string
	for _, f := range []struct {
		n    uint64
		what string
	}{{s.Records.Flow, "flow"}, {s.Records.Event, "event"}, {s.Records.FlowAndEvent, "flow and event"}, {s.Records.Dead, "dead"}} {
		if f.n > 0 {
			parts = append(parts, count(f.n)+" "+f.what)
		}
	}
	return strings.Join(parts, ", ")
}

// reasons lists the reasons of dead letters, the commonest first.
func (s *summary) reasons() string {
	names := slices.SortedFunc(maps.Keys(s.DeadReasons), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.DeadReasons[b], s.DeadReasons[a]), cmp.Compare(a, b))
	})
	for i, n := range names {
		names[i] = count(s.DeadReasons[n]) + " " + n
	}
	return strings.Join(names, ", ")
}

func sum(m map[string]uint64) (n uint64) {
	for _, x := range m {
		n += x
	}
	return n
}

func plural(n uint64, what string) string {
	if n != 1 {
		what += "s"
	}
	return count(n) + " " + what
}
