package zeek

import (
	"strconv"
	"strings"
)

// layout is what the header of a file of tab-separated values says. It is never
// changed once lines have been read by it.
type layout struct {
	separator, set, unset, empty string
	path                         string
	columns                      []string
}

// header is the layout after one more header line; ok is false for one that makes
// no sense. Lines that say nothing of the layout, such as #open and #types, leave
// it as it is.
func (l *layout) header(line string) (next *layout, ok bool) {
	if rest, found := strings.CutPrefix(line, "#separator "); found {
		n := *l
		if n.separator = unescape(rest); n.separator == "" {
			return nil, false
		}
		return &n, true
	}
	key, value, found := strings.Cut(line, l.separator)
	if !found {
		return l, true // a comment
	}
	n := *l
	switch key {
	case "#set_separator":
		n.set = value
	case "#empty_field":
		n.empty = value
	case "#unset_field":
		n.unset = value
	case "#path":
		n.path = value
	case "#fields":
		n.columns = strings.Split(value, l.separator)
	default:
		return l, true
	}
	return &n, n.set != "" && n.separator != ""
}

// unescape undoes Zeek's \xHH.
func unescape(s string) string {
	at := strings.Index(s, `\x`)
	if at < 0 {
		return s
	}
	b := append(make([]byte, 0, len(s)), s[:at]...)
	for i := at; i < len(s); i++ {
		if strings.HasPrefix(s[i:], `\x`) && len(s) >= i+4 {
			if c, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				b = append(b, byte(c))
				i += 3
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
