package front

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/flowledger/flowledger/services/internal/embedded/chdb"
)

// answer runs a request in a session and writes the engine's answer.
func answer(w http.ResponseWriter, q *request, s *session) error {
	if q.statement.streamed {
		stats, err := s.Insert(q.statement.head, q.statement.format, q.params, q.body)
		if err != nil {
			return err
		}
		summarise(w, stats)
		return nil
	}
	result, err := s.Query([]byte(q.sql), q.format, q.params)
	if err != nil {
		return err
	}
	defer result.Close()
	data := result.Bytes()
	if strings.EqualFold(q.answerFormat(), "Native") {
		if data, err = native(q, s, data); err != nil {
			return err
		}
	}
	respond(w, q, data, result.Stats())
	return nil
}

// native makes the engine's Native answer what a server would send: framed for
// the client's revision, and with a block that names the columns where there
// are no rows, which libchdb leaves out.
func native(q *request, s *session, data []byte) ([]byte, error) {
	var framed bytes.Buffer
	if len(data) == 0 {
		err := s.describe(&framed, q)
		return framed.Bytes(), err
	}
	if q.revision == 0 {
		return data, nil
	}
	err := reframe(&framed, data, q.revision)
	return framed.Bytes(), err
}

func respond(w http.ResponseWriter, q *request, data []byte, stats chdb.Stats) {
	w.Header().Set("Content-Type", contentType(q.answerFormat()))
	w.Header().Set("X-ClickHouse-Format", q.answerFormat())
	summarise(w, stats)
	var out io.Writer = w
	if q.compress != "" {
		out = newFrames(w, q.compress)
	}
	// A failed write means that the client has gone: there is nobody to tell.
	_, _ = out.Write(data)
}

// summarise tells what was read and written, in the header that clients know.
func summarise(w http.ResponseWriter, stats chdb.Stats) {
	w.Header().Set("X-ClickHouse-Summary", fmt.Sprintf(`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d"}`,
		stats.RowsRead, stats.BytesRead, stats.RowsWritten, stats.BytesWritten))
}

func contentType(format string) string {
	switch {
	case strings.EqualFold(format, "Native"), strings.HasPrefix(format, "RowBinary"):
		return "application/octet-stream"
	case strings.HasPrefix(format, "JSON"):
		return "application/json; charset=UTF-8"
	case strings.HasPrefix(format, "TabSeparated"), strings.HasPrefix(format, "TSV"):
		return "text/tab-separated-values; charset=UTF-8"
	case strings.HasPrefix(format, "CSV"):
		return "text/csv; charset=UTF-8; header=absent"
	}
	return "text/plain; charset=UTF-8"
}
