package biflow

import (
	"cmp"
	"slices"

	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Input is the flows of one tick, read off the wire as far as a table looks at
// them. It aliases the batches it was given. The zero Input is ready, and keeps
// its buffers from one tick to the next.
type Input struct {
	// Bad counts messages that could not be decoded; they are left out.
	Bad      int
	segments []segment // all zero beyond their length
	views    []view
	// full are messages for flows that tell what few do.
	full   []*flowv1.Flow
	nfull  int
	sorter flow.Sorter
	// unsorted: the flows have not come in their order.
	unsorted bool
}

// Reset forgets the flows.
func (in *Input) Reset() {
	clear(in.segments)
	in.segments, in.views, in.nfull, in.unsorted = in.segments[:0], in.views[:0], 0, false
}

// Add reads every flow of a batch. One that cannot be decoded is counted and left
// out; it does not take its neighbours along.
func (in *Input) Add(batch []byte) {
	for len(batch) > 0 {
		msg, rest, err := flow.Next(batch)
		if err != nil {
			in.Bad++
			return
		}
		batch = rest
		n := len(in.segments)
		in.segments = slices.Grow(in.segments, 1)[:n+1]
		s := &in.segments[n]
		if !s.read(msg, in) {
			*s = segment{}
			if !in.decode(s, msg) {
				in.Bad++
				in.segments = in.segments[:n]
				continue
			}
		}
		in.unsorted = in.unsorted || n > 0 && in.segments[n-1].compare(s) > 0
	}
}

// decode takes the long way, for whatever is out of the ordinary.
func (in *Input) decode(s *segment, msg []byte) bool {
	if in.nfull == len(in.full) {
		in.full = append(in.full, new(flowv1.Flow))
	}
	f := in.full[in.nfull]
	f.Reset()
	if f.UnmarshalVTUnsafe(msg) != nil {
		return false
	}
	in.views = s.from(f, in.views)
	if s.full != nil {
		in.nfull++
	}
	return true
}

// order lists the flows in the order of flows.deduped. It asks for no memory of
// them if they have come like that, as dedup sends them.
func (in *Input) order() []flow.Place {
	all := in.segments
	places := in.sorter.Places(len(all))
	if !in.unsorted {
		for i := range places {
			places[i].At = uint32(i)
		}
		return places
	}
	for i := range all {
		places[i] = flow.Place{Key: all[i].start, At: uint32(i)}
	}
	sorted, _ := in.sorter.Sort(func(a, b uint32) int { return all[a].rank().Compare(all[b].rank()) })
	return sorted
}

// compare is the order of flows.deduped.
func (s *segment) compare(o *segment) int {
	return cmp.Or(cmp.Compare(s.start, o.start), s.rank().Compare(o.rank()))
}

func (s *segment) rank() flow.Rank {
	return flow.Rank{TimeReceivedNs: s.received, RecordID: s.recordID, Late: s.late}
}
