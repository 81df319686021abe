package rows

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// However versions follow on each other, and whatever they set and unset, the
// blocks are those of the last versions alone, in the order in which
// conversations first came.
func TestOnlyLastVersionsCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []flow.Message
		var last []*flowv1.Biflow
		for range rapid.IntRange(1, 40).Draw(t, "records") {
			b := drawBiflow(t)
			all = append(all, b)
			i := slices.IndexFunc(last, func(o *flowv1.Biflow) bool { return o.FlowId == b.FlowId })
			switch {
			case i < 0:
				last = append(last, b)
			case b.Version >= last[i].Version:
				last[i] = b
			}
		}
		got, want := NewBiflows(), NewBiflows()
		for _, m := range all {
			mustAppend(t, got, batch(m))
		}
		for _, m := range last {
			mustAppend(t, want, batch(m))
		}
		if diff := cmp.Diff(whole(want.Take()), whole(got.Take())); diff != "" {
			t.Fatalf("(-want +got)\n%s", diff)
		}
	})
}

func drawBiflow(t *rapid.T) *flowv1.Biflow {
	hosts := [][]byte{ip(10, 0, 0, 1), ip(10, 0, 0, 2)}
	if rapid.Bool().Draw(t, "exchanged") {
		slices.Reverse(hosts)
	}
	id := rapid.Uint64Range(1, 5).Draw(t, "id")
	if id == 5 {
		hosts[1] = hosts[0]
	}
	b := &flowv1.Biflow{
		FlowId: id, Version: rapid.Uint32Range(1, 4).Draw(t, "version"), ClientAddr: hosts[0], ServerAddr: hosts[1],
		ClientBytes: rapid.Uint64Range(0, 2).Draw(t, "bytes"), TimeFlowStartNs: rapid.Uint64Range(1, 9).Draw(t, "start"),
		Application: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "application"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "reporters") {
		b.Reporters = append(b.Reporters, &flowv1.Reporter{SamplerAddress: ip(1, 1, 1, 1), InIf: rapid.Uint32Range(0, 1).Draw(t, "if")})
	}
	return b
}

func mustAppend(t *rapid.T, b Builder, value []byte) {
	if _, err := b.Append(nil, value); err != nil {
		t.Fatal(err)
	}
}

// whole is the blocks without the columns that are all default: those a version
// had set that is gone may be there or not.
func whole(blocks []Block) []Block {
	for i := range blocks {
		blocks[i].Columns = slices.DeleteFunc(blocks[i].Columns, func(c Column) bool {
			switch v := c.Values.(type) {
			case []uint64:
				return !slices.ContainsFunc(v, func(x uint64) bool { return x != 0 })
			case []string:
				return !slices.ContainsFunc(v, func(x string) bool { return x != "" })
			case []uint32:
				return !slices.ContainsFunc(v, func(x uint32) bool { return x != 0 })
			case [][]uint32:
				return !slices.ContainsFunc(v, func(x []uint32) bool { return slices.Max(append(x, 0)) > 0 })
			case [][][16]byte:
				return !slices.ContainsFunc(v, func(x [][16]byte) bool { return len(x) > 0 })
			}
			return false
		})
	}
	return blocks
}
