package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
)

const startTick = eventtime.Tick(3_600_000_000)

// scan is a port scan by each of n clients, one probe of each a record.
func scan(n int) (out []*flowv1.Biflow) {
	for port := range uint32(40) {
		for c := range n {
			out = append(out, &flowv1.Biflow{
				FlowId: uint64(port)<<8 | uint64(c), Version: 1, Proto: 6,
				ClientAddr: netip.AddrFrom4([4]byte{10, 0, 0, byte(c + 1)}).AsSlice(), ClientPort: 40000,
				ServerAddr: []byte{203, 0, 113, 5}, ServerPort: 8000 + port,
				ClientPackets: 1, ClientBytes: 60, TimeFlowStartNs: startTick.Ns() + uint64(port), InitiatorConfidence: .97,
				ConnState: flowv1.ConnState_CONN_STATE_REJECTED,
			})
		}
	}
	return out
}

// batches cuts records into batches of a size, with a broken one among them.
func batches(records []*flowv1.Biflow, size int) (out []stage.Batch) {
	for len(records) > 0 {
		n := min(size, len(records))
		var value []byte
		for _, r := range records[:n] {
			value = flow.AppendDelimited(value, r)
		}
		out = append(out, stage.Batch{Value: value})
		records = records[n:]
	}
	return append(out, stage.Batch{Value: []byte{2, 0xff, 0xff}})
}

// alerts runs a core over one tick and its end, and lists what came out.
func alerts(t *testing.T, in []stage.Batch) (out []string) {
	t.Helper()
	c := newCore(Default(), 0)
	o := stage.NewOutput(4)
	c.Tick(startTick, in, o)
	restored := newCore(Default(), 0)
	if err := restored.Restore(c.AppendSnapshot(nil)); err != nil {
		t.Fatal(err)
	}
	restored.End(startTick+1, o)
	o.Each(func(_, partition int, key, value []byte, _ int) {
		if !json.Valid(value) {
			t.Errorf("%s is not JSON", value)
		}
		addr := netip.MustParseAddr(string(key))
		if want := flow.Partition(flow.HostHash(addr.AsSlice()), 4); partition != want {
			t.Errorf("alert of %s is on partition %d, want %d", addr, partition, want)
		}
		out = append(out, fmt.Sprintf("%d %s %s", partition, key, value))
	})
	return out
}

func TestBatchCutsChangeNothing(t *testing.T) {
	records := scan(6)
	want := alerts(t, batches(records, 1000))
	if len(want) != 12 {
		t.Fatalf("got %d alerts, want six findings, each created and closed", len(want))
	}
	for _, size := range []int{1, 7, 100} {
		cut := batches(records, size)
		for i, j := 0, len(cut)-1; i < j; i, j = i+1, j-1 {
			cut[i], cut[j] = cut[j], cut[i]
		}
		if d := cmp.Diff(want, alerts(t, cut)); d != "" {
			t.Errorf("batches of %d change the alerts (-want, +got):\n%s", size, d)
		}
	}
}
