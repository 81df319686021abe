package biflow

import (
	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// outputs lends out the messages of one call and takes them back at the next,
// so that steady state allocates nothing.
type outputs struct {
	biflows    []*flowv1.Biflow
	nbiflows   int
	reporters  []*flowv1.Reporter
	nreporters int
	// addrs holds the addresses of what was lent: the table's own may move.
	addrs []byte
}

func (o *outputs) reset() { o.nbiflows, o.nreporters, o.addrs = 0, 0, o.addrs[:0] }

func (o *outputs) biflow() *flowv1.Biflow {
	if o.nbiflows == len(o.biflows) {
		o.biflows = append(o.biflows, new(flowv1.Biflow))
	}
	b := o.biflows[o.nbiflows]
	o.nbiflows++
	reporters := b.Reporters[:0]
	b.Reset()
	b.Reporters = reporters
	return b
}

func (o *outputs) reporter() *flowv1.Reporter {
	if o.nreporters == len(o.reporters) {
		o.reporters = append(o.reporters, new(flowv1.Reporter))
	}
	r := o.reporters[o.nreporters]
	o.nreporters++
	r.Reset()
	return r
}

// addr copies an address in its wire form. When the buffer grows, what was lent
// before stays in the former one.
func (o *outputs) addr(a *flow.Addr) []byte {
	n := len(o.addrs)
	o.addrs = append(o.addrs, a.Wire()...)
	return o.addrs[n:len(o.addrs):len(o.addrs)]
}

// optionalAddr is nil for the zero address.
func (o *outputs) optionalAddr(a *flow.Addr) []byte {
	if *a == (flow.Addr{}) {
		return nil
	}
	return o.addr(a)
}
