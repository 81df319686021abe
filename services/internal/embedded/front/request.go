package front

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/flowledger/flowledger/services/internal/embedded/chdb"
)

// request is what one HTTP request asks for.
type request struct {
	sql       string    // the statement, as far as it is in the URL or no INSERT's data
	statement statement // what is known of it
	body      io.Reader // data of an INSERT that follows the statement
	database  string
	format    string // of the answer, where the statement names none
	revision  uint64 // the client's protocol version: how Native is framed
	compress  string // method by which the answer is compressed, "" for none
	settings  []setting
	params    []chdb.Param
}

// setting is one ClickHouse setting for the time of the request.
type setting struct{ name, value string }

// reserved are URL parameters that are no settings, and what the front makes of
// none of them is said in the package comment.
var reserved = []string{
	"query", "database", "default_format", "client_protocol_version", "compress", "decompress",
	"query_id", "quota_key", "user", "password", "role", "session_id", "session_timeout", "session_check",
	"stacktrace", "buffer_size", "wait_end_of_query", "http_write_exception_in_output_format",
	"enable_http_compression", "http_zlib_compression_level", "add_http_cors_header", "close_session",
}

// maxStatement bounds a statement that comes in a body: an INSERT's data beyond
// it is still streamed if the statement names its format.
const maxStatement = 1 << 30

// readRequest reads the URL and, where the statement is in the body, that.
func readRequest(r *http.Request) (*request, error) {
	query := r.URL.Query()
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		return nil, failf(48, "the embedded engine takes no external tables (multipart bodies): use a temporary-free form, such as an IN list or a table")
	}
	body, err := decoded(r, query)
	if err != nil {
		return nil, err
	}
	q := &request{
		sql:      query.Get("query"),
		body:     body,
		database: first(query.Get("database"), r.Header.Get("X-ClickHouse-Database"), "default"),
		format:   first(query.Get("default_format"), r.Header.Get("X-ClickHouse-Format"), "TabSeparated"),
		compress: compression(query),
	}
	if v := query.Get("client_protocol_version"); v != "" {
		if q.revision, err = strconv.ParseUint(v, 10, 64); err != nil {
			return nil, failf(72, "client_protocol_version is no number: %q", v)
		}
	}
	q.readSettings(query)
	return q, q.readStatement()
}

// readStatement joins the URL's statement and the body's as ClickHouse does: one
// text, except that data whose format is named stays a stream.
func (q *request) readStatement() error {
	q.statement = parseStatement(q.sql)
	if q.statement.streamed {
		q.body = io.MultiReader(strings.NewReader(q.statement.data), q.body)
		return nil
	}
	rest, err := io.ReadAll(io.LimitReader(q.body, maxStatement))
	if err != nil {
		return failf(23, "cannot read the request's body: %v", err)
	}
	if q.sql != "" && len(rest) > 0 {
		q.sql += "\n"
	}
	q.sql += string(rest)
	if strings.TrimSpace(q.sql) == "" {
		return failf(62, "Empty query: give it as ?query=... or as the request's body. (SYNTAX_ERROR)")
	}
	q.statement = parseStatement(q.sql)
	q.body = strings.NewReader(q.statement.data)
	return nil
}

func (q *request) readSettings(query url.Values) {
	for name, values := range query {
		value := values[len(values)-1]
		param, isParam := strings.CutPrefix(name, "param_")
		switch {
		case isParam:
			q.params = append(q.params, chdb.Param{Name: param, Value: value})
		case !slices.Contains(reserved, name):
			q.settings = append(q.settings, setting{name, value})
		}
	}
	slices.SortFunc(q.settings, func(a, b setting) int { return strings.Compare(a.name, b.name) })
}

// set is the statement that applies the request's settings to a session, and
// unset the one that takes them back.
func (q *request) set() string {
	return q.settingList(func(s setting) string { return quote(s.value) })
}

func (q *request) unset() string {
	return q.settingList(func(setting) string { return "DEFAULT" })
}

func (q *request) settingList(value func(setting) string) string {
	list := make([]string, len(q.settings))
	for i, s := range q.settings {
		list[i] = fmt.Sprintf("%s = %s", identifier(s.name), value(s))
	}
	return "SET " + strings.Join(list, ", ")
}

// answerFormat is the format that the answer will be in.
func (q *request) answerFormat() string { return first(q.statement.format, q.format) }

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

var escaper = strings.NewReplacer(`\`, `\\`, `'`, `\'`, "`", "\\`")

func quote(s string) string { return "'" + escaper.Replace(s) + "'" }

// identifier quotes a name that is not plainly one, so that a parameter's name
// cannot carry SQL.
func identifier(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return r > 127 || !isWord(byte(r)) }) < 0 {
		return s
	}
	return "`" + escaper.Replace(s) + "`"
}
