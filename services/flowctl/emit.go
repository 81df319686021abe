package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/detect/rule"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/jsonline"
	"github.com/flowledger/flowledger/services/internal/pipeline"
)

// emits are the kinds of records that run prints.
var emits = []string{"biflows", "updates", "flows", "deduped", "alerts", "events", "dns", "dead", "none"}

// emit is the value of --emit.
type emit string

func (e *emit) Set(s string) error {
	if !slices.Contains(emits, s) {
		return fmt.Errorf("%q is nothing to print; choose one of %s", s, strings.Join(emits, ", "))
	}
	*e = emit(s)
	return nil
}

func (e *emit) Type() string   { return "kind" }
func (e *emit) String() string { return string(*e) }

// observer prints what was chosen, in the order in which the pipeline says it.
func (e emit) observer(out *printer) pipeline.Observer {
	switch e {
	case "flows":
		return pipeline.Observer{Flow: func(f *flowv1.Flow) { out.message(f) }}
	case "deduped":
		return pipeline.Observer{Deduped: func(f *flowv1.Flow) { out.message(f) }}
	case "biflows":
		return pipeline.Observer{Update: func(b *flowv1.Biflow) {
			// A conversation has one version with a reason to close: its last.
			if b.CloseReason != flowv1.CloseReason_CLOSE_REASON_UNSPECIFIED {
				out.message(b)
			}
		}}
	case "updates":
		return pipeline.Observer{Update: func(b *flowv1.Biflow) { out.message(b) }}
	case "alerts":
		return pipeline.Observer{Alert: out.finding}
	case "events":
		return pipeline.Observer{Event: func(ev *flowv1.Event) { out.message(ev) }}
	case "dns":
		return pipeline.Observer{Dns: func(m *flowv1.Dns) { out.message(m) }}
	case "dead":
		return pipeline.Observer{Dead: func(d *normalize.DeadLetter) { out.line(appendDead(out.spare(), d)) }}
	}
	return pipeline.Observer{}
}

// printer writes lines until a write fails; the failure stays in err.
type printer struct {
	w    io.Writer
	json jsonline.Printer
	buf  []byte
	err  error
	// findings are printed once each, as they stood at last: by uid, in order of
	// creation.
	findings [][]byte
	byUID    map[string]int
}

// finding keeps the newest state of a finding until the end.
func (p *printer) finding(a *rule.Alert) {
	if at, ok := p.byUID[a.UID]; ok {
		p.findings[at] = append(p.findings[at][:0], a.JSON...)
		return
	}
	if p.byUID == nil {
		p.byUID = make(map[string]int)
	}
	p.byUID[a.UID] = len(p.findings)
	p.findings = append(p.findings, slices.Clone(a.JSON))
}

func (p *printer) message(m proto.Message) {
	p.buf = p.json.Append(p.buf[:0], m)
	p.line(p.buf)
}

func (p *printer) spare() []byte { return p.buf[:0] }

func (p *printer) line(b []byte) {
	if p.err != nil {
		return
	}
	p.buf = append(b, '\n')
	_, p.err = p.w.Write(p.buf)
}

// end writes out what is kept and buffered.
func (p *printer) end(w *bufio.Writer) error {
	for _, f := range p.findings {
		p.line(f)
	}
	if p.err == nil {
		p.err = w.Flush()
	}
	if p.err != nil {
		return fmt.Errorf("cannot write to standard output: %w", p.err)
	}
	return nil
}
