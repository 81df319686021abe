package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flowledger/flowledger/services/internal/conf"
	"github.com/flowledger/flowledger/services/internal/pipeline"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/sink/schema"
)

// config is what a file given to flowctl may say: one file serves all commands,
// each of which uses its part.
type config struct {
	Kafka           stage.Config  `yaml:"kafka" doc:"the broker and the topics"`
	ClickHouse      schema.Config `yaml:"clickhouse" doc:"the ledger's database"`
	pipeline.Config `yaml:",inline"`
}

// Validate checks all parts.
func (c *config) Validate() error {
	return errors.Join(conf.Under("kafka", c.Kafka.Validate()), conf.Under("clickhouse", c.ClickHouse.Validate()), c.Config.Validate())
}

// settings is where the configuration comes from: the defaults, over them
// --config, the environment, --set and the flags that stand for a key.
type settings struct {
	cfg  config
	file string
	// keys holds a flag for every key.
	keys  *pflag.FlagSet
	flags *conf.Flags
}

// Keys that commands for clusters show as flags.
var (
	kafkaFlags      = []string{"kafka.brokers", "kafka.topic_prefix"}
	clickhouseFlags = []string{"clickhouse.addr", "clickhouse.protocol", "clickhouse.database", "clickhouse.user", "clickhouse.password_file"}
)

// addFlags adds --config, --set, and the named keys as flags of their own.
func (s *settings) addFlags(c *cobra.Command, keys ...string) {
	s.cfg = config{Kafka: stage.Default(), ClickHouse: schema.Default(), Config: pipeline.Default()}
	s.keys = pflag.NewFlagSet("keys", pflag.ContinueOnError)
	s.flags = conf.AddFlags(s.keys, &s.cfg)
	for _, key := range keys {
		c.Flags().AddFlag(s.keys.Lookup(key))
	}
	c.Flags().StringVar(&s.file, "config", "", "the configuration, a YAML file; the defaults work without")
	c.Flags().Var(setFlag{s}, "set", "set one key of the configuration, as in dedup.policy=first (may be repeated)")
}

// load lays the sources over the defaults.
func (s *settings) load() error {
	if err := conf.Load(&s.cfg, conf.Sources{File: s.file, Env: os.Environ(), Flags: s.flags}); err != nil {
		return usageError{err}
	}
	return nil
}

// setFlag is the value of --set.
type setFlag struct{ s *settings }

func (f setFlag) Set(item string) error {
	key, value, ok := strings.Cut(item, "=")
	switch {
	case !ok:
		return errors.New("write KEY=VALUE, as in dedup.policy=first")
	case f.s.keys.Lookup(key) == nil:
		return fmt.Errorf("there is no key %s; `flowctl run --print-config` lists them", key)
	}
	return f.s.keys.Set(key, value)
}

func (f setFlag) Type() string   { return "key=value" }
func (f setFlag) String() string { return "" }
