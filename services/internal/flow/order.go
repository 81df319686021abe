package flow

import (
	"cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Orders sort the records of ticks. Whatever way records came, they are applied in
// these orders, which they give themselves. The zero value is ready; it keeps its
// buffers, and nothing of what was sorted.
type Orders struct {
	sorter  Sorter
	flows   []*flowv1.Flow
	biflows []*flowv1.Biflow
}

// Raw puts the flows of one tick of flows.raw into their own order: by time of
// reception, then record id.
func (o *Orders) Raw(fs []*flowv1.Flow) {
	places := o.sorter.Places(len(fs))
	for i, f := range fs {
		places[i] = Place{f.TimeReceivedNs, uint32(i)}
	}
	sorted, moved := o.sorter.Sort(func(a, b uint32) int { return cmp.Compare(fs[a].RecordId, fs[b].RecordId) })
	if moved {
		o.flows = arrange(fs, o.flows, sorted)
	}
}

// Deduped puts the flows of one tick of flows.deduped into their own order: by
// start, then reception, then record id, late reporters last.
func (o *Orders) Deduped(fs []*flowv1.Flow) {
	places := o.sorter.Places(len(fs))
	for i, f := range fs {
		places[i] = Place{f.TimeFlowStartNs, uint32(i)}
	}
	sorted, moved := o.sorter.Sort(func(a, b uint32) int { return rankOf(fs[a]).Compare(rankOf(fs[b])) })
	if moved {
		o.flows = arrange(fs, o.flows, sorted)
	}
}

// Rank is the order of flows.deduped among flows of one start: by reception and
// record id, late reporters last. Every form in which a flow is sorted goes by it.
type Rank struct {
	TimeReceivedNs, RecordID uint64
	Late                     bool
}

// Compare is negative if r comes first.
func (r Rank) Compare(o Rank) int {
	if c := cmp.Or(cmp.Compare(r.TimeReceivedNs, o.TimeReceivedNs), cmp.Compare(r.RecordID, o.RecordID)); c != 0 {
		return c
	}
	switch {
	case r.Late == o.Late:
		return 0
	case o.Late:
		return -1
	}
	return 1
}

func rankOf(f *flowv1.Flow) Rank { return Rank{f.TimeReceivedNs, f.RecordId, f.Late} }

// Biflows puts the biflows of one tick into their own order: by start, then id,
// then version.
func (o *Orders) Biflows(bs []*flowv1.Biflow) {
	places := o.sorter.Places(len(bs))
	for i, b := range bs {
		places[i] = Place{b.TimeFlowStartNs, uint32(i)}
	}
	sorted, moved := o.sorter.Sort(func(a, b uint32) int {
		if c := cmp.Compare(bs[a].FlowId, bs[b].FlowId); c != 0 {
			return c
		}
		return cmp.Compare(bs[a].Version, bs[b].Version)
	})
	if moved {
		o.biflows = arrange(bs, o.biflows, sorted)
	}
}

// arrange puts records at their places, by way of spare, which it returns empty.
func arrange[T any](records, spare []T, sorted []Place) []T {
	spare = append(spare[:0], records...)
	for i := range sorted {
		records[i] = spare[sorted[i].At]
	}
	clear(spare) // what was sorted is not ours to keep
	return spare[:0]
}

// SortRaw is Orders.Raw for one who sorts now and then.
func SortRaw(fs []*flowv1.Flow) { new(Orders).Raw(fs) }

// SortDeduped is Orders.Deduped for one who sorts now and then.
func SortDeduped(fs []*flowv1.Flow) { new(Orders).Deduped(fs) }

// SortBiflows is Orders.Biflows for one who sorts now and then.
func SortBiflows(bs []*flowv1.Biflow) { new(Orders).Biflows(bs) }
