package biflow

import (
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// See takes in a flow of the next tick. It is only read during the call, but for
// the text of its strings, which must stay until TickSeen; their order is of no
// account.
func (t *Table) See(f *flowv1.Flow) { t.seen.see(f) }

// HasSeen tells whether a flow has been seen for which TickSeen must be called.
func (t *Table) HasSeen() bool { return t.seen.segments.Len() > 0 }

// TickSeen is Tick with the flows that were seen, which are those of now.
func (t *Table) TickSeen(now eventtime.Tick, emit func(*flowv1.Biflow)) {
	t.tick(now, &t.seen, emitter(emit))
	t.seen.Reset()
}

// see takes a message in.
func (in *Input) see(f *flowv1.Flow) {
	views := in.of(f)
	if flow.Telling(f) {
		in.add(views, in.keep(f))
	} else {
		in.add(views, nil)
	}
}

// keep copies what few flows tell (flow.Telling), into messages that no batch lent
// anything to.
func (in *Input) keep(f *flowv1.Flow) *flowv1.Flow {
	_, m := in.fulls.Next()
	m.PostSrcAddr, m.PostDstAddr = append(m.PostSrcAddr[:0], f.PostSrcAddr...), append(m.PostDstAddr[:0], f.PostDstAddr...)
	m.PostSrcPort, m.PostDstPort = f.PostSrcPort, f.PostDstPort
	m.Application, m.User, m.HttpHost, m.HttpUrl = f.Application, f.User, f.HttpHost, f.HttpUrl
	m.DnsName, m.FirewallRule = f.DnsName, f.FirewallRule
	return m
}
