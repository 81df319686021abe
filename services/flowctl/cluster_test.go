package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// broker starts a broker in this process and returns the flags that lead to it.
func broker(t *testing.T) (flags []string, cfg stage.Config) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cfg = stage.Default()
	cfg.Brokers, cfg.TopicPrefix = c.ListenAddrs(), "t."
	return []string{"--kafka.brokers", strings.Join(cfg.Brokers, ","), "--kafka.topic_prefix", "t."}, cfg
}

// testPatience is how long a test waits for what must come: a machine that has other work
// may take many times as long as one that has none.
const testPatience = 3 * time.Minute

// must runs a command line that has to succeed.
func must(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testPatience)
	defer cancel()
	stdout, stderr, err := ctl(ctx, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, stderr)
	}
	return stdout, stderr
}

func TestTopics(t *testing.T) {
	at, _ := broker(t)
	line := func(args ...string) []string { return append(args, at...) }
	if _, _, err := ctl(t.Context(), line("topics", "check")...); err == nil || !strings.Contains(err.Error(), "flowctl topics create") {
		t.Errorf("check without topics: got %v", err)
	}
	if _, _, err := ctl(t.Context(), line("tail", "alerts")...); err == nil || !strings.Contains(err.Error(), "flowctl topics create") {
		t.Errorf("tail without topics: got %v", err)
	}
	must(t, line("topics")...)
	must(t, line("topics", "create")...)
	must(t, line("topics", "check")...)
	stdout, _ := must(t, line("topics", "list")...)
	for _, topic := range stage.Catalogue() {
		if !strings.Contains(stdout, "t."+topic.Name+" ") {
			t.Errorf("the list lacks %s:\n%s", topic.Name, stdout)
		}
	}
	_, _, err := ctl(t.Context(), line("topics", "check", "--kafka.partitions.hosts", "9")...)
	if err == nil || !strings.Contains(err.Error(), "kafka.partitions.hosts to 4") {
		t.Errorf("check with other partitions: got %v", err)
	}
}

// write sends activity records with realms 1 to n, one tick each, round the partitions.
func write(t *testing.T, cfg stage.Config, n int) {
	t.Helper()
	s, err := stage.NewSource(cfg, "test/1", []string{stage.Activity}, stage.SourceOptions{Block: true}, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(t.Context()) }()
	for i := 1; i <= n; i++ {
		if err := s.Append(0, i%s.Partitions(0), &flowv1.Activity{Realm: uint32(i)}); err != nil {
			t.Fatal(err)
		}
		if err := s.EndTick(eventtime.Tick(100 + i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(t.Context(), stage.ByeStop); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestTail(t *testing.T) {
	at, cfg := broker(t)
	must(t, append([]string{"topics"}, at...)...)
	write(t, cfg, 20)
	tail := func(args ...string) []string {
		stdout, _ := must(t, append(append([]string{"tail", "activity"}, args...), at...)...)
		return strings.Split(strings.TrimSpace(stdout), "\n")
	}
	if got := tail("--count", "0", "--from", "first"); len(got) != 20 {
		t.Errorf("all: got %d records", len(got))
	}
	if got := tail("--count", "0"); len(got) != 20 {
		t.Errorf("all of the last: got %d records", len(got))
	}
	if got := tail("--from", "first", "-n", "2"); !cmp.Equal(got, []string{`{"realm":4}`, `{"realm":8}`}) {
		t.Errorf("first two: got %v", got)
	}
	if got := tail("-n", "3"); len(got) != 3 {
		t.Errorf("last three: got %v", got)
	}
	if got := tail("--messages"); !strings.Contains(got[len(got)-1], `"bye":"stop"`) {
		t.Errorf("the last message does not say goodbye: %v", got)
	}
}

// lineWriter hands over every write.
type lineWriter chan string

func (w lineWriter) Write(b []byte) (int, error) {
	w <- string(b)
	return len(b), nil
}

func TestTailFollows(t *testing.T) {
	at, cfg := broker(t)
	must(t, append([]string{"topics"}, at...)...)
	ctx, cancel := context.WithCancel(t.Context())
	out, done := make(lineWriter, 100), make(chan error, 1)
	root := newRoot()
	root.SetArgs(append([]string{"tail", "activity", "--follow"}, at...))
	root.SetOut(out)
	go func() { done <- root.ExecuteContext(ctx) }()
	write(t, cfg, 1)
	select {
	case got := <-out:
		if got != "{\"realm\":1}\n" {
			t.Errorf("got %q", got)
		}
	case <-time.After(testPatience):
		t.Error("nothing was printed")
	}
	cancel()
	if err := <-done; err == nil {
		t.Error("no error after an interrupt")
	}
}

// TestPublish sends a capture through Kafka: all flows that run prints are there,
// and the prefix takes no second timeline.
func TestPublish(t *testing.T) {
	sharedCaptures(t)
	in := filepath.Join(shared, "traffic", "campus_mixed.pcap.gz")
	at, _ := broker(t)
	line := func(args ...string) []string { return append(args, at...) }
	if _, _, err := ctl(t.Context(), line("publish", in)...); err == nil || !strings.Contains(err.Error(), "flowctl topics") {
		t.Errorf("publish without topics: got %v", err)
	}
	must(t, line("topics")...)
	must(t, line("publish", in)...)
	want, _ := must(t, "run", "--emit", "flows", in)
	got, _ := must(t, line("tail", "flows.raw", "--from", "first", "--count", "0")...)
	if got, want := sortedLines(got), sortedLines(want); !slices.Equal(got, want) {
		t.Errorf("published %d flows, run has %d, or they differ", len(got), len(want))
	}
	marks, _ := must(t, line("tail", "flows.raw", "--messages", "--count", "0")...)
	if n := strings.Count(marks, `"bye":"end_of_input"`); n != stage.Default().Partitions.Conversations {
		t.Errorf("%d partitions are told of the end", n)
	}
	_, _, err := ctl(t.Context(), line("publish", in)...)
	if err == nil || !strings.Contains(err.Error(), "one prefix is one timeline") {
		t.Errorf("a second timeline: got %v", err)
	}
	must(t, line("publish", "--force", in)...)
}

func sortedLines(s string) []string {
	lines := strings.Split(s, "\n")
	slices.Sort(lines)
	return lines
}

func TestNoBroker(t *testing.T) {
	for _, args := range [][]string{{"tail", "alerts"}, {"topics", "list"}} {
		_, _, err := ctl(t.Context(), append(args, "--kafka.brokers", "127.0.0.1:1")...)
		if err == nil || !strings.Contains(fmt.Sprint(err), "kafka.brokers") {
			t.Errorf("%v: got %v", args, err)
		}
	}
}

func TestNoClickHouse(t *testing.T) {
	for _, args := range [][]string{{"migrate"}, {"migrate", "up"}, {"migrate", "status"}} {
		_, _, err := ctl(t.Context(), append(args, "--clickhouse.addr", "127.0.0.1:1")...)
		if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1 (clickhouse.addr)") {
			t.Errorf("%v: got %v", args, err)
		}
	}
}
