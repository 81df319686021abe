package stage

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/flowledger/flowledger/services/internal/conf"
)

func TestDefaultIsValid(t *testing.T) {
	cfg := Default()
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	for _, f := range conf.Fields(&cfg) {
		if f.Doc == "" {
			t.Errorf("key %s has no doc", f.Path)
		}
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	f := func(key string, change func(*Config)) {
		t.Helper()
		cfg := Default()
		change(&cfg)
		err := cfg.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), key+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v", key, err)
		}
	}
	f("brokers", func(c *Config) { c.Brokers = nil })
	f("brokers", func(c *Config) { c.Brokers = []string{"kafka"} })
	f("topic_prefix", func(c *Config) { c.TopicPrefix = "a/b" })
	f("topic_prefix", func(c *Config) { c.TopicPrefix = strings.Repeat("x", 101) })
	f("partitions.conversations", func(c *Config) { c.Partitions.Conversations = 0 })
	f("partitions.hosts", func(c *Config) { c.Partitions.Hosts = -1 })
	f("partitions.exporters", func(c *Config) { c.Partitions.Exporters = 10001 })
	f("replication_factor", func(c *Config) { c.ReplicationFactor = 0 })
	f("group", func(c *Config) { c.Group = "" })
	f("compression", func(c *Config) { c.Compression = "brotli" })
	f("snapshot_interval", func(c *Config) { c.SnapshotInterval = time.Millisecond })
	f("snapshot_records", func(c *Config) { c.SnapshotRecords = 0 })
	f("session_timeout", func(c *Config) { c.SessionTimeout = 0 })
	f("rebalance_timeout", func(c *Config) { c.RebalanceTimeout = 2 * time.Hour })
	f("queue_bytes", func(c *Config) { c.QueueBytes = 1 })
}

func TestCatalogue(t *testing.T) {
	cfg := toyConfig(3, 2)
	cfg.Partitions.Exporters = 5
	cfg.TopicPrefix = "p."
	for name, want := range map[string]int{
		FlowsRaw: 3, FlowsDeduped: 3, "state.dedup": 3, "state.stitch": 3,
		Biflows: 2, Activity: 2, Alerts: 2, "state.detect": 2,
		Events: 5, DNS: 5, FlowsDead: 5, Exporters: 5, Policy: 1, "nothing": 0,
	} {
		if got := cfg.PartitionsOf(name); got != want {
			t.Errorf("%s has %d partitions, want %d", name, got, want)
		}
	}
	for _, topic := range Catalogue() {
		c := cfg.creation(topic)
		if topic.Config["cleanup.policy"] != "delete" {
			t.Errorf("%s is not kept by deletion: offsets would have gaps", topic.Name)
		}
		if c.Topic != "p."+topic.Name || c.NumPartitions != cfg.PartitionsOf(topic.Name) || c.ReplicationFactor != 1 {
			t.Errorf("%s is created as %+v", topic.Name, c)
		}
	}
	if got := cfg.GroupOf("dedup"); got != "p.flowledger.dedup" {
		t.Errorf("group %s", got)
	}
}

func TestEnsureTopicsTwice(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	ensure(t, cfg)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c := cfg.client()
	defer c.close()
	counts, err := c.partitionCounts(ctx, []string{"test.flows.raw", "test.state.detect", "flows.raw"})
	if err != nil || counts["test.flows.raw"] != 3 || counts["test.state.detect"] != 2 || counts["flows.raw"] != 0 {
		t.Errorf("got %v, %v", counts, err)
	}
}

func TestSpecIsValidated(t *testing.T) {
	f := func(want string, change func(*Spec)) {
		t.Helper()
		cfg := toyConfig(3, 2)
		spec := toyChain()[2]
		change(&spec)
		err := spec.Validate()
		if err == nil {
			_, err = cfg.planner().width(&spec)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	f("needs a name", func(s *Spec) { s.Name = "" })
	f("epoch", func(s *Spec) { s.Epoch = -1 })
	f("needs a delay", func(s *Spec) { s.Inputs[1].Delay = 0 })
	f("aligned", func(s *Spec) { s.Inputs[0].Aligned, s.Inputs[0].From = true, "" })
	f("needs an input that is not broadcast", func(s *Spec) { s.Inputs = []Input{{Topic: Policy, Broadcast: true}} })
	f("not in the catalogue", func(s *Spec) { s.Inputs[0].Topic = "nothing" })
	f("not in the catalogue", func(s *Spec) { s.Inputs[0].From = "nobody" })
	f("not in the catalogue", func(s *Spec) { s.Outputs[0].Topic = "nothing" })
	f("the same number", func(s *Spec) { s.Inputs = append(s.Inputs, Input{Topic: FlowsRaw}) })
	f("is aligned and needs 2", func(s *Spec) { s.Outputs[0] = OutputSpec{Topic: FlowsDeduped, Aligned: true} })
}
