package biflow

import (
	"cmp"

	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/slab"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Input is the flows of one tick: of each no more than a table looks at, a third of
// a message, read off the wire or off messages that are gone afterwards. The zero
// Input is ready, and keeps its buffers from one tick to the next.
type Input struct {
	flow.LeftOut
	segments slab.Pages[segment]
	// What segments point to.
	points slab.Pages[point]
	pairs  slab.Pages[pair]
	extras slab.Pages[extra]
	fulls  slab.Pages[flowv1.Flow]
	views  []view
	// report is the flow that is read, reporter one of its reporters.
	report, reporter report
	sorter           flow.Sorter
	// unsorted: the flows have not come in their order.
	unsorted bool
	// falls is how often a flow had a lower rank than the one before it, second the last
	// that had.
	falls  int
	second uint32
}

// Reset forgets the flows.
func (in *Input) Reset() {
	in.segments.Clear()
	in.points.Clear()
	in.pairs.Clear()
	in.extras.Clear()
	in.fulls.Clear()
	in.views, in.unsorted, in.falls = in.views[:0], false, 0
}

// Add reads every flow of a batch, which must stay until they are applied.
func (in *Input) Add(batch []byte) { in.Split(batch, in.one) }

func (in *Input) one(msg []byte) bool { return in.read(msg) || in.decode(msg) }

// read takes the short way, and tells whether that did.
func (in *Input) read(msg []byte) bool {
	r, views := &in.report, len(in.views)
	if !r.ReadFlow(msg) {
		return false
	}
	for _, b := range r.Nested {
		if !in.reporter.Read(b, &reporterLayout) {
			in.views = in.views[:views]
			return false
		}
		in.views = append(in.views, in.reporter.view())
	}
	in.add(in.views[views:], nil)
	return true
}

// decode takes the long way, for whatever is out of the ordinary, and tells whether
// it is a flow.
func (in *Input) decode(msg []byte) bool {
	_, f := in.fulls.Next()
	f.Reset()
	if f.UnmarshalVTUnsafe(msg) != nil {
		in.fulls.Back()
		return false
	}
	views := in.of(f)
	if !flow.Telling(f) {
		in.add(views, nil)
		in.fulls.Back()
		return true
	}
	in.add(views, f)
	return true
}

// of reads a message into the report, and returns its reporters.
func (in *Input) of(f *flowv1.Flow) []view {
	in.report.of(f)
	n := len(in.views)
	for _, m := range f.Reporters {
		in.reporter.ofReporter(m)
		in.views = append(in.views, in.reporter.view())
	}
	return in.views[n:]
}

// add adds the flow of the report.
func (in *Input) add(reporters []view, full *flowv1.Flow) {
	n, s := in.segments.Next()
	s.pack(&in.report)
	in.locate(&s.place, &in.report)
	s.point, s.extra = in.point(), nil
	if len(reporters) > 0 || full != nil {
		_, s.extra = in.extras.Next()
		*s.extra = extra{reporters, full}
	}
	if n > 0 {
		in.follow(in.segments.At(n-1), s, n)
	}
}

// point keeps who reported, which is mostly who reported the flow before.
func (in *Input) point() *point {
	r := &in.report
	if n := in.points.Len(); n > 0 {
		if last := in.points.At(n - 1); r.isOf(last) {
			return last
		}
	}
	_, p := in.points.Next()
	*p = r.point()
	return p
}

// follow notes in what order a flow, the one of number n, came after the last.
func (in *Input) follow(last, s *segment, n uint32) {
	rank := last.rank().Compare(s.rank())
	if rank > 0 {
		in.falls++
		in.second = n
	}
	in.unsorted = in.unsorted || cmp.Or(cmp.Compare(last.start, s.start), rank) > 0
}

// order lists the flows in the order of flows.deduped. It asks for no memory of
// them if they have come like that, as dedup sends them.
func (in *Input) order() []flow.Place {
	sorted := in.sorter.Places(int(in.segments.Len()))
	switch {
	case !in.unsorted:
		for i := range sorted {
			sorted[i].At = uint32(i)
		}
	case in.falls > 1:
		for i := range sorted {
			sorted[i] = in.placeOf(uint32(i))
		}
		sorted, _ = in.sorter.Sort(func(a, b uint32) int { return in.segments.At(a).rank().Compare(in.segments.At(b).rank()) })
	default:
		in.rank(sorted)
		sorted, _ = in.sorter.Sort(nil)
	}
	return sorted
}

func (in *Input) placeOf(n uint32) flow.Place {
	return flow.Place{Key: in.segments.At(n).start, At: n}
}

// rank lists the flows by their ranks, where these fell once at most: what dedup passes
// on at once in a tick, and then what it has held, are each in order. So flows are read
// one behind the other, where comparing those of one start asks for one here, one there.
func (in *Input) rank(list []flow.Place) {
	n := in.segments.Len()
	a, b, middle := uint32(0), n, n
	if in.falls > 0 {
		b, middle = in.second, in.second
	}
	for i := range list {
		if b == n || a < middle && in.segments.At(a).rank().Compare(in.segments.At(b).rank()) <= 0 {
			list[i] = in.placeOf(a)
			a++
		} else {
			list[i] = in.placeOf(b)
			b++
		}
	}
}

func (s *segment) rank() flow.Rank {
	return flow.Rank{TimeReceivedNs: s.received, RecordID: s.recordID, Late: s.late}
}
