package main

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// reports are those of a tick, of three exporters, in batches of up to perBatch.
func reports(tick eventtime.Tick, n, perBatch int) (in []stage.Batch) {
	for i := range n {
		src := binary.BigEndian.AppendUint32(nil, 10<<24|uint32(tick)<<12|uint32(i/3))
		f := &flowv1.Flow{
			Type: flowv1.FlowType_FLOW_TYPE_NETFLOW_V9, SrcAddr: src, DstAddr: []byte{198, 51, 100, 7}, Proto: 6, SrcPort: 50_000, DstPort: 443,
			SamplerAddress: []byte{192, 0, 2, byte(i % 3)}, Bytes: uint64(1000 + i), Packets: 10, RecordId: uint64(i + 1),
			TimeReceivedNs: tick.Ns() + uint64(i/30), TimeFlowStartNs: tick.Ns() - 9e9 - uint64(i*i%97), TimeFlowEndNs: tick.Ns() - 1e9,
		}
		if i%perBatch == 0 {
			in = append(in, stage.Batch{})
		}
		b := &in[len(in)-1]
		b.Value = flow.AppendDelimited(b.Value, f)
	}
	return in
}

// drive runs a core over ticks and returns what it said.
func drive(in map[eventtime.Tick][]stage.Batch) (said []byte) {
	c := newCore(Default(), 0)
	out := stage.NewOutput(1)
	keep := func(_, _ int, _, value []byte, _ int) { said = append(said, value...) }
	for tick := eventtime.Tick(1000); tick < 1100; tick++ {
		if len(in[tick]) > 0 || c.NextTimer() <= tick {
			c.Tick(tick, in[tick], out)
			out.Each(keep)
			out.Reset()
		}
	}
	c.End(1100, out)
	out.Each(keep)
	return said
}

func TestOrderAndCutsOfBatchesChangeNothing(t *testing.T) {
	want, got := map[eventtime.Tick][]stage.Batch{}, map[eventtime.Tick][]stage.Batch{}
	for tick := eventtime.Tick(1000); tick < 1040; tick++ {
		want[tick], got[tick] = reports(tick, 100, 100), reports(tick, 100, 7)
		rand.Shuffle(len(got[tick]), func(i, j int) { got[tick][i], got[tick][j] = got[tick][j], got[tick][i] })
	}
	a, b := drive(want), drive(got)
	if n, err := flow.Count(a); err != nil || n < 1300 || !bytes.Equal(a, b) {
		t.Errorf("%d flows (%v); the same: %v", n, err, bytes.Equal(a, b))
	}
}

func TestWhatIsNoFlowIsLeftOut(t *testing.T) {
	in := reports(1000, 3, 3)
	bad := slices.Concat([]byte{3, 0x32, 99, 1}, in[0].Value, []byte{200, 1})
	want := drive(map[eventtime.Tick][]stage.Batch{1000: in})
	got := drive(map[eventtime.Tick][]stage.Batch{1000: {{Value: bad}}})
	if len(want) == 0 || !bytes.Equal(got, want) {
		t.Errorf("said %x, want %x", got, want)
	}
}

func TestTickDoesNotAllocateInSteadyState(t *testing.T) {
	cfg := Default()
	cfg.Dedup.FailoverAfter, cfg.Dedup.LateHorizon = 10*time.Second, 10*time.Second
	c, out := newCore(cfg, 0), stage.NewOutput(1)
	var ticks [][]stage.Batch
	for tick := range eventtime.Tick(600) {
		ticks = append(ticks, reports(1000+tick, 300, 100))
	}
	next := 0
	step := func() {
		c.Tick(1000+eventtime.Tick(next), ticks[next], out)
		out.Reset()
		next++
	}
	for range 300 {
		step()
	}
	// The pool that batches come from forgets at a collection.
	if n := testing.AllocsPerRun(200, step); n > 5 {
		t.Errorf("%.1f allocations per tick of 300 reports, want none", n)
	}
}
