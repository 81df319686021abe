// Package vpc is the core that reads AWS VPC and transit gateway flow logs,
// versions 2 to 10, line by line.
//
//	line ─┬▶ header ───▶ the format of the lines that follow
//	      ├▶ OK ───────▶ flow
//	      ├▶ NODATA, SKIPDATA ─▶ status event of the interface
//	      ╰▶ all else ─▶ dead letter, with a reason
//
// Every line but a blank one becomes exactly one of these; what CloudWatch and
// Firehose pack lines into, Lines unpacks before. The field names, and
// what they mean, are those of AWS's page "Flow log records".
//
// A network interface is an observation point: both interfaces of one flow report
// it, as two routers on a path would, and one of them is counted. Its address is
// made of account and interface id (package named), since the log has none. Where
// the interface belongs to an intermediate layer, such as a NAT or a transit
// gateway, pkt-srcaddr and pkt-dstaddr are the packet's own addresses: they are
// the flow's, so that all reports of a conversation meet; srcaddr and dstaddr are
// kept beside them.
package vpc

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/flowledger/flowledger/services/ingest/normalize"
)

// Config says how lines are read.
type Config struct {
	Format              string            `yaml:"format" doc:"format of files without a header line, as given to AWS: ${version} ${account-id} …; empty is the default format, version 2"`
	AggregationInterval time.Duration     `yaml:"aggregation_interval" doc:"the longest interval of the flow logs: 1m or 10m; a conversation is not over before as much has passed"`
	Realms              map[string]uint32 `yaml:"realms" doc:"address space by interface, transit gateway, VPC or account id, the first that is listed; needed where VPCs use the same addresses"`
	FutureTolerance     time.Duration     `yaml:"future_tolerance" doc:"a flow that starts this much after its reception is suspect"`
	OldTolerance        time.Duration     `yaml:"old_tolerance" doc:"a flow that ended this much, and two intervals, before its reception is suspect"`
}

// Default is the configuration that reads AWS's default format.
func Default() Config {
	return Config{
		AggregationInterval: 10 * time.Minute,
		FutureTolerance:     5 * time.Minute,
		OldTolerance:        time.Hour,
	}
}

// Validate names the first key that cannot be used, and how to mend it.
func (c Config) Validate() error {
	if c.Format != "" {
		if _, err := parseFormat(c.Format); err != nil {
			return fmt.Errorf("format: %w", err)
		}
	}
	if c.AggregationInterval < time.Second || c.AggregationInterval > time.Hour {
		return fmt.Errorf("aggregation_interval is %s, but must lie between 1s and 1h: AWS offers 1m and 10m", c.AggregationInterval)
	}
	for key, d := range map[string]time.Duration{"future_tolerance": c.FutureTolerance, "old_tolerance": c.OldTolerance} {
		if d < 0 || d > 366*24*time.Hour {
			return fmt.Errorf("%s is %s, but must lie between 0s and 8784h", key, d)
		}
	}
	for id := range c.Realms {
		if id == "" || strings.ContainsAny(id, " \t") {
			return fmt.Errorf("realms: %q is no id: write one as vpc-0a1b2c3d4e5f67890, or an account's twelve digits", id)
		}
	}
	return nil
}

// Kind is what became of a line.
type Kind uint8

// The kinds.
const (
	Blank Kind = iota
	Header
	Flow
	// Status is a NODATA or SKIPDATA line.
	Status
	Dead
)

// Statistics count lines.
type Statistics struct {
	Lines, Headers, Flows uint64
	// NoData counts intervals without traffic, SkipData intervals of which
	// records were lost on AWS's side.
	NoData, SkipData uint64
	Dead             uint64
}

// Parser reads one file after another. It is not safe for concurrent use.
type Parser struct {
	cfg     Config
	initial *format
	at      Position
	texts   map[string]string
	record  record
	stats   Statistics
}

// Position is a place in a file: what has to be known to read on from there.
type Position struct {
	format *format
	line   uint64
}

// New makes a parser that stands at the beginning of a file. The configuration
// must be valid.
func New(cfg Config) *Parser {
	p := &Parser{cfg: cfg, initial: defaultFormat, texts: make(map[string]string)}
	if cfg.Format != "" {
		f, err := parseFormat(cfg.Format)
		if err != nil {
			panic("BUG: the configuration was not validated: " + err.Error())
		}
		p.initial = f
	}
	p.Begin()
	return p
}

// Begin stands at the beginning of the next file: what a header said is forgotten.
func (p *Parser) Begin() { p.at = Position{format: p.initial} }

// Position is where the parser stands.
func (p *Parser) Position() Position { return p.at }

// Seek goes back, or on, to a place.
func (p *Parser) Seek(at Position) { p.at = at }

// Statistics are the counts since New.
func (p *Parser) Statistics() Statistics { return p.stats }

// maxLine is the longest line that is read, in bytes; AWS's are under 4 KiB.
const maxLine = 16 << 10

// byteOrderMark is what some tools put before a text.
var byteOrderMark = []byte("\ufeff")

// trim is a line without what is around it.
func trim(line []byte) []byte { return bytes.TrimSpace(bytes.TrimPrefix(line, byteOrderMark)) }

// Line adds what a line (with or without its end) says to the result. ReceivedNs
// is when it came, nanoseconds since the epoch; 0 takes the end of the line's own
// interval for it, which makes the result a function of the file alone.
func (p *Parser) Line(line []byte, receivedNs uint64, out *normalize.Result) Kind {
	line = trim(line)
	if len(line) == 0 {
		return Blank
	}
	p.stats.Lines++
	p.at.line++
	if line[0] == '{' { // Azure's and Google's flow logs, and what is no envelope of AWS's
		return p.bury("json", line, receivedNs, out)
	}
	if len(line) > maxLine {
		return p.bury("line_too_long", line, receivedNs, out)
	}
	text := string(line)
	if f := headerFormat(text); f != nil {
		p.at.format = f
		p.stats.Headers++
		return Header
	}
	r := &p.record
	if reason := r.read(text, p.at.format, p.texts); reason != "" {
		return p.bury(reason, line, receivedNs, out)
	}
	out.DataRecords++
	if receivedNs == 0 {
		receivedNs = r.endNs
	}
	if r.status != statusOK {
		return p.statusEvent(line, receivedNs, out)
	}
	out.Flows = append(out.Flows, p.flow(line, receivedNs))
	out.Records.Flow++
	p.stats.Flows++
	return Flow
}

// EndNs is the end of the interval that a line tells of; ok is false for lines
// that become no record. Headers count, so lines must be given in order.
func (p *Parser) EndNs(line []byte) (ns uint64, ok bool) {
	line = trim(line)
	if len(line) == 0 {
		return 0, false
	}
	p.at.line++
	if len(line) > maxLine {
		return 0, false
	}
	text := string(line)
	if f := headerFormat(text); f != nil {
		p.at.format = f
		return 0, false
	}
	if p.record.read(text, p.at.format, p.texts) != "" {
		return 0, false
	}
	return p.record.endNs, true
}

// maxDead is how much of a bad line is kept.
const maxDead = 4 << 10

// bury keeps a line that cannot be used. Who sent it is not known.
func (p *Parser) bury(reason string, line []byte, receivedNs uint64, out *normalize.Result) Kind {
	out.DataRecords++
	out.Records.Dead++
	p.stats.Dead++
	out.Dead = append(out.Dead, normalize.DeadLetter{
		Reason: "vpc_" + reason, Bytes: bytes.Clone(line[:min(len(line), maxDead)]),
		Exporter: netip.IPv6Unspecified(), ReceivedNs: receivedNs,
	})
	return Dead
}

// Recognize tells whether the beginning of a file looks like a flow log: one of
// its whole lines, or of those in envelopes, is a header, or a record of the
// configured format.
func Recognize(cfg Config, head []byte) bool {
	p := New(cfg)
	for line := range bytes.Lines(head) {
		line = trim(line)
		if len(line) > 0 && line[0] == '{' {
			for _, m := range messages.FindAllSubmatch(line, -1) {
				if p.recognize(m[1]) {
					return true
				}
			}
			continue
		}
		if p.recognize(line) {
			return true
		}
	}
	return false
}

func (p *Parser) recognize(line []byte) bool {
	line = trim(line)
	if len(line) == 0 || len(line) > maxLine {
		return false
	}
	if headerFormat(string(line)) != nil {
		return true
	}
	_, ok := p.EndNs(line)
	return ok
}
