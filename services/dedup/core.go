package main

import (
	"github.com/flowledger/flowledger/services/dedup/merge"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// core runs a merge.Window as a stage: batches in, batches out. Whatever order
// the batches of a tick come in, the window sees the records in their own, and
// what it says is numbered in its own. Most flows pass through as they lie on the
// wire: they are neither decoded nor encoded.
type core struct {
	window    *merge.Window
	partition int
	flows     flow.Briefs
	out       []flow.Spliced
	orders    flow.Orders
	// seen keeps the compiler from dropping the loads of send.
	seen byte
}

// lookahead is how many flows are touched before they are written: they have been held, and
// loads of many overlap where one after the other each would wait for memory.
const lookahead = 16

func newCore(cfg Config, partition int) stage.Core {
	return &core{window: merge.New(cfg.Dedup), partition: partition}
}

func (c *core) Tick(tick eventtime.Tick, in []stage.Batch, out *stage.Output) {
	c.flows.Reset()
	for _, b := range in {
		c.flows.Add(b.Value)
		out.LeaveOut(b, c.flows.Left)
	}
	c.flows.Sort()
	c.window.TickWire(tick, c.flows.Records, c.keep)
	c.send(out)
}

func (c *core) End(tick eventtime.Tick, out *stage.Output) {
	c.window.EndWire(tick, c.keep)
	c.send(out)
}

func (c *core) keep(f *flow.Spliced) { c.out = append(c.out, *f) }

// send writes what the window said to the partition it came from.
func (c *core) send(out *stage.Output) {
	for places := c.orders.Spliced(c.out); len(places) > 0; {
		next := places[:min(len(places), lookahead)]
		for _, place := range next {
			c.seen |= c.out[place.At].Touch()
		}
		for _, place := range next {
			out.Append(0, c.partition, &c.out[place.At])
		}
		places = places[len(next):]
	}
	clear(c.out) // the batches must not be held on to
	c.out = c.out[:0]
}

func (c *core) NextTimer() eventtime.Tick { return c.window.NextTimer() }

func (c *core) AppendSnapshot(dst []byte) []byte { return c.window.AppendSnapshot(dst) }

func (c *core) Restore(snapshot []byte) error { return c.window.Restore(snapshot) }
