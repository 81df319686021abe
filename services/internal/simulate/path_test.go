package simulate

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// pathRun is what a path said.
type pathRun struct {
	reports []*flowv1.Flow
	truths  []Truth
	raw     []byte
	arrived int
	last    int64
}

func runPath(t *testing.T, cfg PathConfig) (r pathRun) {
	t.Helper()
	p, err := NewPath(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Run(Output{
		Datagram: func(d Datagram) error {
			if d.At < r.last {
				t.Fatalf("a datagram arrives at %d, after one at %d", d.At, r.last)
			}
			r.last = d.At
			r.arrived++
			r.raw = append(r.raw, d.Payload...)
			if cfg.Protocols[0] != Reports {
				return nil
			}
			fs, err := DecodeReports(d)
			r.reports = append(r.reports, fs...)
			return err
		},
		Truth: func(c *Truth) error {
			r.truths = append(r.truths, *c)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func reportsPath() PathConfig {
	cfg := DefaultPath()
	cfg.Protocols, cfg.Conversations, cfg.Longest = []Protocol{Reports}, 300, 10*time.Minute
	return cfg
}

// byPoint adds up what each observation point reports of each flow.
func byPoint(reports []*flowv1.Flow) map[byte]map[flow.Key]uint64 {
	sums := map[byte]map[flow.Key]uint64{}
	for _, f := range reports {
		at := f.SamplerAddress[3]
		if sums[at] == nil {
			sums[at] = map[flow.Key]uint64{}
		}
		sums[at][flow.KeyOf(f)] += f.Bytes
	}
	return sums
}

// TestPathEveryExporterSeesTheTruth: without loss, every exporter on the way
// reports every byte, whatever its timeouts.
func TestPathEveryExporterSeesTheTruth(t *testing.T) {
	r := runPath(t, reportsPath())
	var want, got uint64
	for _, c := range r.truths {
		want += c.ClientBytes + c.ServerBytes
		if c.Exporters != 3 {
			t.Fatalf("%d exporters report %+v", c.Exporters, c)
		}
	}
	for at, flows := range byPoint(r.reports) {
		got = 0
		for _, n := range flows {
			got += n
		}
		if got != want {
			t.Errorf("exporter %d reports %d bytes of %d", at, got, want)
		}
	}
	if len(r.truths) != 300 {
		t.Errorf("%d conversations", len(r.truths))
	}
}

// TestPathIsReproducible: the same configuration gives the same bytes, another
// seed others.
func TestPathIsReproducible(t *testing.T) {
	cfg := reportsPath()
	cfg.Protocols = []Protocol{NetFlow9, IPFIX, NetFlow5}
	cfg.Loss, cfg.Jitter, cfg.Sampling = []float64{.1}, []time.Duration{time.Second}, []uint32{1, 10}
	a, b := runPath(t, cfg), runPath(t, cfg)
	if !bytes.Equal(a.raw, b.raw) {
		t.Error("two runs differ")
	}
	cfg.Seed++
	if c := runPath(t, cfg); bytes.Equal(a.raw, c.raw) {
		t.Error("another seed changes nothing")
	}
}

// TestPathWays: conversations come back another way, share parallel exporters
// by conversation or by packet.
func TestPathWays(t *testing.T) {
	cfg := reportsPath()
	cfg.Hops, cfg.Asymmetric = 2, 1
	for at, flows := range byPoint(runPath(t, cfg).reports) {
		for k := range flows {
			c, _ := k.Conversation()
			other := k
			other.Src, other.Dst = k.Dst, k.Src
			if _, both := flows[other]; both {
				t.Fatalf("exporter %d reports both ways of %v", at, c)
			}
		}
	}
	cfg = reportsPath()
	cfg.Hops, cfg.Parallel = 1, 2
	byFlow := byPoint(runPath(t, cfg).reports)
	for k := range byFlow[1] {
		if _, both := byFlow[2][k]; both {
			t.Fatal("a flow passes both exporters of a hop")
		}
	}
	cfg.PerPacket = true
	shared := 0
	byPacket := byPoint(runPath(t, cfg).reports)
	for k := range byPacket[1] {
		if _, both := byPacket[2][k]; both {
			shared++
		}
	}
	if len(byFlow[1]) < 100 || len(byFlow[2]) < 100 || shared < 100 {
		t.Errorf("%d and %d flows pass one of two exporters, %d by packet both", len(byFlow[1]), len(byFlow[2]), shared)
	}
}

// TestPathTurns: at any time a path that changes back and forth passes one of the
// exporters that are side by side.
func TestPathTurns(t *testing.T) {
	cfg := reportsPath()
	cfg.Hops, cfg.Parallel, cfg.Turns = 1, 2, time.Minute
	both := 0
	byTurn := byPoint(runPath(t, cfg).reports)
	for k := range byTurn[1] {
		if _, ok := byTurn[2][k]; ok {
			both++
		}
	}
	if both < 10 {
		t.Errorf("%d flows pass one exporter after the other", both)
	}
	for _, f := range runPath(t, cfg).reports {
		turn := func(ns uint64) uint64 { return ns / uint64(cfg.Turns) % 2 }
		if at := uint64(f.SamplerAddress[3]) - 1; turn(f.TimeFlowStartNs) != at || turn(f.TimeFlowEndNs) != at {
			t.Fatalf("exporter %d reports what passed in the turn of the other: %v", at+1, f)
		}
	}
}

// TestPathHashSampling: samplers with a hash take the same packets, others do not.
func TestPathHashSampling(t *testing.T) {
	cfg := reportsPath()
	cfg.Hops, cfg.Active, cfg.Sampling = 2, []time.Duration{time.Minute}, []uint32{100}
	differ := func() (n int) {
		sums := byPoint(runPath(t, cfg).reports)
		for k, v := range sums[1] {
			if sums[2][k] != v {
				n++
			}
		}
		return n
	}
	if n := differ(); n < 20 {
		t.Errorf("independent samplers differ in %d flows only", n)
	}
	cfg.HashSampling = true
	if n := differ(); n != 0 {
		t.Errorf("samplers by hash differ in %d flows", n)
	}
}

// TestPathTranslation: before and behind the translator the tuples differ, and
// its own reports link them.
func TestPathTranslation(t *testing.T) {
	cfg := reportsPath()
	cfg.NAT = 2
	r := runPath(t, cfg)
	zone := map[flow.Endpoint]bool{} // clients behind the translator
	for _, f := range r.reports {
		if f.SamplerAddress[3] == 2 {
			zone[flow.Endpoint{Addr: flow.AddrFrom(f.PostSrcAddr), Port: uint16(f.PostSrcPort)}] = true
		}
	}
	outsideOnly := 0
	for _, f := range r.reports {
		k := flow.KeyOf(f)
		if f.SamplerAddress[3] == 3 && k.Src.Addr.Is4() && k.Src.Addr[12] == 203 {
			outsideOnly++
			if !zone[flow.Endpoint{Addr: k.Src.Addr, Port: uint16(f.SrcPort)}] {
				t.Fatalf("the translator does not tell of %v", k)
			}
		}
		if f.SamplerAddress[3] == 1 && (k.Src.Addr[12] == 203 || k.Dst.Addr[12] == 203) && k.Src.Addr.Is4() {
			t.Fatalf("%v is seen before the translator", k)
		}
	}
	if outsideOnly < 200 || len(r.truths) < 500 {
		t.Errorf("%d reports behind the translator, %d conversations in both zones", outsideOnly, len(r.truths))
	}
}

// TestPathTwice: the exporter that packets pass twice tells of them at two interfaces, there
// and back, and of each the whole.
func TestPathTwice(t *testing.T) {
	cfg := reportsPath()
	cfg.Twice = 2
	count, other := map[uint32]uint64{}, uint64(0)
	for _, f := range runPath(t, cfg).reports {
		switch f.SamplerAddress[3] {
		case 2:
			count[f.InIf] += f.Packets
		case 3:
			other += f.Packets
		}
	}
	there, back := count[ifClients], count[ifServersSide]
	if len(count) != 4 || count[ifBack] != there || count[ifAround] != back || there+back != other || back == 0 {
		t.Errorf("packets by interface are %v, of both ways %d", count, other)
	}
}

// TestPathBiflow: an exporter of biflows reports what another does, most of it in pairs of
// the two ways that end at once.
func TestPathBiflow(t *testing.T) {
	cfg := reportsPath()
	cfg.Hops, cfg.Biflow = 2, []bool{false, true}
	type sums [2]uint64 // bytes, packets
	by := map[byte]map[flow.Key]sums{1: {}, 2: {}}
	pairs := map[uint64][]*flowv1.Flow{}
	for _, f := range runPath(t, cfg).reports {
		s := by[f.SamplerAddress[3]][flow.KeyOf(f)]
		by[f.SamplerAddress[3]][flow.KeyOf(f)] = sums{s[0] + f.Bytes, s[1] + f.Packets}
		if f.PairId != 0 {
			pairs[f.PairId] = append(pairs[f.PairId], f)
		}
	}
	if diff := cmp.Diff(by[1], by[2]); diff != "" || len(pairs) < 200 {
		t.Errorf("%d pairs; uniflows less biflows: %s", len(pairs), diff)
	}
	for _, p := range pairs {
		if len(p) != 2 || p[0].TimeFlowEndNs != p[1].TimeFlowEndNs || p[0].SrcPort != p[1].DstPort || p[0].SamplerAddress[3] != 2 {
			t.Fatalf("no pair: %v", p)
		}
	}
}

// TestPathFailureLossSkew: a dead exporter is silent, lost datagrams are missing,
// clocks are off by what was said.
func TestPathFailureLossSkew(t *testing.T) {
	cfg := reportsPath()
	cfg.Hops, cfg.Fail = 2, []time.Duration{5 * time.Minute, 0}
	dead := uint64(cfg.Start.Add(5*time.Minute + time.Second).UnixNano())
	after := map[byte]int{}
	for _, f := range runPath(t, cfg).reports {
		if f.TimeReceivedNs > dead {
			after[f.SamplerAddress[3]]++
		}
	}
	if after[1] != 0 || after[2] < 100 {
		t.Errorf("after the failure the dead exporter reports %d flows, the other %d", after[1], after[2])
	}
	cfg = reportsPath()
	whole := runPath(t, cfg).arrived
	cfg.Loss = []float64{.2}
	if got := runPath(t, cfg).arrived; got < whole*70/100 || got > whole*90/100 {
		t.Errorf("%d of %d datagrams arrive, one in five is lost", got, whole)
	}
	cfg = reportsPath()
	cfg.Hops, cfg.Active, cfg.Skew = 2, []time.Duration{time.Minute}, []time.Duration{0, 2 * time.Second}
	starts := map[flow.Key]uint64{}
	compared := 0
	for _, f := range runPath(t, cfg).reports {
		k := flow.KeyOf(f)
		if f.SamplerAddress[3] == 1 && starts[k] == 0 {
			starts[k] = f.TimeFlowStartNs
		} else if first := starts[k]; f.SamplerAddress[3] == 2 && first > 0 {
			if f.TimeFlowStartNs < first+2e9 {
				t.Fatalf("%v starts %d ns after the other's", k, f.TimeFlowStartNs-first)
			}
			compared++
		}
	}
	if compared < 300 {
		t.Errorf("%d compared", compared)
	}
}

// TestPathValidateHelps: what is wrong is named, with what would be right.
func TestPathValidateHelps(t *testing.T) {
	for _, c := range []struct {
		change func(*PathConfig)
		want   string
	}{
		{func(c *PathConfig) { c.Conversations = 0 }, "conversations is 0"},
		{func(c *PathConfig) { c.Duration = 0 }, "duration is 0s"},
		{func(c *PathConfig) { c.Longest = time.Second }, "longest is 1s"},
		{func(c *PathConfig) { c.Hops = 65 }, "65 hops of 1 exporters"},
		{func(c *PathConfig) { c.Asymmetric = 2 }, "asymmetric is 2"},
		{func(c *PathConfig) { c.NAT = 4 }, "nat is 4"},
		{func(c *PathConfig) { c.Protocols = []Protocol{"v8"} }, `protocol is "v8"`},
		{func(c *PathConfig) { c.Protocols, c.NAT = []Protocol{NetFlow5}, 1 }, "protocol is v5"},
		{func(c *PathConfig) { c.Loss = []float64{1} }, "loss is 1"},
		{func(c *PathConfig) { c.Active = []time.Duration{0} }, "active is 0s"},
		{func(c *PathConfig) { c.Skew = []time.Duration{48 * time.Hour} }, "skew is 48h"},
	} {
		cfg := DefaultPath()
		c.change(&cfg)
		if _, err := NewPath(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v does not say %q", err, c.want)
		}
	}
	cfg := DefaultPath()
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
}
