package main

import (
	"github.com/flowledger/flowledger/services/detect/rule"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// core runs a rule.Set as a stage: batches of biflows in, alerts out to the
// partition of the accused, each a message of its own with the host as its key.
type core struct {
	rules   *rule.Set
	biflows rule.Reader
}

func newCore(cfg Config, _ int) stage.Core {
	rules, err := rule.New(cfg.Detect)
	if err != nil {
		panic("BUG: the configuration was not validated: " + err.Error())
	}
	return &core{rules: rules}
}

func (c *core) Tick(tick eventtime.Tick, in []stage.Batch, out *stage.Output) {
	for _, b := range in {
		c.biflows.Each(b.Value, c.rules.See)
		out.LeaveOut(b, c.biflows.Left)
	}
	c.rules.Tick(tick, send(out))
}

func (c *core) End(tick eventtime.Tick, out *stage.Output) { c.rules.End(tick, send(out)) }

// send writes alerts; the set says them in their own order.
func send(out *stage.Output) func(*rule.Alert) {
	return func(a *rule.Alert) {
		partition := flow.Partition(flow.HostHash(a.Host[:]), out.Partitions(0))
		out.AppendMessage(0, partition, []byte(a.Host.Netip().String()), a.JSON)
	}
}

func (c *core) NextTimer() eventtime.Tick { return c.rules.NextTimer() }

func (c *core) AppendSnapshot(dst []byte) []byte { return c.rules.AppendSnapshot(dst) }

func (c *core) Restore(snapshot []byte) error { return c.rules.Restore(snapshot) }
