// Package zeek is the core that reads Zeek's dns.log, line by line, as JSON or as
// tab-separated values, for passive DNS.
//
//	line ─┬▶ header (#fields …) ─▶ the columns of the lines that follow
//	      ├▶ answered, or refused ─▶ dns
//	      ├▶ no answer, or no question seen ─▶ application event
//	      ╰▶ all else ─▶ dead letter, with a reason
//
// Every line but a blank one becomes exactly one of these. Names and meanings are
// those of Zeek's DNS::Info.
package zeek

import (
	"bytes"
	"net/netip"
	"slices"

	"github.com/flowledger/flowledger/services/ingest/named"
	"github.com/flowledger/flowledger/services/ingest/normalize"
)

// Config says how lines are read.
type Config struct {
	Sensor string `yaml:"sensor" doc:"name of the sensor, where the log does not say (_system_name); its address is made of it"`
	Realm  uint32 `yaml:"realm" doc:"address space of the clients and servers"`
}

// Default is the configuration that reads any dns.log.
func Default() Config { return Config{Sensor: "zeek"} }

// Validate finds nothing to refuse: any name is one.
func (c Config) Validate() error { return nil }

// Kind is what became of a line.
type Kind uint8

// The kinds.
const (
	Blank Kind = iota
	Header
	Answered
	// Other is a question without an answer, or a response without a question.
	Other
	Dead
)

// Statistics count lines.
type Statistics struct{ Lines, Headers, Answered, Other, Dead uint64 }

// Parser reads one file after another. It is not safe for concurrent use.
type Parser struct {
	cfg    Config
	at     Position
	record record
	stats  Statistics
}

// Position is a place in a file: what has to be known to read on from there.
type Position struct {
	layout *layout
	line   uint64
}

// New makes a parser that stands at the beginning of a file.
func New(cfg Config) *Parser {
	p := &Parser{cfg: cfg}
	p.Begin()
	return p
}

// Begin stands at the beginning of the next file: what a header said is forgotten.
func (p *Parser) Begin() {
	p.at = Position{layout: &layout{separator: "\t", set: ",", unset: "-", empty: "(empty)"}}
}

// Position is where the parser stands.
func (p *Parser) Position() Position { return p.at }

// Seek goes back, or on, to a place.
func (p *Parser) Seek(at Position) { p.at = at }

// Statistics are the counts since New.
func (p *Parser) Statistics() Statistics { return p.stats }

// maxLine is the longest line that is read, in bytes: an answer over TCP has up to
// 64 KiB, and JSON and escapes make it longer.
const maxLine = 1 << 20

// Line adds what a line (with or without its end) says to the result. ReceivedNs
// is when it came, nanoseconds since the epoch; 0 takes the line's own time.
func (p *Parser) Line(line []byte, receivedNs uint64, out *normalize.Result) Kind {
	line, kind, reason := p.take(line)
	switch kind {
	case Blank:
		return Blank
	case Header:
		p.stats.Lines++
		p.stats.Headers++
		return Header
	}
	p.stats.Lines++
	out.DataRecords++
	if receivedNs == 0 {
		receivedNs = p.record.ns
	}
	if reason != "" {
		out.Records.Dead++
		p.stats.Dead++
		out.Dead = append(out.Dead, normalize.DeadLetter{
			Reason: "zeek_" + reason, Bytes: bytes.Clone(line[:min(len(line), maxDead)]),
			Exporter: named.Addr(named.Zeek, "", p.cfg.Sensor), ReceivedNs: receivedNs,
		})
		return Dead
	}
	if p.record.answered {
		out.Dns = append(out.Dns, p.dns(line, receivedNs))
		// The counts of records know flows and events; an answer is neither, and is
		// counted with what tells of something that is no flow.
		out.Records.Event++
		p.stats.Answered++
		return Answered
	}
	out.Events = append(out.Events, p.event(line, receivedNs))
	out.Records.Event++
	p.stats.Other++
	return Other
}

// maxDead is how much of a bad line is kept.
const maxDead = 4 << 10

// EndNs is the time of a line; ok is false for lines that become no record.
// Headers count, so lines must be given in order.
func (p *Parser) EndNs(line []byte) (ns uint64, ok bool) {
	_, kind, reason := p.take(line)
	return p.record.ns, kind == Answered && reason == ""
}

// take reads a line: as Answered, whether it is or not, if it is no header.
func (p *Parser) take(line []byte) (trimmed []byte, kind Kind, reason string) {
	p.record = record{answers: p.record.answers[:0], ttls: p.record.ttls[:0]}
	line = bytes.TrimRight(line, "\r\n")
	if len(bytes.TrimSpace(line)) == 0 {
		return line, Blank, ""
	}
	p.at.line++
	switch {
	case len(line) > maxLine:
		return line, Dead, "line_too_long"
	case line[0] == '#':
		l, ok := p.at.layout.header(string(line))
		if !ok {
			return line, Dead, "bad_header"
		}
		p.at.layout = l
		return line, Header, ""
	case line[0] == '{':
		reason = p.record.fromJSON(line)
	default:
		reason = p.record.fromColumns(string(line), p.at.layout)
	}
	if reason == "" {
		reason = p.record.check()
	}
	return line, Answered, reason
}

// sensor is the address of who saw the question.
func (p *Parser) sensor() netip.Addr {
	if p.record.sensor != "" {
		return named.Addr(named.Zeek, "", p.record.sensor)
	}
	return named.Addr(named.Zeek, "", p.cfg.Sensor)
}

// Recognize tells whether the beginning of a file looks like a dns.log: one of its
// whole lines names its path, or its columns, or is a record.
func Recognize(head []byte) bool {
	p := New(Default())
	for line := range bytes.Lines(head) {
		if _, ok := p.EndNs(line); ok && p.record.hasQuery {
			return true
		}
		l := p.at.layout
		switch {
		case l.path != "" && l.path != "dns":
			return false
		case l.path == "dns", slices.Contains(l.columns, "query") && slices.Contains(l.columns, "id.resp_h"):
			return true
		}
	}
	return false
}
