package prepare

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/dedup/merge"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/netset"
	"github.com/flowledger/flowledger/services/internal/pipeline"
	"github.com/flowledger/flowledger/services/internal/simulate"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// throughPipeline plays a path's datagrams, real NetFlow v9 and IPFIX, through
// the whole pipeline and returns the last versions and the truth.
func throughPipeline(t *testing.T, cfg simulate.PathConfig, dedup merge.Config) (last []*flowv1.Biflow, truths []simulate.Truth) {
	t.Helper()
	p, err := simulate.NewPath(cfg)
	if err != nil {
		t.Fatal(err)
	}
	all := pipeline.Default()
	all.Dedup = dedup
	line, err := pipeline.New(all, pipeline.Observer{Update: func(b *flowv1.Biflow) {
		if b.CloseReason != flowv1.CloseReason_CLOSE_REASON_UNSPECIFIED {
			last = append(last, proto.Clone(b).(*flowv1.Biflow))
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	exporters := p.Exporters()
	_, err = p.Run(simulate.Output{
		Datagram: func(d simulate.Datagram) error {
			line.Datagram(normalize.Datagram{Exporter: exporters[d.Exporter].Addr, Port: 50000, ReceivedNs: uint64(d.At), Payload: bytes.Clone(d.Payload)})
			return nil
		},
		Truth: func(c *simulate.Truth) error {
			truths = append(truths, *c)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	line.End()
	return last, truths
}

// asTruths is the truth in the terms in which captures have it.
func asTruths(t *testing.T, truths []simulate.Truth) (lines []testkit.Truth) {
	t.Helper()
	for i := range truths {
		var line testkit.Truth
		if err := json.Unmarshal(truths[i].AppendJSON(nil), &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

// TestVolumeAgainstTruth measures how far the ledger's volume is from the truth.
func TestVolumeAgainstTruth(t *testing.T) {
	lossless := func(hops int, change func(*simulate.PathConfig)) simulate.PathConfig {
		cfg := simulate.DefaultPath()
		cfg.Conversations, cfg.Hops = 3000, hops
		cfg.Active = []time.Duration{time.Minute}
		if change != nil {
			change(&cfg)
		}
		return cfg
	}
	lossy := func(c *simulate.PathConfig) { c.Loss = []float64{.01} }
	unequal := func(c *simulate.PathConfig) {
		c.Active = []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute}
		c.Inactive = []time.Duration{15 * time.Second, 60 * time.Second, 30 * time.Second}
	}
	sampled := func(c *simulate.PathConfig) { c.Sampling = []uint32{1000} }
	designated := merge.Default()
	designated.Policy = merge.Manual
	designated.Authorities = []merge.Match{{Exporter: netset.MustParse("10.30.255.1/32")[0]}}

	grouped := merge.Default()
	grouped.Groups = []merge.Group{{Exporters: netset.MustParse("10.30.255.0/24")}}

	twice := func(c *simulate.PathConfig) { c.Twice = 2 }
	split := merge.Default()
	split.SplitInterfaces = netset.MustParse("10.30.255.2")

	rows := [][]string{{"path", "conversations", "rows", "exact", "true volume", "error of volume", "allowed"}}
	for _, c := range []struct {
		name  string
		cfg   simulate.PathConfig
		dedup merge.Config
		// low and high bound the error of the volume, in percent.
		low, high float64
	}{
		{"1 exporter", lossless(1, nil), merge.Default(), 0, 0},
		{"2 exporters", lossless(2, nil), merge.Default(), 0, 0},
		{"3 exporters", lossless(3, nil), merge.Default(), 0, 0},
		{"5 exporters", lossless(5, nil), merge.Default(), 0, 0},
		{"3 exporters, active timeouts 60, 300, 1800 s, inactive 15, 60, 30 s", lossless(3, unequal), merge.Default(), 0, 0},
		{"the same in the other order", lossless(3, func(c *simulate.PathConfig) {
			unequal(c)
			c.Active[0], c.Active[2] = c.Active[2], c.Active[0]
		}), merge.Default(), 0, 0},
		{"3 exporters, ingress and egress on each", lossless(3, func(c *simulate.PathConfig) { c.Egress = []bool{true} }), merge.Default(), 0, 0},
		{"3 exporters, another way back", lossless(3, func(c *simulate.PathConfig) { c.Asymmetric = 1 }), merge.Default(), 0, 0},
		{"3 hops of 2 exporters (ECMP by flow)", lossless(3, func(c *simulate.PathConfig) { c.Parallel = 2 }), merge.Default(), 0, 0},
		{"3 exporters, the second translates addresses", lossless(3, func(c *simulate.PathConfig) { c.NAT = 2 }), merge.Default(), 0, 0},
		{"3 exporters, packets pass the second twice, its interfaces are split", lossless(3, twice), split, 0, 0},
		{"the same, they are not", lossless(3, twice), merge.Default(), 0, 100},
		{"3 exporters, the second and third report biflows", lossless(3, func(c *simulate.PathConfig) {
			c.Protocols = []simulate.Protocol{simulate.NetFlow9, simulate.IPFIX, simulate.IPFIX}
			c.Biflow = []bool{false, true, true}
			unequal(c)
		}), merge.Default(), 0, 0},
		{"3 exporters, clocks 2 s apart", lossless(3, func(c *simulate.PathConfig) {
			unequal(c)
			c.Skew = []time.Duration{0, 2 * time.Second, -2 * time.Second}
		}), merge.Default(), 0, 0},
		{"2 exporters, the clock of one 10 s ahead from the start", lossless(2, func(c *simulate.PathConfig) {
			c.Skew = []time.Duration{10 * time.Second, 0}
		}), merge.Default(), 0, 10},
		{"1 exporter fails after 10 min", lossless(1, func(c *simulate.PathConfig) { c.Fail = []time.Duration{10 * time.Minute} }), merge.Default(), -100, 0},
		{"2 exporters, the first fails after 10 min", lossless(2, func(c *simulate.PathConfig) { c.Fail = []time.Duration{10 * time.Minute, 0} }), merge.Default(), -.5, .5},
		{"3 exporters, 60, 300, 1800 s, the first fails after 10 min", lossless(3, func(c *simulate.PathConfig) {
			unequal(c)
			c.Fail = []time.Duration{10 * time.Minute, 0, 0}
		}), merge.Default(), -2, 2},
		{"1 exporter, 1 % of datagrams lost", lossless(1, lossy), merge.Default(), -2, 0},
		{"2 exporters, 1 % of datagrams lost", lossless(2, lossy), merge.Default(), -2, .5},
		{"3 exporters, 1 % of datagrams lost", lossless(3, lossy), merge.Default(), -2, .5},
		{"5 exporters, 1 % of datagrams lost", lossless(5, lossy), merge.Default(), -2, .5},
		{"2 exporters, 2 % of datagrams lost, conversations of 10 min at most", lossless(2, func(c *simulate.PathConfig) {
			c.Loss, c.Longest = []float64{.02}, 10*time.Minute
		}), merge.Default(), -2, .5},
		{"1 hop of 2 exporters, by turns of 1 min", lossless(1, func(c *simulate.PathConfig) { c.Parallel, c.Turns = 2, time.Minute }), merge.Default(), -5, .5},
		{"1 hop of 3 exporters, by turns of 1 min", lossless(1, func(c *simulate.PathConfig) { c.Parallel, c.Turns = 3, time.Minute }), merge.Default(), -5, .5},
		{"1 hop of 2 exporters, by turns of 1 min, conversations of 10 min at most", lossless(1, func(c *simulate.PathConfig) {
			c.Parallel, c.Turns, c.Longest = 2, time.Minute, 10*time.Minute
		}), merge.Default(), -5, .5},
		{"1 hop of 2 exporters, by packet, in one group", lossless(1, func(c *simulate.PathConfig) { c.Parallel, c.PerPacket = 2, true }), grouped, 0, 0},
		{"1 hop of 2 exporters, by packet, in no group", lossless(1, func(c *simulate.PathConfig) { c.Parallel, c.PerPacket = 2, true }), merge.Default(), -100, 0},
		{"1 exporter, 1:1000, designated", lossless(1, sampled), designated, -10, 10},
		{"2 exporters, 1:1000, one designated", lossless(2, sampled), designated, -10, 10},
		{"5 exporters, 1:1000, one designated", lossless(5, sampled), designated, -10, 10},
		{"5 exporters, 1:1000 by hash, one designated", lossless(5, func(c *simulate.PathConfig) {
			sampled(c)
			c.HashSampling = true
		}), designated, -10, 10},
		{"2 exporters, the second 1:1000", lossless(2, func(c *simulate.PathConfig) { c.Sampling = []uint32{1, 1000} }), merge.Default(), -10, 10},
		{"2 exporters, the first 1:100 and 60 s, the second 1800 s", lossless(2, func(c *simulate.PathConfig) {
			c.Sampling, c.Active = []uint32{100, 1}, []time.Duration{time.Minute, 30 * time.Minute}
		}), merge.Default(), -10, 100},
		{"2 exporters, the second 1:1000, the first designated", lossless(2, func(c *simulate.PathConfig) { c.Sampling = []uint32{1, 1000} }), designated, 0, 0},
	} {
		last, truths := throughPipeline(t, c.cfg, c.dedup)
		want, got := volumesOf(truths), volumes{}
		var estimate float64
		for _, b := range last {
			got.addBiflow(b)
			estimate += float64(b.ClientBytes+b.ServerBytes) * float64(max(1, b.SamplingRate))
		}
		exact := 0
		for k, v := range want {
			if got[k] == v {
				exact++
			}
		}
		diff := 100 * (estimate/float64(want.total()) - 1)
		allowed := "0"
		if c.low != 0 || c.high != 0 {
			allowed = fmt.Sprintf("%+g to %+g %%", c.low, c.high)
		}
		if diff < c.low || diff > c.high || math.IsNaN(diff) {
			t.Errorf("%s: the volume is off by %+.4f %%, allowed is %s", c.name, diff, allowed)
		}
		if c.low == 0 && c.high == 0 && exact != len(want) {
			t.Errorf("%s: %d of %d conversations have their exact volume", c.name, exact, len(want))
		}
		if c.low == 0 && c.high == 0 && len(last) != len(want) {
			t.Errorf("%s: %d conversations are in %d rows", c.name, len(want), len(last))
		}
		shown := "0"
		if diff != 0 {
			shown = fmt.Sprintf("%+.3f %%", diff)
		}
		exactly := fmt.Sprintf("%.2f %%", 100*float64(exact)/float64(len(want)))
		if len(c.cfg.Sampling) > 0 {
			exactly = "-"
		}
		rows = append(rows, []string{c.name, fmt.Sprint(len(want)), fmt.Sprint(len(last)), exactly, fmt.Sprintf("%.1f GB", float64(want.total())/1e9), shown, allowed})
	}
	checkTable(t, "volume", rows)
}
