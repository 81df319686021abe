package main

import (
	"fmt"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/stitch/biflow"
)

// core runs a biflow.Table as a stage: batches of flows in, biflows out to the
// partition of their client. Neither are ever messages: the table reads what it
// needs off the wire, and what it says it writes there.
type core struct {
	table *biflow.Table
	in    biflow.Input
	out   biflow.Output
}

func newCore(cfg Config, _ int) stage.Core {
	return &core{table: biflow.New(cfg.Stitch)}
}

func (c *core) Tick(tick eventtime.Tick, in []stage.Batch, out *stage.Output) {
	c.in.Reset()
	for _, b := range in {
		c.in.Add(b.Value)
		out.LeaveOut(b, c.in.Left)
	}
	c.table.TickWire(tick, &c.in, &c.out)
	c.send(out)
}

func (c *core) End(tick eventtime.Tick, out *stage.Output) {
	c.table.EndWire(tick, &c.out)
	c.send(out)
}

func (c *core) send(out *stage.Output) {
	n := out.Partitions(0)
	c.out.Each(func(client uint64, delimited []byte) {
		out.AppendEncoded(0, flow.Partition(client, n), delimited)
	})
}

func (c *core) Policy(raw []byte) error {
	var p flowv1.Policy
	if err := p.UnmarshalVT(raw); err != nil {
		return fmt.Errorf("cannot decode the policy: %w", err)
	}
	return c.table.Policy(&p)
}

func (c *core) NextTimer() eventtime.Tick { return c.table.NextTimer() }

func (c *core) AppendSnapshot(dst []byte) []byte { return c.table.AppendSnapshot(dst) }

func (c *core) Restore(snapshot []byte) error { return c.table.Restore(snapshot) }
