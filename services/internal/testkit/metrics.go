package testkit

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

var updateMetrics = flag.Bool("update-metrics", false, "write docs/reference/metrics.md anew")

// Metrics holds the metrics that a program registers under a prefix against a section
// of docs/reference/metrics.md, named root, the way to the project's own folder.
func Metrics(t *testing.T, root, section, prefix string, register func(prometheus.Registerer)) {
	t.Helper()
	r := &remembering{Registerer: prometheus.NewRegistry()}
	register(r)
	var rows [][]string
	for _, c := range r.all {
		for _, d := range describe(c) {
			if strings.HasPrefix(d.name, prefix) {
				rows = append(rows, []string{"`" + d.name + "`", d.kind, d.labels, strings.ReplaceAll(d.help, "|", `\|`)})
			}
		}
	}
	if len(rows) == 0 {
		t.Fatalf("no metric is named %s…", prefix)
	}
	slices.SortFunc(rows, slices.Compare)
	rows = slices.CompactFunc(rows, slices.Equal)
	checkNames(t, root, prefix, rows)
	rows = slices.Insert(rows, 0, []string{"metric", "kind", "labels", "meaning"})
	Section(t, root+"/docs/reference/metrics.md", section, Table(rows), "make metrics-page", *updateMetrics)
}

// checkNames tells what the pages of people call a metric, and is none.
func checkNames(t *testing.T, root, prefix string, rows [][]string) {
	t.Helper()
	pages, err := filepath.Glob(root + "/docs/*/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages below %s: %v", root, err)
	}
	quoted := regexp.MustCompile("`" + prefix + "[a-z_]+")
	for _, page := range append(pages, root+"/README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range quoted.FindAllString(string(text), -1) {
			if !slices.ContainsFunc(rows, func(r []string) bool { return r[0] == name+"`" }) {
				t.Errorf("%s speaks of %s`, which is no metric", page, name)
			}
		}
	}
}

// remembering is a registerer that remembers what was registered.
type remembering struct {
	prometheus.Registerer
	all []prometheus.Collector
}

// Register implements prometheus.Registerer.
func (r *remembering) Register(c prometheus.Collector) error {
	r.all = append(r.all, c)
	return r.Registerer.Register(c)
}

// MustRegister implements prometheus.Registerer.
func (r *remembering) MustRegister(cs ...prometheus.Collector) {
	for _, c := range cs {
		if err := r.Register(c); err != nil {
			panic(err)
		}
	}
}

type description struct{ name, kind, labels, help string }

// described is what prometheus.Desc says of itself: the library has no other way.
var described = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*"), (?:unit: "[^"]*", )?constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

func describe(c prometheus.Collector) (all []description) {
	found := make(chan *prometheus.Desc)
	go func() {
		c.Describe(found)
		close(found)
	}()
	kind := kindOf(c)
	for one := range found {
		m := described.FindStringSubmatch(one.String())
		if m == nil {
			panic("BUG: not the description of a metric: " + one.String())
		}
		name, _ := strconv.Unquote(m[1])
		help, _ := strconv.Unquote(m[2])
		var labels []string
		for constant := range strings.SplitSeq(m[3], ",") {
			label, _, _ := strings.Cut(constant, "=")
			labels = append(labels, label)
		}
		labels = append(labels, strings.Split(m[4], ",")...)
		labels = slices.DeleteFunc(labels, func(l string) bool { return l == "" })
		all = append(all, description{name, kind, strings.Join(labels, ", "), help})
	}
	return all
}

// kindOf is what a collector's metrics are; of those that have none yet, what its type says.
func kindOf(c prometheus.Collector) string {
	switch c.(type) {
	case *prometheus.CounterVec:
		return "counter"
	case *prometheus.GaugeVec:
		return "gauge"
	case *prometheus.HistogramVec:
		return "histogram"
	}
	metrics := make(chan prometheus.Metric)
	go func() {
		c.Collect(metrics)
		close(metrics)
	}()
	kind := "counter" // of those that we write ourselves, all are, and begin empty
	for m := range metrics {
		var one dto.Metric
		if err := m.Write(&one); err != nil {
			panic(err)
		}
		switch {
		case one.Gauge != nil:
			kind = "gauge"
		case one.Histogram != nil:
			kind = "histogram"
		}
	}
	return kind
}
