package embedded_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/embedded"
)

// curl sends one request and returns what curl would print; it fails the test
// unless the status is 200.
func curl(t testing.TB, method, address, body string) string {
	t.Helper()
	response, text := request(t, method, address, strings.NewReader(body), nil)
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s %q: %s: %s", method, address, body, response.Status, text)
	}
	return text
}

func request(t testing.TB, method, address string, body io.Reader, headers map[string]string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(text)
}

// query is the ledger's address with URL parameters.
func query(t testing.TB, pairs ...string) string {
	t.Helper()
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return embedded.TestLedger(t).URL() + "?" + values.Encode()
}

func TestCurl(t *testing.T) {
	base := embedded.TestLedger(t).URL()
	f := func(method, address, body, want string) {
		t.Helper()
		if diff := cmp.Diff(want, curl(t, method, address, body)); diff != "" {
			t.Errorf("%s %s %q (-want +got):\n%s", method, address, body, diff)
		}
	}
	f("GET", base, "", "Ok.\n")
	f("GET", base+"ping", "", "Ok.\n")
	f("GET", query(t, "query", "SELECT 1, 'a'"), "", "1\ta\n")
	f("POST", base, "SELECT 1, 'a'", "1\ta\n")
	f("POST", query(t, "query", "SELECT 1,"), "2", "1\t2\n")
	f("POST", base, "SELECT 1 AS a FORMAT JSONEachRow", "{\"a\":1}\n")
	f("POST", query(t, "default_format", "CSV"), "SELECT 1, 'a'", "1,\"a\"\n")
	f("POST", query(t, "default_format", "CSV"), "SELECT 1 AS a FORMAT JSONEachRow;", "{\"a\":1}\n")
	f("GET", query(t, "query", "SELECT {a:UInt8} + 1, {s:String}", "param_a", "4", "param_s", `x\ty`), "", "5\tx\\ty\n")
	f("GET", query(t, "query", "SELECT getSetting('max_threads')", "max_threads", "3"), "", "3\n")
	f("GET", query(t, "query", "SELECT currentDatabase()", "database", "ledger"), "", "ledger\n")
	f("GET", query(t, "query", "SELECT currentDatabase()"), "", "default\n")
	f("POST", base, "SELECT ''';--' /* FORMAT CSV */ -- FORMAT CSV", "\\';--\n")
	pretty := curl(t, "POST", base, "SELECT 1 AS a FORMAT PrettyCompact")
	if !strings.Contains(pretty, "│ 1 │") {
		t.Errorf("PrettyCompact:\n%s", pretty)
	}
}

// A setting of one request must not be seen by the next.
func TestSettingsEndWithTheRequest(t *testing.T) {
	const ask = "SELECT getSetting('max_threads') = 3, getSetting('insert_deduplication_token')"
	f := func(want string, address, sql string) {
		t.Helper()
		if got := curl(t, "POST", address, sql); got != want {
			t.Errorf("%s: got %q, want %q", sql, got, want)
		}
	}
	base := embedded.TestLedger(t).URL()
	for range 3 {
		f("1\tt'x\n", query(t, "max_threads", "3", "insert_deduplication_token", "t'x", "default_format", "TSVRaw"), ask)
		f("0\t\n", base, ask)
		f("", base, "SET max_threads = 3")
		f("0\t\n", base, ask)
		f("", base, "USE ledger")
		f("default\n", base, "SELECT currentDatabase()")
	}
}

func TestErrors(t *testing.T) {
	base := embedded.TestLedger(t).URL()
	f := func(sql string, status int, code, part string) {
		t.Helper()
		response, text := request(t, "POST", base, strings.NewReader(sql), nil)
		if got := response.Header.Get("X-ClickHouse-Exception-Code"); response.StatusCode != status || got != code {
			t.Errorf("%s: status %d code %s, want %d %s", sql, response.StatusCode, got, status, code)
		}
		if !strings.HasPrefix(text, "Code: "+code) || !strings.Contains(text, part) {
			t.Errorf("%s: message %q", sql, text)
		}
	}
	f("SELEC 1", 400, "62", "SYNTAX_ERROR")
	f("", 400, "62", "Empty query")
	f("SELECT nope", 404, "47", "nope")
	f("SELECT * FROM nope", 404, "60", "nope")
	f("SELECT nope()", 404, "46", "nope")
	f("USE nope", 404, "81", "nope")
	f("SET nope = 1", 404, "115", "nope")
	f("SELECT {a:UInt8}", 400, "456", "a")
	f("SELECT throwIf(1, 'as asked')", 500, "395", "as asked")

	response, text := request(t, "GET", query(t, "query", "SELECT 1", "no_such_setting", "1"), nil, nil)
	if response.StatusCode != 404 || !strings.Contains(text, "no_such_setting") {
		t.Errorf("unknown setting: %s %s", response.Status, text)
	}
}

func TestInsertByCurl(t *testing.T) {
	base := embedded.TestLedger(t).URL()
	reset := func() {
		curl(t, "POST", base, "CREATE OR REPLACE TABLE ledger.by_curl (a UInt32, s String) ENGINE = MergeTree ORDER BY a")
	}
	check := func(want string) {
		t.Helper()
		if got := curl(t, "POST", base, "SELECT * FROM ledger.by_curl ORDER BY a"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		reset()
	}
	reset()
	curl(t, "POST", base, "INSERT INTO ledger.by_curl VALUES (1, 'x FORMAT y'), (2, 'y')")
	check("1\tx FORMAT y\n2\ty\n")
	curl(t, "POST", query(t, "query", "INSERT INTO ledger.by_curl VALUES"), "(1, 'x')")
	check("1\tx\n")
	curl(t, "POST", query(t, "query", "INSERT INTO ledger.by_curl FORMAT TabSeparated"), "1\tx\n2\t\n")
	check("1\tx\n2\t\n")
	curl(t, "POST", base, "INSERT INTO ledger.by_curl (s, a) FORMAT JSONEachRow\n{\"a\":1,\"s\":\"x\"}\n{\"a\":2,\"s\":\"y\"}")
	check("1\tx\n2\ty\n")
	curl(t, "POST", query(t, "database", "ledger"), "INSERT INTO by_curl SELECT number, 'n' FROM numbers(2)")
	check("0\tn\n1\tn\n")

	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte("1,x\n"))
	z.Close()
	request(t, "POST", query(t, "query", "INSERT INTO ledger.by_curl FORMAT CSV"), &zipped, map[string]string{"Content-Encoding": "gzip"})
	check("1\tx\n")
}

// A body that was cut off must insert nothing: half an insert would be lost or
// doubled when the client sends it again.
func TestCutInsert(t *testing.T) {
	base := embedded.TestLedger(t).URL()
	curl(t, "POST", base, "CREATE OR REPLACE TABLE ledger.cut (s String) ENGINE = MergeTree ORDER BY s")
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(bytes.Repeat([]byte("some line\n"), 100_000))
	z.Close()
	half := bytes.NewReader(zipped.Bytes()[:zipped.Len()/2])
	response, text := request(t, "POST", query(t, "query", "INSERT INTO ledger.cut FORMAT TSV"), half, map[string]string{"Content-Encoding": "gzip"})
	if response.StatusCode == http.StatusOK {
		t.Errorf("a cut insert was taken: %s", text)
	}
	if got := curl(t, "POST", base, "SELECT count() FROM ledger.cut"); got != "0\n" {
		t.Errorf("a cut insert left %s rows", got)
	}
}
