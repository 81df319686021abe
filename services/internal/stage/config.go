package stage

import (
	"errors"
	"net"
	"strings"
	"time"

	"github.com/flowledger/flowledger/services/internal/conf"
	"github.com/flowledger/flowledger/services/internal/stage/wire"
)

// Config is the `kafka:` block of every service.
type Config struct {
	Brokers           []string      `yaml:"brokers" doc:"where to find Kafka: host:port, several for failover"`
	TopicPrefix       string        `yaml:"topic_prefix" doc:"put before every topic name and consumer group; one prefix is one timeline"`
	Partitions        Partitions    `yaml:"partitions" doc:"numbers of partitions; never change them for topics that exist"`
	ReplicationFactor int           `yaml:"replication_factor" doc:"copies of every partition when topics are created"`
	Group             string        `yaml:"group" doc:"consumer groups are <topic_prefix><group>.<stage>"`
	Compression       string        `yaml:"compression" doc:"of what is written: none, gzip, snappy, lz4 or zstd"`
	SnapshotInterval  time.Duration `yaml:"snapshot_interval" doc:"how often a stage stores its state: what a crash replays at most; up to ten times less often where that would take more than a twentieth of its work"`
	SnapshotRecords   int           `yaml:"snapshot_records" doc:"a stage stores its state after this many records, if that is earlier"`
	SessionTimeout    time.Duration `yaml:"session_timeout" doc:"how long a silent member keeps its partitions"`
	RebalanceTimeout  time.Duration `yaml:"rebalance_timeout" doc:"how long a member may take to store its state when partitions move"`
	QueueBytes        conf.Bytes    `yaml:"queue_bytes" doc:"how much may wait to be written, by all partitions of a process together, before a stage pauses and ingest drops"`

	// Health is told which partitions have been taken over; nil is fine.
	Health *Health `yaml:"-"`

	// dial replaces the network in tests.
	dial dialFunc
}

// Partitions are the numbers of partitions per class of topics.
type Partitions struct {
	Conversations int `yaml:"conversations" doc:"flows.raw, flows.deduped and the state of dedup and stitch"`
	Hosts         int `yaml:"hosts" doc:"biflows, activity, alerts and the state of detect"`
	Exporters     int `yaml:"exporters" doc:"events, dns, exporters and flows.dead"`
}

// Of is the number of partitions of a class.
func (p Partitions) Of(c Class) int {
	switch c {
	case ByConversation:
		return p.Conversations
	case ByHost:
		return p.Hosts
	case ByExporter:
		return p.Exporters
	}
	return 1
}

// Default is a configuration for one broker on this machine.
func Default() Config {
	return Config{
		Brokers:           []string{"127.0.0.1:9092"},
		Partitions:        Partitions{Conversations: 4, Hosts: 4, Exporters: 1},
		ReplicationFactor: 1,
		Group:             "flowledger",
		Compression:       "snappy",
		SnapshotInterval:  30 * time.Second,
		SnapshotRecords:   1_000_000,
		SessionTimeout:    10 * time.Second,
		RebalanceTimeout:  60 * time.Second,
		QueueBytes:        32 << 20,
	}
}

// Topic is the full name of a topic of the catalogue.
func (c *Config) Topic(name string) string { return c.TopicPrefix + name }

// PartitionsOf is the number of partitions a topic of the catalogue must have,
// 0 if the catalogue does not know it.
func (c *Config) PartitionsOf(name string) int {
	t, ok := TopicNamed(name)
	if !ok {
		return 0
	}
	return c.Partitions.Of(t.Class)
}

// GroupOf is the consumer group of a stage or drain.
func (c *Config) GroupOf(stage string) string { return c.TopicPrefix + c.Group + "." + stage }

// Validate names every key that breaks a rule, without the `kafka.` before it.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, conf.Invalid("brokers", "at least one broker is needed", "set it to host:port"))
	}
	for _, b := range c.Brokers {
		if _, port, err := net.SplitHostPort(b); err != nil || port == "" {
			errs = append(errs, conf.Invalid("brokers", "a broker is host:port", "write %q with its port, such as kafka:9092", b))
		}
	}
	if strings.Trim(c.TopicPrefix, topicChars) != "" || len(c.TopicPrefix) > 100 {
		errs = append(errs, conf.Invalid("topic_prefix", "up to 100 of a-z, A-Z, 0-9, dot, dash and underscore", "change %q", c.TopicPrefix))
	}
	for _, p := range []struct {
		key string
		n   int
	}{{"conversations", c.Partitions.Conversations}, {"hosts", c.Partitions.Hosts}, {"exporters", c.Partitions.Exporters}} {
		if p.n < 1 || p.n > maxPartitions {
			errs = append(errs, conf.Invalid("partitions."+p.key, "from 1 to 10000", "change %d", p.n))
		}
	}
	if c.ReplicationFactor < 1 || c.ReplicationFactor > 100 {
		errs = append(errs, conf.Invalid("replication_factor", "from 1 to the number of brokers", "change %d; 3 is usual", c.ReplicationFactor))
	}
	if strings.Trim(c.Group, topicChars) != "" || c.Group == "" {
		errs = append(errs, conf.Invalid("group", "a-z, A-Z, 0-9, dot, dash and underscore, not empty", "change %q", c.Group))
	}
	if _, ok := wire.Codecs[c.Compression]; !ok {
		errs = append(errs, conf.Invalid("compression", "one of none, gzip, snappy, lz4, zstd", "change %q", c.Compression))
	}
	errs = append(errs, c.validateTimes()...)
	return errors.Join(errs...)
}

func (c *Config) validateTimes() (errs []error) {
	for _, d := range []struct {
		key      string
		value    time.Duration
		min, max time.Duration
	}{
		{"snapshot_interval", c.SnapshotInterval, 100 * time.Millisecond, time.Hour},
		{"session_timeout", c.SessionTimeout, time.Second, 30 * time.Minute},
		{"rebalance_timeout", c.RebalanceTimeout, time.Second, time.Hour},
	} {
		if d.value < d.min || d.value > d.max {
			errs = append(errs, conf.Invalid(d.key, "from "+d.min.String()+" to "+d.max.String(), "change %s", d.value))
		}
	}
	if c.SnapshotRecords < 1 {
		errs = append(errs, conf.Invalid("snapshot_records", "at least 1", "change %d", c.SnapshotRecords))
	}
	if c.QueueBytes < 1<<20 {
		errs = append(errs, conf.Invalid("queue_bytes", "at least 1MiB", "change %s", c.QueueBytes))
	}
	return errs
}

const (
	topicChars    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	maxPartitions = 10000
)
