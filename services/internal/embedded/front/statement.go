package front

import (
	"strings"
)

// statement is what the front must know of a statement before it runs: where
// the data of an INSERT begins, and in which format data comes or goes.
type statement struct {
	verb   string // first word, upper case: SELECT, INSERT, SET ...
	format string // name in the FORMAT clause, "" if it has none

	// For an INSERT with a FORMAT clause and no SELECT: the statement up to
	// that clause, and the data that follows it. Such data is streamed.
	streamed bool
	head     string
	data     string

	// bare is a statement other than INSERT without its closing FORMAT clause
	// and semicolon, so that it can stand in parentheses.
	bare string

	// session tells that the statement changes the session it runs in, which
	// must not be seen by the next request.
	session bool
}

// parseStatement scans a statement's words, passing over quotes, comments and
// whatever is in parentheses. It never fails: what is no valid SQL the engine
// will refuse.
func parseStatement(sql string) statement {
	words := scan(sql)
	if len(words) == 0 {
		return statement{}
	}
	s := statement{verb: words[0].upper}
	switch s.verb {
	case "INSERT":
		s.parseInsert(sql, words)
	default:
		s.bare = sql
		s.parseOutput(sql, words)
	}
	s.session = s.verb == "SET" || s.verb == "USE" || s.verb == "CREATE" && len(words) > 1 && strings.HasPrefix(words[1].upper, "TEMP")
	return s
}

// parseInsert finds the FORMAT clause that the data follows.
func (s *statement) parseInsert(sql string, words []word) {
	selects := false
	for i, w := range words[1:] {
		switch w.upper {
		case "VALUES":
			return
		case "SELECT", "WITH":
			selects = true
		case "FORMAT":
			if i+2 >= len(words) || words[i+2].upper == "" {
				continue
			}
			name := words[i+2]
			s.format = sql[name.start:name.end]
			s.streamed = !selects
			s.head, s.data = sql[:w.start], afterFormat(sql[name.end:])
			return
		}
	}
}

// afterFormat cuts what separates the format's name from the data: blanks and
// one line end, as ClickHouse's own parser does, so that data may begin with
// what looks like blanks.
func afterFormat(rest string) string {
	rest = strings.TrimLeft(rest, " \t\f")
	rest = strings.TrimPrefix(rest, ";")
	rest = strings.TrimPrefix(rest, "\r")
	return strings.TrimPrefix(rest, "\n")
}

// parseOutput finds the closing FORMAT clause. The word is also a fine column
// name, so what follows its name must be the end or SETTINGS.
func (s *statement) parseOutput(sql string, words []word) {
	if last := words[len(words)-1]; last.mark == ';' {
		s.bare, words = sql[:last.start], words[:len(words)-1]
	}
	for i := len(words) - 2; i > 0; i-- {
		if words[i].upper != "FORMAT" || words[i+1].upper == "" {
			continue
		}
		if i+2 == len(words) || words[i+2].upper == "SETTINGS" {
			s.format, s.bare = words[i+1].text, sql[:words[i].start]
		}
		return
	}
}
