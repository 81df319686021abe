package embedded_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/flowledger/flowledger/services/internal/embedded"
)

// open connects clickhouse-go to the test binary's ledger, in a database of the
// test's own.
func open(t testing.TB, change func(*clickhouse.Options)) clickhouse.Conn {
	t.Helper()
	ledger := embedded.TestLedger(t)
	database := "t_" + strings.Map(func(r rune) rune {
		if r == '/' || r == '=' || r == '-' || r == '#' {
			return '_'
		}
		return r
	}, t.Name())
	curl(t, "POST", ledger.URL(), "DROP DATABASE IF EXISTS "+database)
	curl(t, "POST", ledger.URL(), "CREATE DATABASE "+database)
	options, err := clickhouse.ParseDSN(ledger.DSN())
	if err != nil {
		t.Fatal(err)
	}
	options.Auth.Database = database
	if change != nil {
		change(options)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func run(t testing.TB, conn clickhouse.Conn, sql string) {
	t.Helper()
	if err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// count is the one number that a query answers.
func count(t testing.TB, conn clickhouse.Conn, sql string, args ...any) uint64 {
	t.Helper()
	return countIn(t, t.Context(), conn, sql, args...)
}

func countIn(t testing.TB, ctx context.Context, conn clickhouse.Conn, sql string, args ...any) uint64 {
	t.Helper()
	var n uint64
	if err := conn.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func TestServerVersion(t *testing.T) {
	conn := open(t, nil)
	version, err := conn.ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.Version.Major < 25 || version.Timezone == nil {
		t.Errorf("server version %v", version)
	}
	if err := conn.Ping(t.Context()); err != nil {
		t.Errorf("ping: %v", err)
	}
}

func TestNoDatabaseNoConnection(t *testing.T) {
	conn := open(t, func(o *clickhouse.Options) { o.Auth.Database = "nowhere" })
	err := conn.Ping(t.Context())
	if err == nil || !strings.Contains(err.Error(), "nowhere does not exist") {
		t.Errorf("ping of a missing database: %v", err)
	}
}

func TestTakenPort(t *testing.T) {
	embedded.EngineForTest(t)
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listen.Close()
	addr := listen.Addr().String()
	_, err = embedded.StartLedger(t.Context(), embedded.LedgerConfig{Addr: addr, Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("want an error that names %s, got %v", addr, err)
	}
}
