package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/stitch/biflow"
)

// timeline is conversations whose ports alone tell nothing true: the registry takes
// the clients for servers. A policy knows better, from its tick on, until it is withdrawn.
type timeline struct {
	first, last         eventtime.Tick
	declared, withdrawn eventtime.Tick
}

const pairsPerTick = 7

// flows are those of a tick and of one of its pairs of hosts.
func (tl *timeline) flows(tick eventtime.Tick, pair int) []*flowv1.Flow {
	client, server := []byte{10, 1, byte(tick), byte(pair)}, []byte{10, 2, byte(tick), byte(pair)}
	f := flowv1.Flow{SrcAddr: client, SrcPort: 443, DstAddr: server, DstPort: 40000, Proto: flow.ProtoUDP, Bytes: 100, Packets: 1,
		SamplerAddress: []byte{192, 0, 2, 1}, RecordId: uint64(tick)*2*pairsPerTick + uint64(2*pair),
		TimeReceivedNs: tick.Ns(), TimeFlowStartNs: tick.Ns(), TimeFlowEndNs: tick.Ns()}
	back := flowv1.Flow{SrcAddr: server, SrcPort: 40000, DstAddr: client, DstPort: 443, Proto: f.Proto, Bytes: 200, Packets: 2,
		SamplerAddress: f.SamplerAddress, RecordId: f.RecordId + 1, TimeReceivedNs: tick.Ns(), TimeFlowStartNs: tick.Ns(), TimeFlowEndNs: tick.Ns()}
	return []*flowv1.Flow{&f, &back}
}

// declaration declares the servers.
func declaration() *flowv1.Policy {
	return &flowv1.Policy{Version: 1, Services: []*flowv1.KnownService{
		{Addr: []byte{10, 2, 0, 0}, PrefixLength: 16, Proto: 17, Ports: []*flowv1.PortRange{{First: 40000, Last: 40000}}}}}
}

// offline is what one table says of all.
func (tl *timeline) offline(t *testing.T) (said []string) {
	table := biflow.New(Default().Stitch)
	var in biflow.Input
	var out biflow.Output
	hear := func(_ uint64, delimited []byte) { said = append(said, string(delimited)) }
	run := func(tick eventtime.Tick) {
		table.TickWire(tick, &in, &out)
		out.Each(hear)
		in.Reset()
	}
	for tick := tl.first; tick <= tl.last; tick++ {
		for table.NextTimer() < tick {
			run(table.NextTimer())
		}
		switch tick {
		case tl.declared:
			if err := table.Policy(declaration()); err != nil {
				t.Fatal(err)
			}
		case tl.withdrawn:
			if err := table.Policy(nil); err != nil {
				t.Fatal(err)
			}
		}
		for pair := range pairsPerTick {
			for _, f := range tl.flows(tick, pair) {
				in.Add(flow.AppendDelimited(nil, f))
			}
		}
		run(tick)
	}
	table.EndWire(tl.last+1, &out)
	out.Each(hear)
	slices.Sort(said)
	return said
}

// online is what stitch says of all in so many partitions; it is stopped and begun
// anew in between.
func (tl *timeline) online(t *testing.T, partitions int) (said []string) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	cfg := Default()
	cfg.Kafka.Brokers, cfg.Kafka.Partitions.Conversations = cluster.ListenAddrs(), partitions
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := stage.EnsureTopics(ctx, cfg.Kafka); err != nil {
		t.Fatal(err)
	}
	log := stage.NewPolicyLog(cfg.Kafka)
	defer log.Close()
	declare := func(version int64, from eventtime.Tick, p *flowv1.Policy) {
		raw, err := p.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		if p, err := log.Append(ctx, version, from, raw); err != nil || p.From != from {
			t.Fatal(p.From, from, err)
		}
	}
	declare(1, tl.declared, declaration())
	stop := stitching(t, cfg)
	defer func() { stop() }()
	sources := dedupSources(t, ctx, cfg, partitions)
	for tick := tl.first; tick <= tl.last; tick++ {
		for pair := range pairsPerTick {
			for _, f := range tl.flows(tick, pair) {
				if err := sources[pair%partitions].Append(0, pair%partitions, f); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, s := range sources {
			if err := s.EndTick(tick); err != nil {
				t.Fatal(err)
			}
		}
		switch tick {
		case tl.first + 2:
			declare(2, tl.withdrawn, &flowv1.Policy{Version: 2})
		case tl.declared + 1, tl.withdrawn - 1:
			stop()
			stop = stitching(t, cfg)
		}
	}
	for _, s := range sources {
		if err := s.Close(ctx, stage.ByeEndOfInput); err != nil {
			t.Fatal(err)
		}
	}
	return biflowsOf(t, ctx, cfg)
}

// stitching runs stitch until stop is called.
func stitching(t *testing.T, cfg Config) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	log, reg := slog.New(slog.DiscardHandler), prometheus.NewRegistry()
	go func() { done <- stage.Run(ctx, cfg.Kafka, spec(cfg, newMetrics(reg, log)), reg, log) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
}

// dedupSources stand for dedup's partitions.
func dedupSources(t *testing.T, ctx context.Context, cfg Config, partitions int) (sources []*stage.Source) {
	for p := range partitions {
		s, err := stage.NewSource(cfg.Kafka, fmt.Sprintf("dedup/%d", p), []string{stage.FlowsDeduped}, stage.SourceOptions{Block: true}, nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = s.Run(ctx) }()
		sources = append(sources, s)
	}
	return sources
}

// biflowsOf reads all biflows, up to the last words.
func biflowsOf(t *testing.T, ctx context.Context, cfg Config) (said []string) {
	peek := stage.NewPeek(cfg.Kafka)
	defer peek.Close()
	for p := range cfg.Kafka.Partitions.Hosts {
		next, over := int64(0), map[string]bool{}
		seen := map[string]int64{}
		for len(over) < cfg.Kafka.Partitions.Conversations {
			var err error
			next, err = peek.Read(ctx, stage.Biflows, p, next, time.Second, func(m *stage.Message) error {
				if m.Bye == stage.ByeEndOfInput {
					over[m.Source] = true
				}
				for i, rest := int64(0), m.Value; len(rest) > 0; i++ {
					_, after, err := flow.Next(rest)
					if err != nil {
						return err
					}
					if m.Seq+i >= seen[m.Source] { // else it was written twice
						said = append(said, string(rest[:len(rest)-len(after)]))
						seen[m.Source]++
					}
					rest = after
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	slices.Sort(said)
	return said
}

// TestPolicyHoldsFromItsTick: in the middle of a stream, from the same tick in all
// partitions, whoever is stopped meanwhile, byte for byte as in one table.
func TestPolicyHoldsFromItsTick(t *testing.T) {
	first := eventtime.TickOf(uint64(time.Now().Add(time.Hour).UnixNano())) // so that policies are ahead of it
	tl := &timeline{first: first, declared: first + 20, withdrawn: first + 40, last: first + 60}
	want := tl.offline(t)
	counts := map[bool]int{}
	for _, b := range want {
		var m flowv1.Biflow
		raw, _, _ := flow.Next([]byte(b))
		if err := m.UnmarshalVT(raw); err != nil {
			t.Fatal(err)
		}
		if m.Version == 1 {
			counts[m.ServerPort == 40000]++
		}
	}
	if counts[true] != 20*pairsPerTick || counts[false] != 41*pairsPerTick {
		t.Errorf("%d conversations have the declared server, %d the registry's", counts[true], counts[false])
	}
	for _, partitions := range []int{1, 3} {
		if got := tl.online(t, partitions); !slices.Equal(got, want) {
			t.Errorf("in %d partitions: %d biflows are not the %d of one table", partitions, len(got), len(want))
		}
	}
}

// A policy that is none is refused.
func TestPolicyThatIsNone(t *testing.T) {
	c := newCore(Default(), 0).(stage.PolicyCore)
	if err := c.Policy([]byte{0xff}); err == nil || !strings.Contains(err.Error(), "cannot decode the policy") {
		t.Errorf("got %v", err)
	}
	raw, err := (&flowv1.Policy{Services: []*flowv1.KnownService{{Proto: 1}}}).MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Policy(raw); err == nil || !strings.Contains(err.Error(), "services[0]") {
		t.Errorf("got %v", err)
	}
}
