package flow

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TestSorter holds a sorter against sorting by comparisons: keys of every width and
// number, few of them different or many, before and after others.
func TestSorter(t *testing.T) {
	var s Sorter
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 2000).Draw(t, "n")
		width := rapid.IntRange(0, 64).Draw(t, "width")
		shift := rapid.IntRange(0, 64).Draw(t, "shift")
		base := rapid.Uint64().Draw(t, "base")
		rising := rapid.Bool().Draw(t, "rising")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		places := s.Places(n)
		seconds := make([]int, n)
		for i := range places {
			places[i] = Place{base + r.Uint64()&(1<<width-1)<<shift, uint32(i)}
			seconds[i] = r.IntN(3)
		}
		if rising {
			slices.SortStableFunc(places, func(a, b Place) int { return cmp.Compare(a.Key, b.Key) })
			for i := range places {
				places[i].At = uint32(i)
			}
		}
		tie := func(a, b uint32) int { return cmp.Compare(seconds[a], seconds[b]) }
		before := slices.Clone(places)
		want := slices.Clone(places)
		slices.SortStableFunc(want, func(a, b Place) int { return cmp.Or(cmp.Compare(a.Key, b.Key), tie(a.At, b.At)) })
		got, moved := s.Sort(tie)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("(-want, +got)\n%s", diff)
		}
		if moved != !slices.Equal(before, got) {
			t.Fatalf("moved is %v", moved)
		}
		again := s.Places(n)
		copy(again, before)
		r.Shuffle(n, func(i, j int) { again[i].At, again[j].At = again[j].At, again[i].At })
		want = slices.Clone(again)
		slices.SortStableFunc(want, func(a, b Place) int { return cmp.Compare(a.Key, b.Key) })
		got, _ = s.Sort(nil)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("without tie (-want, +got)\n%s", diff)
		}
	})
}

// TestOrders holds each order against its definition.
func TestOrders(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var o Orders
	for range 200 {
		n := r.IntN(300)
		var fs []*flowv1.Flow
		var bs []*flowv1.Biflow
		for range n {
			fs = append(fs, &flowv1.Flow{TimeReceivedNs: r.Uint64N(5), TimeFlowStartNs: r.Uint64N(5), RecordId: r.Uint64N(3), Late: r.IntN(2) > 0})
			bs = append(bs, &flowv1.Biflow{TimeFlowStartNs: r.Uint64N(5), FlowId: r.Uint64N(5), Version: r.Uint32N(4)})
		}
		late := func(f *flowv1.Flow) int { return map[bool]int{true: 1}[f.Late] }
		for _, c := range []struct {
			name string
			sort func([]*flowv1.Flow)
			want func(a, b *flowv1.Flow) int
		}{
			{"raw", o.Raw, func(a, b *flowv1.Flow) int {
				return cmp.Or(cmp.Compare(a.TimeReceivedNs, b.TimeReceivedNs), cmp.Compare(a.RecordId, b.RecordId))
			}},
			{"deduped", o.Deduped, func(a, b *flowv1.Flow) int {
				return cmp.Or(cmp.Compare(a.TimeFlowStartNs, b.TimeFlowStartNs), cmp.Compare(a.TimeReceivedNs, b.TimeReceivedNs),
					cmp.Compare(a.RecordId, b.RecordId), cmp.Compare(late(a), late(b)))
			}},
		} {
			got, want := slices.Clone(fs), slices.Clone(fs)
			c.sort(got)
			slices.SortStableFunc(want, c.want)
			if !slices.Equal(got, want) {
				t.Fatalf("%s: %d flows are not in their order", c.name, n)
			}
		}
		got, want := slices.Clone(bs), slices.Clone(bs)
		o.Biflows(got)
		slices.SortStableFunc(want, func(a, b *flowv1.Biflow) int {
			return cmp.Or(cmp.Compare(a.TimeFlowStartNs, b.TimeFlowStartNs), cmp.Compare(a.FlowId, b.FlowId), cmp.Compare(a.Version, b.Version))
		})
		if !slices.Equal(got, want) {
			t.Fatalf("%d biflows are not in their order", n)
		}
	}
}

// TestOrdersAllocateNothing in steady state.
func TestOrdersAllocateNothing(t *testing.T) {
	var o Orders
	fs := randomFlows(1000)
	at := make([]*flowv1.Flow, len(fs))
	if n := testing.AllocsPerRun(10, func() {
		copy(at, fs)
		o.Deduped(at)
	}); n > 0 {
		t.Errorf("%v allocations to sort %d flows", n, len(fs))
	}
}

func randomFlows(n int) (fs []*flowv1.Flow) {
	r := rand.New(rand.NewPCG(3, 4))
	for range n {
		fs = append(fs, &flowv1.Flow{TimeFlowStartNs: 1700000000e9 + r.Uint64N(30_000)*1e6, TimeReceivedNs: 1700000000e9 + r.Uint64N(500e6), RecordId: r.Uint64()})
	}
	r.Shuffle(n, func(i, j int) { fs[i], fs[j] = fs[j], fs[i] })
	return fs
}

// BenchmarkSort is the time per flow, of flows whose starts are told in milliseconds
// over half a minute; "comparisons" is how it was done before.
func BenchmarkSort(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000, 100_000} {
		fs := randomFlows(n)
		at := make([]*flowv1.Flow, n)
		run := func(name string, sort func([]*flowv1.Flow)) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					copy(at, fs)
					sort(at)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/flow")
			})
		}
		run("comparisons", func(fs []*flowv1.Flow) {
			slices.SortFunc(fs, func(a, b *flowv1.Flow) int {
				if c := cmp.Compare(a.TimeFlowStartNs, b.TimeFlowStartNs); c != 0 {
					return c
				}
				return rankOf(a).Compare(rankOf(b))
			})
		})
		var o Orders
		run("places", o.Deduped)
		sorted := slices.Clone(fs)
		o.Deduped(sorted)
		fs = sorted
		run("sorted", o.Deduped)
	}
}
