package prepare

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/dedup/merge"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/netset"
	"github.com/flowledger/flowledger/services/internal/simulate"
	"github.com/flowledger/flowledger/services/stitch/biflow"
)

var (
	cases     = flag.Int("cases", 10_000, "random paths to try for each invariant")
	firstSeed = flag.Uint64("seed", 1, "seed of the first path")
)

// forEachCase tries the cases, several at a time. What fails names its seed: `-run NAME -cases 1 -seed N` repeats it.
func forEachCase(t *testing.T, try func(t *caseT)) {
	n := uint64(max(1, *cases))
	var next atomic.Uint64
	var failed atomic.Int32
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for failed.Load() < 3 {
				i := next.Add(1) - 1
				if i >= n {
					return
				}
				seed := *firstSeed + i
				c := &caseT{T: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 7))}
				try(c)
				if c.bad {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
}

// caseT is one random path under test.
type caseT struct {
	*testing.T
	seed uint64
	rng  *rand.Rand
	bad  bool
	// split: packets pass an exporter twice, which its reports alone cannot tell.
	split bool
}

// failf reports a broken invariant.
func (c *caseT) failf(cfg simulate.PathConfig, format string, args ...any) {
	if c.bad {
		return
	}
	c.bad = true
	c.Errorf("seed %d: %s\npath %+v", c.seed, fmt.Sprintf(format, args...), cfg)
}

// lossless draws a path on which nothing is lost: whatever is reported, and by
// whom, must add up to the truth.
func (c *caseT) lossless() simulate.PathConfig {
	r := c.rng
	cfg := simulate.DefaultPath()
	cfg.Seed = c.seed
	cfg.Conversations = 1 + r.IntN(6)
	cfg.Duration = pick(r, time.Second, time.Minute, 10*time.Minute)
	cfg.Longest = pick(r, 2*time.Minute, 20*time.Minute, time.Hour)
	cfg.Hops = pick(r, 1, 2, 2, 3, 3, 5)
	cfg.Parallel = pick(r, 1, 1, 1, 2)
	cfg.Asymmetric = pick(r, 0, 0, .5, 1)
	if cfg.Hops > 1 {
		cfg.NAT = pick(r, 0, 0, 0, 1, 2)
	}
	cfg.Active, cfg.Inactive, cfg.Skew, cfg.Jitter, cfg.Egress = nil, nil, nil, nil, nil
	for range 5 {
		cfg.Active = append(cfg.Active, pick[time.Duration](r, 60, 300, 1800)*time.Second)
		cfg.Inactive = append(cfg.Inactive, pick[time.Duration](r, 10, 15, 30, 60)*time.Second)
		cfg.Skew = append(cfg.Skew, time.Duration(r.IntN(1800)-900)*time.Millisecond)
		cfg.Jitter = append(cfg.Jitter, pick(r, 0, 0, 200*time.Millisecond, 2*time.Second))
		cfg.Egress = append(cfg.Egress, r.IntN(4) == 0)
	}
	if hop := 1 + r.IntN(cfg.Hops); r.IntN(4) == 0 && hop != cfg.NAT {
		cfg.Twice = hop
	}
	c.split = cfg.Twice > 0
	return cfg
}

// any draws a path on which anything may happen.
func (c *caseT) any() simulate.PathConfig {
	r := c.rng
	cfg := c.lossless()
	for range 5 {
		cfg.Loss = append(cfg.Loss, pick(r, 0, 0, .01, .2))
		cfg.Sampling = append(cfg.Sampling, pick[uint32](r, 1, 1, 1, 10, 1000))
		cfg.Fail = append(cfg.Fail, pick(r, 0, 0, 0, time.Duration(r.Int64N(int64(20*time.Minute)))))
	}
	cfg.HashSampling = r.IntN(2) == 0
	switch r.IntN(4) {
	case 0:
		cfg.PerPacket, cfg.Twice = true, 0
	case 1:
		cfg.Twice = 0
		cfg.Turns = pick(r, 10*time.Second, time.Minute, 5*time.Minute)
	}
	for i := range cfg.Skew {
		cfg.Skew[i] *= time.Duration(pick(r, 1, 1, 5, 100))
	}
	return cfg
}

// allExporters are the exporters of every path, and all others.
var allExporters = netset.MustParse("0.0.0.0/0")

// dedup draws a configuration of dedup.
func (c *caseT) dedup() merge.Config {
	cfg := merge.Default()
	cfg.Policy = pick(c.rng, merge.Max, merge.Max, merge.First, merge.Manual)
	if cfg.Policy == merge.Manual {
		cfg.Authorities = []merge.Match{{Exporter: netset.MustParse(fmt.Sprintf("10.30.255.%d/32", 1+c.rng.IntN(5)))[0]}}
	}
	if c.split {
		cfg.SplitInterfaces = allExporters
	}
	return cfg
}

// TestEveryReportIsInOneOutput is I1: each accepted report is in exactly one
// output's provenance, with the counts it had.
func TestEveryReportIsInOneOutput(t *testing.T) {
	forEachCase(t, func(c *caseT) {
		cfg := c.any()
		reports, _ := play(t, cfg)
		told := make(map[uint64]*flowv1.Flow, len(reports))
		for _, f := range reports {
			told[f.RecordId] = f
		}
		seen := make(map[uint64]int, len(reports))
		dedup := c.dedup()
		ch := newChain(dedup, biflow.Default())
		ch.flow = func(f *flowv1.Flow) {
			if !f.Late {
				seen[f.RecordId]++
				if r := told[f.RecordId]; r == nil || f.Bytes > r.Bytes || f.Packets > r.Packets {
					c.failf(cfg, "output %x counts more than its report says", f.RecordId)
				}
			} else if f.Bytes|f.Packets != 0 {
				c.failf(cfg, "late output %x counts volume", f.RecordId)
			}
			for _, r := range f.Reporters {
				seen[r.RecordId]++
				if o := told[r.RecordId]; o == nil || o.Bytes != r.Bytes || o.Packets != r.Packets ||
					!bytes.Equal(o.SamplerAddress, r.SamplerAddress) || o.TcpFlags != r.TcpFlags || o.InIf != r.InIf {
					c.failf(cfg, "reporter %x does not say what its report said", r.RecordId)
				}
			}
		}
		ch.run(t, dedup, biflow.Default(), reports, -1)
		for id := range told {
			if seen[id] != 1 {
				c.failf(cfg, "report %x is in the provenance of %d outputs", id, seen[id])
			}
		}
	})
}

// span is the time that an output counts of one observation point.
type span struct {
	point      string
	start, end int64 // milliseconds
	from       uint64
}

// TestNoInstantIsCountedTwice is I2: each instant of a flow direction is counted
// from one observation point. What is counted of a report is taken for its end,
// as volume already counted is taken off its beginning.
func TestNoInstantIsCountedTwice(t *testing.T) {
	forEachCase(t, func(c *caseT) {
		cfg := c.any()
		cfg.PerPacket = false
		reports, _ := play(t, cfg)
		told := make(map[uint64]*flowv1.Flow, len(reports))
		for _, f := range reports {
			told[f.RecordId] = f
		}
		spans := map[flow.Key][]span{}
		dedup := c.dedup()
		ch := newChain(dedup, biflow.Default())
		ch.flow = func(f *flowv1.Flow) {
			if f.Late || f.Bytes == 0 {
				return
			}
			r := told[f.RecordId]
			length := int64(r.TimeFlowEndNs-r.TimeFlowStartNs) / 1e6
			counted := int64(float64(length) * float64(f.Bytes) / float64(r.Bytes))
			end := int64(r.TimeFlowEndNs) / 1e6
			k := flow.KeyOf(f)
			spans[k] = append(spans[k], span{fmt.Sprint(f.SamplerAddress, f.Direction), end - counted, end, f.RecordId})
		}
		ch.run(t, dedup, biflow.Default(), reports, -1)
		for k, all := range spans {
			slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.start, b.start) })
			for i, a := range all {
				for _, b := range all[i+1:] {
					if b.point != a.point && b.start < a.end-2 {
						c.failf(cfg, "%v: %d ms are counted from %x and %x", k, min(a.end, b.end)-b.start, a.from, b.from)
					}
				}
			}
		}
	})
}

// TestLosslessPathsAddUp is the other half of I2: where nothing is lost, the
// ledger holds the truth to the byte, whatever the timeouts, clocks and ways.
func TestLosslessPathsAddUp(t *testing.T) {
	forEachCase(t, func(c *caseT) {
		cfg := c.lossless()
		reports, truths := play(t, cfg)
		c.compare(cfg, volumesOf(truths), ledger(t, c.dedup(), reports))
	})
}

// compare holds a ledger against what it should be.
func (c *caseT) compare(cfg simulate.PathConfig, want, got volumes) {
	for k, w := range want {
		if g := got[k]; g != w {
			c.failf(cfg, "%v\nwant %+v\n got %+v", k, w, g)
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			c.failf(cfg, "%v was never spoken", k)
		}
	}
}

// delayed is the reports with other times of reception.
func delayed(reports []*flowv1.Flow, by func(*flowv1.Flow) time.Duration) []*flowv1.Flow {
	out := make([]*flowv1.Flow, len(reports))
	for i, f := range reports {
		out[i] = proto.Clone(f).(*flowv1.Flow)
		out[i].TimeReceivedNs += uint64(by(f))
	}
	return out
}

// TestOrderOfArrivalChangesNoTotal is I3: in whatever order reports arrive
// within the hold, and however late one exporter is within the late horizon, the
// totals are the same.
func TestOrderOfArrivalChangesNoTotal(t *testing.T) {
	forEachCase(t, func(c *caseT) {
		cfg := c.lossless()
		cfg.Jitter = nil
		reports, truths := play(t, cfg)
		dedup := c.dedup()
		want := volumesOf(truths)
		within := delayed(reports, func(*flowv1.Flow) time.Duration {
			return time.Duration(c.rng.Int64N(int64(dedup.Hold - 2*time.Second)))
		})
		c.compare(cfg, want, ledger(t, dedup, within))
		if c.bad {
			return
		}
		// An exporter that is late by more than its silence may last must not be
		// the authority: then others come first, and it is only a reporter.
		cfg.Active = []time.Duration{time.Minute}
		reports, _ = play(t, cfg)
		slow, late := byte(1+c.rng.IntN(cfg.Hops)), 3*time.Minute+time.Duration(c.rng.Int64N(int64(22*time.Minute)))
		behind := delayed(reports, func(f *flowv1.Flow) time.Duration {
			if cfg.Hops > 1 && f.SamplerAddress[3] == slow {
				return late
			}
			return 0
		})
		c.compare(cfg, want, ledger(t, dedup, behind))
	})
}

// TestArrivalWithinTheHoldKeepsTheAuthority is I3 where exporters lose records:
// who is chosen does not depend on who came first.
func TestArrivalWithinTheHoldKeepsTheAuthority(t *testing.T) {
	forEachCase(t, func(c *caseT) {
		cfg := c.lossless()
		cfg.Jitter, cfg.Asymmetric = nil, 0
		if c.rng.IntN(2) == 0 {
			cfg.Egress, cfg.Parallel = nil, 1
			cfg.Sampling = []uint32{10, 1000, 2, 1, 100}
		}
		reports, _ := play(t, cfg)
		once := map[string]int{}
		name := func(f *flowv1.Flow) string { return fmt.Sprint(flow.KeyOf(f)) }
		for _, f := range reports {
			once[name(f)+fmt.Sprint(f.SamplerAddress, f.Direction)]++
		}
		// One report of each point, all within the hold: only the policy decides.
		var single []*flowv1.Flow
		start := map[string]uint64{}
		for _, f := range reports {
			if once[name(f)+fmt.Sprint(f.SamplerAddress, f.Direction)] == 1 {
				if _, ok := start[name(f)]; !ok {
					start[name(f)] = f.TimeReceivedNs
				}
				g := proto.Clone(f).(*flowv1.Flow)
				g.TimeReceivedNs = start[name(f)]
				g.Bytes -= g.Bytes * uint64(c.rng.IntN(30)) / 100 // what a router drops, the next does not see
				single = append(single, g)
			}
		}
		dedup := merge.Default()
		if c.split {
			dedup.SplitInterfaces = allExporters
		}
		arrive := func() volumes {
			return ledger(t, dedup, delayed(single, func(*flowv1.Flow) time.Duration {
				return time.Duration(c.rng.Int64N(int64(dedup.Hold - time.Second)))
			}))
		}
		c.compare(cfg, arrive(), arrive())
	})
}

// TestReplayIsTheSameByteForByte is I4, with a snapshot and its restoration
// anywhere in the second run, and the batches in another order.
func TestReplayIsTheSameByteForByte(t *testing.T) {
	forEachCase(t, func(c *caseT) {
		cfg := c.any()
		reports, _ := play(t, cfg)
		dedup, stitch := c.dedup(), biflow.Default()
		a, b := newChain(dedup, stitch), newChain(dedup, stitch)
		a.run(t, dedup, stitch, reports, -1)
		cut := c.rng.IntN(len(reports) + 1)
		c.rng.Shuffle(len(reports), func(i, j int) { reports[i], reports[j] = reports[j], reports[i] })
		b.run(t, dedup, stitch, reports, cut)
		if !bytes.Equal(a.log, b.log) {
			c.failf(cfg, "the replay, restored before report %d of %d, says something else", cut, len(reports))
		}
	})
}
