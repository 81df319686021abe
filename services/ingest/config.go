package main

import (
	"errors"
	"net"
	"net/netip"

	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/conf"
	"github.com/flowledger/flowledger/services/internal/run"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// Config is the configuration of ingest.
type Config struct {
	Listen           []string         `yaml:"listen" doc:"UDP addresses (host:port); each takes NetFlow v5, v9, IPFIX and sFlow, told apart by content"`
	Allow            []netip.Prefix   `yaml:"allow" doc:"who may send (CIDR); the default is everybody: name your exporters"`
	ReceiveBuffer    conf.Bytes       `yaml:"receive_buffer" doc:"kernel buffer per socket; Linux grants at most net.core.rmem_max"`
	QueueBytes       conf.Bytes       `yaml:"queue_bytes" doc:"memory for datagrams that wait for the decoder, such as while Kafka is away; beyond, they are dropped and counted"`
	MetricsExporters int              `yaml:"metrics_exporters" doc:"exporters with metrics of their own; further ones are counted together"`
	Normalize        normalize.Config `yaml:"normalize" doc:"how datagrams become flows"`
	Kafka            stage.Config     `yaml:"kafka" doc:"the log"`
	run.Process      `yaml:",inline"`
}

// Default is the configuration that works without a file.
func Default() Config {
	return Config{
		Listen:           []string{":2055", ":4739", ":6343"},
		Allow:            []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
		ReceiveBuffer:    16 << 20,
		QueueBytes:       64 << 20,
		MetricsExporters: 256,
		Normalize:        normalize.Default(),
		Kafka:            stage.Default(),
		Process:          run.DefaultProcess(":8081"),
	}
}

// Validate names every key that breaks a rule.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Listen) == 0 {
		errs = append(errs, conf.Invalid("listen", "at least one address is needed", "set it to [\":2055\"]"))
	}
	for _, addr := range c.Listen {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			errs = append(errs, conf.Invalid("listen", "an address is host:port", "write \":2055\" for all interfaces, not %q", addr))
		}
	}
	if len(c.Allow) == 0 {
		errs = append(errs, conf.Invalid("allow", "nobody could send", "name your exporters, as in [192.0.2.0/24], or 0.0.0.0/0 and ::/0 for everybody"))
	}
	if c.ReceiveBuffer < 64<<10 || c.ReceiveBuffer > 1<<30 {
		errs = append(errs, conf.Invalid("receive_buffer", "from 64KiB to 1GiB", "change %s; 16MiB is the default", c.ReceiveBuffer))
	}
	if c.QueueBytes < 1<<20 {
		errs = append(errs, conf.Invalid("queue_bytes", "at least 1MiB", "change %s; 64MiB is the default", c.QueueBytes))
	}
	if c.MetricsExporters < 1 || c.MetricsExporters > 100_000 {
		errs = append(errs, conf.Invalid("metrics_exporters", "from 1 to 100000", "change %d; 256 is the default", c.MetricsExporters))
	}
	return errors.Join(append(errs,
		conf.Under("normalize", c.Normalize.Validate()), conf.Under("kafka", c.Kafka.Validate()), c.Process.Validate())...)
}
