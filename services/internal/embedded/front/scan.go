package front

import "strings"

// word is a bare word of a statement outside parentheses (text, and upper in
// upper case), or one other character (mark).
type word struct {
	text, upper string
	mark        byte
	start, end  int
}

// maxScan bounds how far into a statement words are looked for: far longer
// statements are INSERTs with their data.
const maxScan = 256 << 10

// scan lists the words of a statement. Of an INSERT it stops where data begins,
// so that data is not taken for words.
func scan(sql string) []word {
	if len(sql) > maxScan {
		sql = sql[:maxScan]
	}
	var words []word
	depth := 0
	for i := 0; i < len(sql); {
		c := sql[i]
		end := skip(sql, i)
		switch {
		case end > i: // blank, comment or quoted
			i = end
			continue
		case isWord(c):
			end = i
			for end < len(sql) && isWord(sql[end]) {
				end++
			}
			if depth == 0 {
				words = append(words, word{text: sql[i:end], upper: strings.ToUpper(sql[i:end]), start: i, end: end})
				if dataBegins(words) {
					return words
				}
			}
			i = end
			continue
		case c == '(':
			depth++
		case c == ')':
			depth--
		}
		if depth == 0 && c != ')' {
			words = append(words, word{mark: c, start: i, end: i + 1})
		}
		i++
	}
	return words
}

// dataBegins tells that what follows the words is the data of an INSERT.
func dataBegins(words []word) bool {
	n := len(words)
	if n < 3 || words[0].upper != "INSERT" {
		return false
	}
	return words[n-1].upper == "VALUES" || words[n-2].upper == "FORMAT"
}

// skip returns the end of the blank, comment or quoted text at i, or i.
func skip(sql string, i int) int {
	rest := sql[i:]
	switch c := sql[i]; {
	case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
		return i + 1
	case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "#!"), strings.HasPrefix(rest, "# "):
		return i + until(rest, "\n")
	case strings.HasPrefix(rest, "/*"):
		return i + 2 + until(rest[2:], "*/")
	case c == '\'' || c == '"' || c == '`':
		return i + quoted(rest)
	}
	return i
}

// until is the length up to and with the mark, or all.
func until(s, mark string) int {
	if at := strings.Index(s, mark); at >= 0 {
		return at + len(mark)
	}
	return len(s)
}

// quoted is the length of the quoted text that s begins with. A backslash or a
// doubled quote escapes the quote.
func quoted(s string) int {
	quote := s[0]
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == quote && i+1 < len(s) && s[i+1] == quote:
			i++
		case s[i] == quote:
			return i + 1
		}
	}
	return len(s)
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
