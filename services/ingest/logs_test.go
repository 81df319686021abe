package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/ingest/vpc"
	"github.com/flowledger/flowledger/services/internal/conf"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
)

const flowLine = "2 123456789010 eni-%d 10.0.0.1 10.0.0.2 49761 3389 6 20 4249 1418530010 1418530070 ACCEPT OK\n"

func writeLog(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// recordsOf counts the records of topics.
func recordsOf(t *testing.T, records []record) map[string]int {
	t.Helper()
	got := map[string]int{}
	for _, r := range records {
		switch r.topic {
		case stage.FlowsDead:
			got[r.topic]++
		default:
			each(t, r.value, func([]byte) { got[r.topic]++ })
		}
	}
	return got
}

// TestLogsAreReadOnce: the lines of log files reach their topics, each once,
// whatever stops and starts lie between.
func TestLogsAreReadOnce(t *testing.T) {
	b := startBroker(t)
	cfg := testConfig(t, b)
	dir := t.TempDir()
	cfg.VPC.Dir, cfg.VPC.StateDir, cfg.VPC.Interval = dir, filepath.Join(t.TempDir(), "state"), time.Second
	cfg.Zeek.Dir, cfg.Zeek.StateDir = t.TempDir(), cfg.VPC.StateDir
	var lines strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&lines, flowLine, i)
	}
	writeLog(t, filepath.Join(dir, "a.log"), lines.String()+"2 1 eni-1 - - - - - - - 1431280876 1431280934 - SKIPDATA\nnonsense\n")
	writeLog(t, filepath.Join(cfg.Zeek.Dir, "dns.log"), `{"ts":1602265824.1,"query":"a.example","qtype":1,"rcode":3}`+"\n")
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}

	in := start(t, cfg)
	await(t, "the files", func() bool {
		return testutil.ToFloat64(in.logs.counts.files.WithLabelValues("vpc")) == 1 && testutil.ToFloat64(in.logs.counts.files.WithLabelValues("zeek")) == 1
	})
	checkConservation(t, in.metrics)
	if n := testutil.ToFloat64(in.logs.counts.status.WithLabelValues("skipdata")); n != 1 {
		t.Errorf("%v intervals with losses, want 1", n)
	}
	if err := in.stop(); err != nil {
		t.Fatal(err)
	}

	writeLog(t, filepath.Join(dir, "b.json"), fmt.Sprintf(`{"message":%q}`, strings.TrimSpace(fmt.Sprintf(flowLine, 7))))
	in = start(t, cfg)
	await(t, "the new file", func() bool { return testutil.ToFloat64(in.logs.counts.files.WithLabelValues("vpc")) == 1 })
	if err := in.stop(); err != nil { // it has been read: when it was, was it remembered?
		t.Fatal(err)
	}
	in = start(t, cfg)
	await(t, "Kafka", func() bool { return in.ready() == nil })
	if err := in.stop(); err != nil {
		t.Fatal(err)
	}
	records := readAll(t, &cfg)
	got := recordsOf(t, records)
	for topic, want := range map[string]int{stage.FlowsRaw: 1001, stage.Events: 1, stage.DNS: 1, stage.FlowsDead: 1} {
		if got[topic] != want {
			t.Errorf("%s holds %d records, want %d", topic, got[topic], want)
		}
	}
}

// nowhere is where records go that nobody asks for.
type nowhere struct{ appended int }

func (*nowhere) Partitions(int) int { return 1 }

func (n *nowhere) Append(int, int, flow.Message) error { n.appended++; return nil }

func (n *nowhere) AppendMessage(int, int, []byte, []byte, ...stage.Header) error { return nil }

// TestLogRecordsAreHandedOver: records do not pile up, however many come of a line.
func TestLogRecordsAreHandedOver(t *testing.T) {
	to := &nowhere{}
	parser := vpc.New(vpc.Default())
	h := &logHandler{feed: to, logs: &logs{metrics: newMetrics(prometheus.NewRegistry(), 1), clock: &clock{offset: func() (time.Duration, bool) { return 0, false }}},
		line: func(b []byte, ns uint64, out *normalize.Result) {
			for range 100 {
				parser.Line(b, ns, out)
			}
		}}
	for range 10 {
		if err := h.Line(fmt.Appendf(nil, flowLine, 1)); err != nil {
			t.Fatal(err)
		}
		if n := h.result.DataRecords; n >= resultRecords {
			t.Errorf("%d records wait", n)
		}
	}
	if to.appended == 0 {
		t.Error("nothing was handed over")
	}
}

// TestLogsFromABucket: the clients are set up as the configuration says.
func TestLogsFromABucket(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "a")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "b")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	const key = "AWSLogs/x.log"
	line := fmt.Sprintf(flowLine, 1)
	s3 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/logs/"+key {
			fmt.Fprint(w, line)
			return
		}
		fmt.Fprintf(w, `<ListBucketResult><Contents><Key>%s</Key><ETag>"1"</ETag><Size>%d</Size><LastModified>%s</LastModified></Contents></ListBucketResult>`,
			key, len(line), time.Now().UTC().Format(time.RFC3339))
	}))
	defer s3.Close()
	defer http.DefaultClient.CloseIdleConnections()
	b := startBroker(t)
	cfg := testConfig(t, b)
	cfg.VPC.S3.Bucket, cfg.VPC.S3.Prefix, cfg.VPC.S3.Region, cfg.VPC.S3.Endpoint = "logs", "AWSLogs/", "eu-west-1", s3.URL
	cfg.VPC.StateDir, cfg.VPC.Interval = t.TempDir(), time.Second
	in := start(t, cfg)
	await(t, "the object", func() bool { return testutil.ToFloat64(in.logs.counts.files.WithLabelValues("vpc")) == 1 })
	if err := in.stop(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range readAll(t, &cfg) {
		if r.topic != stage.FlowsRaw {
			continue
		}
		each(t, r.value, func(b []byte) {
			var f flowv1.Flow
			unmarshal(t, &f, b)
			if f.Vpc.GetInterfaceId() == "eni-1" {
				n++
			}
		})
	}
	if n != 1 {
		t.Errorf("%d flows in Kafka, want 1", n)
	}
}

func TestLogPlacesAreChecked(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		c := Default()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want something with %q", err, want)
		}
	}
	f(func(c *Config) { c.VPC.Interval = 0 }, "vpc.interval")
	f(func(c *Config) { c.VPC.Dir, c.VPC.StateDir = "/logs", "" }, "vpc.state_dir")
	f(func(c *Config) { c.VPC.SQS.QueueURL = "name" }, "vpc.sqs.queue_url")
	f(func(c *Config) { c.VPC.SQS.Invisible = time.Second }, "vpc.sqs.visibility_timeout")
	f(func(c *Config) { c.VPC.Logs.Format = "${start}" }, "vpc.logs.format")
	f(func(c *Config) { c.Zeek.S3.Since = -1 }, "zeek.s3.since")
}

// TestHowtoLoads: the configuration in the documentation is one.
func TestHowtoLoads(t *testing.T) {
	page, err := os.ReadFile("../../docs/howto/vpc.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	text, _, _ := strings.Cut(rest, "```")
	path := filepath.Join(t.TempDir(), "ingest.yaml")
	writeLog(t, path, text)
	cfg := Default()
	if err := conf.Load(&cfg, conf.Sources{File: path}); err != nil {
		t.Fatal(err)
	}
	if cfg.VPC.Logs.Realms["vpc-0f9e8d7c6b5a43210"] != 2 || cfg.VPC.SQS.QueueURL == "" {
		t.Errorf("got %+v", cfg.VPC)
	}
}
