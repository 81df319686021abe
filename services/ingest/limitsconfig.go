package main

import (
	"errors"
	"time"

	"github.com/flowledger/flowledger/services/internal/conf"
)

// limitsConfig bounds what one source may send and how many sources there may be.
// What is kept of exporters beyond that is bounded in normalize.
type limitsConfig struct {
	DatagramsPerSecond  int           `yaml:"datagrams_per_second" doc:"datagrams, or messages of streams, from one address; 0 is no limit"`
	BytesPerSecond      conf.Bytes    `yaml:"bytes_per_second" doc:"payload from one address; 0 is no limit"`
	Burst               time.Duration `yaml:"burst" doc:"how long an address may send ahead of its rate: so many seconds' worth at once"`
	NewSourcesPerSecond int           `yaml:"new_sources_per_second" doc:"unknown addresses let in per second, beyond a first half of normalize.max_exporters: a flood from forged addresses gets no further. 0 is no limit"`
	MaxSources          int           `yaml:"max_sources" doc:"addresses of which it is known how much they send; one that was silent for a minute makes room"`
}

func defaultLimits() limitsConfig {
	return limitsConfig{Burst: 10 * time.Second, NewSourcesPerSecond: 25, MaxSources: 65536}
}

// Validate names every key that breaks a rule.
func (c *limitsConfig) Validate() error {
	var errs []error
	if c.DatagramsPerSecond < 0 || c.DatagramsPerSecond > maxRate {
		errs = append(errs, conf.Invalid("datagrams_per_second", "from 0 to 1000000000", "change %d; 0 is no limit", c.DatagramsPerSecond))
	}
	if c.BytesPerSecond < 0 || c.BytesPerSecond > 0 && c.BytesPerSecond < maxDatagram || c.BytesPerSecond > 1<<40 {
		errs = append(errs, conf.Invalid("bytes_per_second", "0, or from 64KiB to 1TiB", "change %s; 0 is no limit", c.BytesPerSecond))
	}
	if c.Burst < 100*time.Millisecond || c.Burst > time.Minute {
		errs = append(errs, conf.Invalid("burst", "from 100ms to 1m", "change %s; 10s is the default", c.Burst))
	}
	if c.NewSourcesPerSecond < 0 || c.NewSourcesPerSecond > maxRate {
		errs = append(errs, conf.Invalid("new_sources_per_second", "from 0 to 1000000000", "change %d; 25 is the default, 0 is no limit", c.NewSourcesPerSecond))
	}
	if c.MaxSources < sourceShards || c.MaxSources > 1<<24 {
		errs = append(errs, conf.Invalid("max_sources", "from 16 to 16777216", "change %d; 65536 is the default", c.MaxSources))
	}
	return errors.Join(errs...)
}

// maxRate is one per nanosecond, beyond which a rate is none.
const maxRate = int(time.Second)

// tracks tells whether sources must be known one by one.
func (c *limitsConfig) tracks() bool {
	return c.DatagramsPerSecond > 0 || c.BytesPerSecond > 0 || c.NewSourcesPerSecond > 0
}
