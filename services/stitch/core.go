package main

import (
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/stitch/biflow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// core runs a biflow.Table as a stage: batches of flows in, biflows out to the
// partition of their client.
type core struct {
	table *biflow.Table
	flows flow.Decoder[flowv1.Flow, *flowv1.Flow]
	out   []*flowv1.Biflow
}

func newCore(cfg Config, _ int) stage.Core {
	return &core{table: biflow.New(cfg.Stitch)}
}

func (c *core) Tick(tick eventtime.Tick, in []stage.Batch, out *stage.Output) {
	c.flows.Reset()
	for _, b := range in {
		c.flows.Add(b.Value)
	}
	flow.SortDeduped(c.flows.Records)
	c.table.Tick(tick, c.flows.Records, c.keep)
	c.send(out)
}

func (c *core) End(tick eventtime.Tick, out *stage.Output) {
	c.table.End(tick, c.keep)
	c.send(out)
}

func (c *core) keep(b *flowv1.Biflow) { c.out = append(c.out, b) }

func (c *core) send(out *stage.Output) {
	flow.SortBiflows(c.out)
	for _, b := range c.out {
		out.Append(0, flow.Partition(flow.HostHash(b.ClientAddr), out.Partitions(0)), b)
	}
	c.out = c.out[:0]
}

func (c *core) NextTimer() eventtime.Tick { return c.table.NextTimer() }

func (c *core) AppendSnapshot(dst []byte) []byte { return c.table.AppendSnapshot(dst) }

func (c *core) Restore(snapshot []byte) error { return c.table.Restore(snapshot) }
