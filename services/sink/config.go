package main

import (
	"errors"
	"time"

	"github.com/flowledger/flowledger/services/internal/conf"
	"github.com/flowledger/flowledger/services/internal/run"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/sink/schema"
)

// Config is the sink's configuration.
type Config struct {
	run.Process `yaml:",inline"`
	Kafka       stage.Config  `yaml:"kafka" doc:"where the log is"`
	ClickHouse  schema.Config `yaml:"clickhouse" doc:"where the ledger is"`
	Cut         Cut           `yaml:"cut" doc:"how much goes into one insert; change it only while no sink runs, after a clean stop"`
}

// Cut says where the log is cut into inserts. The log alone decides, so that a
// retry by anyone is the very same insert, which ClickHouse then ignores.
type Cut struct {
	Every   time.Duration `yaml:"every" doc:"a cut is made when the log has advanced by this much: the delay of the ledger against its load"`
	Rows    int           `yaml:"rows" doc:"a cut is made after this many rows, if that is earlier"`
	Offsets time.Duration `yaml:"offsets" doc:"where the log holds nothing to insert, how often the offset is stored: what a restart reads again"`
}

// Default is a configuration for everything on this machine.
func Default() Config {
	return Config{
		Process:    run.DefaultProcess(":8085"),
		Kafka:      stage.Default(),
		ClickHouse: schema.Default(),
		Cut:        Cut{Every: time.Second, Rows: 50_000, Offsets: time.Minute},
	}
}

// Validate names every key that breaks a rule.
func (c *Config) Validate() error {
	return errors.Join(
		c.Process.Validate(),
		conf.Under("kafka", c.Kafka.Validate()),
		conf.Under("clickhouse", c.ClickHouse.Validate()),
		conf.Under("cut", c.Cut.Validate()),
	)
}

// Validate names every key that breaks a rule, without the `cut.` before it.
func (c *Cut) Validate() error {
	var errs []error
	if c.Every < 100*time.Millisecond || c.Every > 10*time.Minute {
		errs = append(errs, conf.Invalid("every", "from 100ms to 10m", "change %s; 1s is usual", c.Every))
	}
	if c.Rows < 1 || c.Rows > 400_000 {
		errs = append(errs, conf.Invalid("rows", "from 1 to 400000: an insert must stay one block", "change %d", c.Rows))
	}
	if c.Offsets < c.Every || c.Offsets > time.Hour {
		errs = append(errs, conf.Invalid("offsets", "from cut.every to 1h", "change %s", c.Offsets))
	}
	return errors.Join(errs...)
}
