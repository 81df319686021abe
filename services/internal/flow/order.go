package flow

import (
	"cmp"
	"slices"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// SortRaw puts the flows of one tick of flows.raw into their own order: by time
// of reception, then record id. However they came, they are applied like this.
func SortRaw(fs []*flowv1.Flow) {
	slices.SortFunc(fs, func(a, b *flowv1.Flow) int {
		if c := cmp.Compare(a.TimeReceivedNs, b.TimeReceivedNs); c != 0 {
			return c
		}
		return cmp.Compare(a.RecordId, b.RecordId)
	})
}

// SortDeduped puts the flows of one tick of flows.deduped into their own order:
// by start, then reception, then record id, late reporters last.
func SortDeduped(fs []*flowv1.Flow) {
	slices.SortFunc(fs, func(a, b *flowv1.Flow) int {
		if c := cmp.Compare(a.TimeFlowStartNs, b.TimeFlowStartNs); c != 0 {
			return c
		}
		if c := cmp.Compare(a.TimeReceivedNs, b.TimeReceivedNs); c != 0 {
			return c
		}
		if c := cmp.Compare(a.RecordId, b.RecordId); c != 0 {
			return c
		}
		switch {
		case a.Late == b.Late:
			return 0
		case b.Late:
			return -1
		}
		return 1
	})
}

// SortBiflows puts the biflows of one tick into their own order: by start, then
// id, then version.
func SortBiflows(bs []*flowv1.Biflow) {
	slices.SortFunc(bs, func(a, b *flowv1.Biflow) int {
		if c := cmp.Compare(a.TimeFlowStartNs, b.TimeFlowStartNs); c != 0 {
			return c
		}
		if c := cmp.Compare(a.FlowId, b.FlowId); c != 0 {
			return c
		}
		return cmp.Compare(a.Version, b.Version)
	})
}
