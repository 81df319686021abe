package front

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

// failure is an error with ClickHouse's error code.
type failure struct {
	code    int
	message string
}

func (f *failure) Error() string { return f.message }

// failf makes a failure of the front's own, worded as the engine words its.
func failf(code int, format string, args ...any) error {
	return &failure{code, fmt.Sprintf("Code: %d. DB::Exception: ", code) + fmt.Sprintf(format, args...)}
}

// codePrefix is how the engine's messages begin.
var codePrefix = regexp.MustCompile(`^(?:Poco::Exception\. )?Code: (\d+)`)

// unknownException is ClickHouse's code for an error without one.
const unknownException = 1002

// asFailure reads the code out of an engine's message.
func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	message := err.Error()
	if m := codePrefix.FindStringSubmatch(message); m != nil {
		if code, err := strconv.Atoi(m[1]); err == nil {
			return &failure{code, message}
		}
	}
	return &failure{unknownException, fmt.Sprintf("Code: %d. DB::Exception: %s", unknownException, message)}
}

// status is the HTTP status of an error code, as ClickHouse's server maps them.
func (f *failure) status() int {
	switch f.code {
	case 6, 25, 26, 27, 38, 41, 43, 44, 53, 62, 72, 117, 271, 321, 456, 457:
		return http.StatusBadRequest // cannot parse, syntax, type mismatch, bad parameter
	case 46, 47, 50, 56, 60, 63, 73, 81, 98, 115:
		return http.StatusNotFound // unknown function, identifier, type, table, format, database, setting
	case 48:
		return http.StatusNotImplemented
	case 229:
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusInternalServerError
}

// write answers with the error. It is plain text whatever the client's
// compression: clickhouse-go and curl both read that.
func (f *failure) write(w http.ResponseWriter) {
	w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(f.code))
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(f.status())
	fmt.Fprintln(w, strings.TrimSuffix(f.message, "\n"))
}
