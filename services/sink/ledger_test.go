package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/flowledger/flowledger/services/internal/embedded"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/sink/rows"
	"github.com/flowledger/flowledger/services/sink/schema"
)

// newLedger makes a ledger of the test's own, migrated.
func newLedger(t testing.TB) *ledger {
	t.Helper()
	cfg := schema.Default()
	cfg.Addr = []string{embedded.TestLedger(t).HTTPAddr()}
	// The native protocol needs a server; there, all tests can go by it.
	if addr := os.Getenv("CLICKHOUSE_NATIVE_ADDR"); addr != "" {
		cfg.Addr, cfg.Protocol = []string{addr}, "native"
	}
	cfg.Database = "sink_" + strings.ToLower(strings.NewReplacer("/", "_", "#", "_").Replace(t.Name()))
	conn, err := schema.Connect(t.Context(), withDatabase(cfg, "default"))
	if err != nil {
		t.Fatal(err)
	}
	exec(t, conn, "DROP DATABASE IF EXISTS "+cfg.Database)
	t.Cleanup(func() {
		_ = conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+cfg.Database)
		_ = conn.Close()
	})
	if _, err := schema.Migrate(t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	return openLedger(t, cfg)
}

// openLedger opens a ledger that is there.
func openLedger(t testing.TB, cfg schema.Config) *ledger {
	t.Helper()
	conn, types, err := open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &ledger{
		conn: conn, types: types, metrics: newMetrics(prometheus.NewRegistry()),
		log: slog.New(slog.DiscardHandler), backoff: backoff{first: time.Millisecond, longest: time.Millisecond},
	}
}

func withDatabase(cfg schema.Config, database string) schema.Config {
	cfg.Database = database
	return cfg
}

func exec(t testing.TB, conn driver.Conn, sql string) {
	t.Helper()
	if err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// ask returns the answer of a query, a line per row, values between tabs unless
// another format is named.
func ask(t testing.TB, conn driver.Conn, sql string, format ...string) (lines []string) {
	t.Helper()
	name := append(format, "TSV")[0]
	found, err := conn.Query(t.Context(), "SELECT formatRowNoNewline('"+name+"', *) FROM ("+sql+")")
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	defer found.Close()
	for found.Next() {
		var line string
		if err := found.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := found.Err(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return lines
}

// day is a row of biflows opened so many days after 2026-09-18.
func days(flowID []uint64, day ...int) rows.Block {
	opened := make([]rows.Time, len(day))
	for i, d := range day {
		opened[i] = rows.Time(int64(1789725600+86400*d) * 1e9)
	}
	return rows.Block{Table: "biflows", Rows: len(day), Columns: []rows.Column{
		{Name: "flow_id", Values: flowID}, {Name: "time_opened", Values: opened},
	}}
}

// An insert that spans two partitions, of which one was stored before the crash.
func TestATokenHoldsInEveryPartition(t *testing.T) {
	l := newLedger(t)
	insert := func(token string, b rows.Block) {
		t.Helper()
		if err := l.insert(t.Context(), token, b); err != nil {
			t.Fatal(err)
		}
	}
	insert("a", days([]uint64{1}, 0)) // the first half of the next
	insert("a", days([]uint64{1, 2}, 0, 1))
	insert("a", days([]uint64{1, 2}, 0, 1))
	want := []string{"1\t2026-09-18", "2\t2026-09-19"}
	got := ask(t, l.conn, "SELECT flow_id, toDate(time_opened) FROM biflows ORDER BY flow_id")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("after a repeated insert (-want +got):\n%s", diff)
	}
	insert("b", days([]uint64{1, 2}, 0, 1))
	if got := ask(t, l.conn, "SELECT count() FROM biflows"); got[0] != "4" {
		t.Errorf("another token was taken for the same: count %v, want 4", got)
	}
}

// Wrong clocks bring rows of hundreds of days in one insert.
func TestManyPartitionsInOneInsert(t *testing.T) {
	l := newLedger(t)
	var ids []uint64
	var at []int
	for i := range 120 {
		ids, at = append(ids, uint64(i)), append(at, -i*100)
	}
	if err := l.insert(t.Context(), "a", days(ids, at...)); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, l.conn, "SELECT count() FROM biflows"); got[0] != "120" {
		t.Errorf("count %v, want 120", got)
	}
}

// Two that write the same at the same time.
func TestConcurrentInsertsOfOneToken(t *testing.T) {
	l := newLedger(t)
	b := rows.Block{Table: "flows", Rows: 2, Columns: []rows.Column{
		{Name: "time_received", Values: []rows.Time{1789725600e9, 1789812000e9}}, {Name: "bytes", Values: []uint64{1, 2}},
	}}
	for round := range 8 {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := l.insert(t.Context(), fmt.Sprint("round ", round), b); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
	}
	if diff := cmp.Diff([]string{"16\t24"}, ask(t, l.conn, "SELECT count(), sum(bytes) FROM flows")); diff != "" {
		t.Errorf("rows and bytes (-want +got):\n%s", diff)
	}
}

// An insert that fails is tried again, and counted, until it goes well or the
// sink is stopped.
func TestInsertsAreTriedAgain(t *testing.T) {
	l := newLedger(t)
	reg := prometheus.NewRegistry()
	l.metrics = newMetrics(reg)
	exec(t, l.conn, "ALTER TABLE biflows ADD CONSTRAINT none CHECK version > 0")
	ctx, cancel := context.WithCancel(t.Context())
	failed := func() float64 { return testutil.ToFloat64(l.metrics.failures.WithLabelValues("biflows", "clickhouse")) }
	go func() {
		for failed() < 3 && ctx.Err() == nil {
			runtime.Gosched()
		}
		cancel()
	}()
	if err := l.insert(ctx, "a", days([]uint64{1}, 0)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	exec(t, l.conn, "ALTER TABLE biflows DROP CONSTRAINT none")
	if err := l.insert(t.Context(), "a", days([]uint64{1}, 0)); err != nil {
		t.Error(err)
	}
	if got := testutil.ToFloat64(l.metrics.rows.WithLabelValues("biflows")); got != 1 || failed() < 3 {
		t.Errorf("%v rows after %v failures, want 1 after at least 3", got, failed())
	}
}

func TestPosition(t *testing.T) {
	l := newLedger(t)
	at, err := l.position(t.Context(), "t.biflows", 3)
	if at != nil || err != nil {
		t.Fatalf("position %v, %v in a fresh ledger; want none", at, err)
	}
	w := &writer{topic: "t.biflows", partition: 3}
	for i, p := range []stage.Position{{Next: 5, Sources: []byte("five\x00")}, {Next: 9, Sources: []byte("nine\xff")}, {Next: 7}} {
		if err := l.insert(t.Context(), fmt.Sprint(i), w.offset(p)); err != nil {
			t.Fatal(err)
		}
	}
	at, err = l.position(t.Context(), "t.biflows", 3)
	if diff := cmp.Diff(&stage.Position{Next: 9, Sources: []byte("nine\xff")}, at); err != nil || diff != "" {
		t.Errorf("error %v, position (-want +got):\n%s", err, diff)
	}
}
