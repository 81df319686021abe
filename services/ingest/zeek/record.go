package zeek

import (
	"encoding/json"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// record is a line taken apart.
type record struct {
	ns               uint64
	sensor           string
	client, server   netip.Addr
	clientPort, port uint32
	proto            string
	query            string
	qtype, rcode     uint32
	hasQuery         bool
	rejected         bool
	answers          []string
	ttls             []float64
	// answered tells whether a response was seen.
	answered bool
}

// line is a line of JSON, with the fields that are used.
type line struct {
	Path      string          `json:"_path"`
	System    string          `json:"_system_name"`
	TS        json.RawMessage `json:"ts"`
	OrigH     string          `json:"id.orig_h"`
	OrigP     uint16          `json:"id.orig_p"`
	RespH     string          `json:"id.resp_h"`
	RespP     uint16          `json:"id.resp_p"`
	Proto     string          `json:"proto"`
	Query     *string         `json:"query"`
	QType     uint16          `json:"qtype"`
	RCode     *uint32         `json:"rcode"`
	RCodeName string          `json:"rcode_name"`
	Answers   []string        `json:"answers"`
	TTLs      []float64       `json:"TTLs"`
	Rejected  bool            `json:"rejected"`
}

// fromJSON takes a line of JSON apart.
func (r *record) fromJSON(b []byte) (reason string) {
	var l line
	if err := json.Unmarshal(b, &l); err != nil {
		return "bad_json"
	}
	if l.Path != "" && l.Path != "dns" {
		return "other_log"
	}
	if reason = r.setTime(strings.Trim(string(l.TS), `"`)); reason != "" {
		return reason
	}
	if r.setAddr(&r.client, l.OrigH) != "" || r.setAddr(&r.server, l.RespH) != "" {
		return "bad_address"
	}
	r.sensor, r.proto = clean(l.System), clean(l.Proto)
	r.clientPort, r.port = uint32(l.OrigP), uint32(l.RespP)
	if l.Query != nil {
		r.hasQuery, r.query = true, *l.Query
	}
	r.qtype = uint32(l.QType)
	if l.RCode != nil {
		r.answered, r.rcode = true, *l.RCode
	}
	r.rejected = l.Rejected
	r.answers = append(r.answers, l.Answers...)
	r.ttls = append(r.ttls, l.TTLs...)
	return ""
}

// fromColumns takes a line of columns apart.
func (r *record) fromColumns(line string, l *layout) (reason string) {
	switch {
	case l.path != "" && l.path != "dns":
		return "other_log"
	case len(l.columns) == 0:
		return "without_header"
	}
	column := 0
	for value := range strings.SplitSeq(line, l.separator) {
		if column == len(l.columns) {
			return "wrong_field_count"
		}
		if value != l.unset {
			if reason = r.set(l.columns[column], value, l); reason != "" {
				return reason
			}
		}
		column++
	}
	if column != len(l.columns) {
		return "wrong_field_count"
	}
	return ""
}

// set takes in one column.
func (r *record) set(name, value string, l *layout) (reason string) {
	switch name {
	case "ts":
		return r.setTime(value)
	case "_system_name":
		r.sensor = clean(value)
	case "id.orig_h":
		return r.setAddr(&r.client, value)
	case "id.resp_h":
		return r.setAddr(&r.server, value)
	case "id.orig_p":
		return number(&r.clientPort, value)
	case "id.resp_p":
		return number(&r.port, value)
	case "proto":
		r.proto = clean(value)
	case "query":
		r.hasQuery, r.query = true, unescape(value)
		if value == l.empty {
			r.query = ""
		}
	case "qtype":
		return number(&r.qtype, value)
	case "rcode":
		r.answered = true
		return number(&r.rcode, value)
	case "rejected":
		r.rejected = value == "T"
	case "answers":
		if value != l.empty {
			for a := range strings.SplitSeq(value, l.set) {
				r.answers = append(r.answers, unescape(a))
			}
		}
	case "TTLs":
		if value != l.empty {
			for s := range strings.SplitSeq(value, l.set) {
				ttl, err := strconv.ParseFloat(s, 64)
				if err != nil {
					return "bad_number"
				}
				r.ttls = append(r.ttls, ttl)
			}
		}
	}
	return ""
}

// check tells what a line lacks.
func (r *record) check() (reason string) {
	switch {
	case r.ns == 0:
		return "without_time"
	case r.rcode > 0xffff || r.qtype > 0xffff:
		return "bad_number"
	}
	// Without a question, as in announcements of multicast DNS, nothing is answered.
	r.answered = r.hasQuery && (r.answered || r.rejected || len(r.answers) > 0)
	return ""
}

// maxMs is the largest number that is taken for seconds: the year 5138. In
// milliseconds, as Zeek's JSON may have it, that was 1973.
const maxMs = 1e11

// setTime reads Zeek's three ways of writing times: seconds with decimals, whole
// milliseconds, and RFC 3339 text.
func (r *record) setTime(s string) (reason string) {
	if s == "" || s == "null" {
		return ""
	}
	if len(s) > 4 && s[4] == '-' {
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil || t.Unix() <= 0 || t.Year() >= 2200 {
			return "bad_time"
		}
		r.ns = uint64(t.UnixNano())
		return ""
	}
	ns, ok := decimal(s)
	if !ok {
		return "bad_time"
	}
	r.ns = ns
	return ""
}

// maxSeconds is the year 2200: beyond, 64 bits of nanoseconds come to their end.
const maxSeconds = 7_258_118_400

// decimal reads seconds, or milliseconds, without the rounding of a float: two
// runs must not differ in a nanosecond.
func decimal(s string) (ns uint64, ok bool) {
	if strings.ContainsAny(s, "eE") { // 1.6e+09
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || !(f >= 1 && f < maxSeconds) {
			return 0, false
		}
		return uint64(math.Round(f*1e6)) * 1000, true
	}
	whole, fraction, _ := strings.Cut(s, ".")
	n, err := strconv.ParseUint(whole, 10, 63)
	if err != nil {
		return 0, false
	}
	unit := uint64(1e9)
	if n > maxMs {
		unit = 1e6
	}
	if n > maxSeconds*(1e9/unit) {
		return 0, false
	}
	ns = n * unit
	for i := 0; i < len(fraction); i++ {
		if fraction[i] < '0' || fraction[i] > '9' {
			return 0, false
		}
		unit /= 10
		ns += uint64(fraction[i]-'0') * unit
	}
	return ns, ns != 0
}

func (r *record) setAddr(to *netip.Addr, s string) (reason string) {
	if s == "" {
		return ""
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return "bad_address"
	}
	*to = a.Unmap()
	return ""
}

func number(to *uint32, s string) (reason string) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return "bad_number"
	}
	*to = uint32(n)
	return ""
}

// clean makes a text one that messages may carry: UTF-8.
func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
