package front

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseStatement(t *testing.T) {
	f := func(sql string, want statement) {
		t.Helper()
		got := parseStatement(sql)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(statement{}), cmpopts.IgnoreFields(statement{}, "bare")); diff != "" {
			t.Errorf("%q (-want +got):\n%s", sql, diff)
		}
	}
	f("", statement{})
	f(" -- nothing\n/* at all", statement{})
	f("SELECT 1", statement{verb: "SELECT"})
	f("select 1 format JSON", statement{verb: "SELECT", format: "JSON"})
	f("SELECT 1 FORMAT JSON ;\n", statement{verb: "SELECT", format: "JSON"})
	f("SELECT 1 FORMAT JSON SETTINGS max_threads = 1", statement{verb: "SELECT", format: "JSON"})
	f("SELECT format FROM t", statement{verb: "SELECT"})
	f("SELECT 'x FORMAT JSON'", statement{verb: "SELECT"})
	f("SELECT 'it''s \\' FORMAT JSON", statement{verb: "SELECT"})
	f("SELECT * FROM (SELECT 1 FORMAT JSON)", statement{verb: "SELECT"})
	f("/* a */ WITH 1 AS x SELECT x -- FORMAT CSV\nFORMAT TSV -- end", statement{verb: "WITH", format: "TSV"})
	f("SET max_threads = 1", statement{verb: "SET", session: true})
	f("USE ledger", statement{verb: "USE", session: true})
	f("CREATE TEMPORARY TABLE t (a Int8)", statement{verb: "CREATE", session: true})
	f("CREATE TABLE t (a Int8)", statement{verb: "CREATE"})
	f("INSERT INTO t (a, format) VALUES ('FORMAT x')", statement{verb: "INSERT"})
	f("INSERT INTO t SELECT 1", statement{verb: "INSERT"})
	f("INSERT INTO t SELECT * FROM input('a Int8') FORMAT CSV\n1", statement{verb: "INSERT", format: "CSV", head: "INSERT INTO t SELECT * FROM input('a Int8') ", data: "1"})
	f("INSERT INTO t (a) FORMAT Native", statement{verb: "INSERT", format: "Native", streamed: true, head: "INSERT INTO t (a) "})
	f("INSERT INTO t SETTINGS async_insert = 0 FORMAT TSV\r\n\t1\n", statement{verb: "INSERT", format: "TSV", streamed: true, head: "INSERT INTO t SETTINGS async_insert = 0 ", data: "\t1\n"})
	f("INSERT INTO t FORMAT JSONEachRow {\"a\":1}", statement{verb: "INSERT", format: "JSONEachRow", streamed: true, head: "INSERT INTO t ", data: "{\"a\":1}"})
	f("INSERT INTO FUNCTION null('format String') FORMAT RowBinary\n\x00 VALUES", statement{verb: "INSERT", format: "RowBinary", streamed: true, head: "INSERT INTO FUNCTION null('format String') ", data: "\x00 VALUES"})
}

// What stands in parentheses for DESCRIBE has lost its end only.
func TestBareStatement(t *testing.T) {
	f := func(sql, want string) {
		t.Helper()
		if got := strings.TrimSpace(parseStatement(sql).bare); got != want {
			t.Errorf("%q: %q, want %q", sql, got, want)
		}
	}
	f("SELECT 1", "SELECT 1")
	f("SELECT 1;", "SELECT 1")
	f("SELECT 1 FORMAT Native", "SELECT 1")
	f("SELECT 1 FORMAT Native;", "SELECT 1")
	f("SELECT ';' AS format", "SELECT ';' AS format")
}

// Whatever comes, nothing is lost: the parts of a statement are parts of it.
func FuzzParseStatement(f *testing.F) {
	for _, seed := range []string{"SELECT 1 FORMAT JSON;", "INSERT INTO t FORMAT CSV\n1,2", "INSERT INTO t VALUES ('a')", "'", "/*", "(((", "`\\", "INSERT FORMAT FORMAT"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		s := parseStatement(sql)
		if s.streamed && (!strings.HasPrefix(sql, s.head) || !strings.HasSuffix(sql, s.data)) {
			t.Errorf("head %q and data %q are not of %q", s.head, s.data, sql)
		}
		if !strings.HasPrefix(sql, s.bare) || !strings.Contains(sql, s.format) {
			t.Errorf("bare %q or format %q is not of %q", s.bare, s.format, sql)
		}
	})
}

func TestIdentifier(t *testing.T) {
	f := func(name, want string) {
		t.Helper()
		if got := identifier(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	f("max_threads", "max_threads")
	f("", "``")
	f("a; DROP", "`a; DROP`")
	f("a`b\\", "`a\\`b\\\\`")
	f("größe", "`größe`")
}

func TestFailure(t *testing.T) {
	f := func(message string, code, status int) {
		t.Helper()
		got := asFailure(errorString(message))
		if got.code != code || got.status() != status || !strings.HasPrefix(got.message, "Code: ") {
			t.Errorf("%q: %+v, status %d; want %d, %d", message, got, got.status(), code, status)
		}
	}
	f("Code: 60. DB::Exception: no table", 60, 404)
	f("Code: 62. DB::Exception: no syntax", 62, 400)
	f("Code: 241. DB::Exception: Code: 241. DB::Exception: no memory", 241, 500)
	f("no code at all", 1002, 500)
}

type errorString string

func (e errorString) Error() string { return string(e) }
