package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// insertNumbers inserts n rows (0 … n-1, with a version) as one block.
func insertNumbers(ctx context.Context, conn clickhouse.Conn, table string, n int, version uint32) error {
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+table+" (id, version)")
	if err != nil {
		return err
	}
	for i := range n {
		if err := batch.Append(uint64(i), version); err != nil {
			return err
		}
	}
	return batch.Send()
}

func withToken(ctx context.Context, token string) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"insert_deduplication_token":                         token,
		"deduplicate_blocks_in_dependent_materialized_views": 1,
		"async_insert": 0,
	}))
}

// The sink's promise: what was sent twice under one token is there once, also in
// what materialized views make of it.
func TestDeduplicationToken(t *testing.T) {
	conn := open(t, nil)
	const settings = " SETTINGS non_replicated_deduplication_window = 100"
	run(t, conn, "CREATE TABLE plain (id UInt64, version UInt32) ENGINE = MergeTree ORDER BY id"+settings)
	run(t, conn, "CREATE TABLE sums (version UInt32, n UInt64) ENGINE = SummingMergeTree ORDER BY version"+settings)
	run(t, conn, "CREATE MATERIALIZED VIEW adds TO sums AS SELECT version, count() AS n FROM plain GROUP BY version")
	for _, token := range []string{"a/1", "a/1", "a/2", "a/1", "a/2"} {
		if err := insertNumbers(withToken(t.Context(), token), conn, "plain", 100, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, conn, "SELECT count() FROM plain"); n != 200 {
		t.Errorf("%d rows, want 200 (two tokens)", n)
	}
	if n := count(t, conn, "SELECT sum(n) FROM sums"); n != 200 {
		t.Errorf("the view counted %d, want 200", n)
	}
}

func TestReplacingMergeTreeFinal(t *testing.T) {
	conn := open(t, nil)
	run(t, conn, "CREATE TABLE biflows (id UInt64, version UInt32) ENGINE = ReplacingMergeTree(version) ORDER BY id")
	for _, version := range []uint32{1, 3, 2} {
		if err := insertNumbers(t.Context(), conn, "biflows", 10, version); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, conn, "SELECT count() FROM biflows FINAL WHERE version = 3"); n != 10 {
		t.Errorf("%d rows in their last version, want 10", n)
	}
}

func TestParametrisedView(t *testing.T) {
	conn := open(t, nil)
	run(t, conn, "CREATE TABLE t (id UInt64, version UInt32) ENGINE = MergeTree ORDER BY id")
	run(t, conn, "CREATE VIEW of_version AS SELECT id FROM t WHERE version = {version:UInt32}")
	if err := insertNumbers(t.Context(), conn, "t", 10, 4); err != nil {
		t.Fatal(err)
	}
	if n := count(t, conn, "SELECT count() FROM of_version(version = 4)"); n != 10 {
		t.Errorf("view with a constant: %d rows, want 10", n)
	}
	ctx := clickhouse.Context(t.Context(), clickhouse.WithParameters(clickhouse.Parameters{"v": "4"}))
	if n := countIn(t, ctx, conn, "SELECT count() FROM of_version(version = {v:UInt32})"); n != 10 {
		t.Errorf("view with a query parameter: %d rows, want 10", n)
	}
}

func TestErrorsOfClickhouseGo(t *testing.T) {
	conn := open(t, nil)
	f := func(err error, status int, code int32) {
		t.Helper()
		var exception *clickhouse.Exception
		var failed *clickhouse.HTTPError
		if !errors.As(err, &exception) || !errors.As(err, &failed) {
			t.Fatalf("no ClickHouse exception: %v", err)
		}
		if exception.Code != code || failed.StatusCode != status {
			t.Errorf("code %d status %d, want %d %d (%v)", exception.Code, failed.StatusCode, code, status, err)
		}
	}
	f(conn.Exec(t.Context(), "SELECT * FROM nope"), 404, 60)
	f(conn.Exec(t.Context(), "CREATE TABL x"), 400, 62)
	run(t, conn, "CREATE TABLE t (id UInt64, version UInt32, CONSTRAINT low CHECK version < 5) ENGINE = MergeTree ORDER BY id")
	f(insertNumbers(t.Context(), conn, "t", 10, 6), 500, 469)
}

// Eight clients at once, each with settings and a table of its own.
func TestConcurrentClients(t *testing.T) {
	conn := open(t, func(o *clickhouse.Options) { o.MaxOpenConns = 8 })
	const clients, rounds, rows = 8, 20, 500
	var wg sync.WaitGroup
	for client := range clients {
		table := fmt.Sprintf("t%d", client)
		run(t, conn, "CREATE TABLE "+table+" (id UInt64, version UInt32) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100")
		wg.Go(func() {
			for round := range rounds {
				ctx := withToken(t.Context(), fmt.Sprintf("%d/%d", client, round/2)) // every token twice
				if err := insertNumbers(ctx, conn, table, rows, uint32(round)); err != nil {
					t.Errorf("client %d: %v", client, err)
					return
				}
				var n uint64
				if err := conn.QueryRow(ctx, "SELECT count() FROM "+table).Scan(&n); err != nil || n != uint64(round/2+1)*rows {
					t.Errorf("client %d round %d: %d rows, %v", client, round, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
}
