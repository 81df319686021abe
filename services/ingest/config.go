package main

import (
	"errors"
	"runtime"
	"time"

	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/conf"
	"github.com/flowledger/flowledger/services/internal/netset"
	"github.com/flowledger/flowledger/services/internal/run"
	"github.com/flowledger/flowledger/services/internal/spool"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// Config is the configuration of ingest.
type Config struct {
	Listen           []string         `yaml:"listen" doc:"addresses: host:port is UDP, for NetFlow, IPFIX and sFlow, told apart by content; tcp://host:port and tls://host:port are for IPFIX"`
	Allow            netset.List      `yaml:"allow" doc:"who may send: addresses and networks, as in [192.0.2.1, 192.0.2.0/24]; the default is everybody: name your exporters"`
	ReceiveBuffer    conf.Bytes       `yaml:"receive_buffer" doc:"kernel buffer per socket; Linux grants at most net.core.rmem_max"`
	Readers          int              `yaml:"readers" doc:"sockets per address; the kernel deals exporters out to them (SO_REUSEPORT, Linux)"`
	Decoders         int              `yaml:"decoders" doc:"exporters are dealt out to so many decoders; 0 is one per processor, less one"`
	QueueBytes       conf.Bytes       `yaml:"queue_bytes" doc:"memory for datagrams that wait for the decoder, or for Kafka where there is no spool; beyond, they are dropped and counted"`
	Limits           limitsConfig     `yaml:"limits" doc:"how much one address may send, and how many may"`
	Streams          streamConfig     `yaml:"streams" doc:"IPFIX over TCP and TLS, for tcp:// and tls:// in listen"`
	MetricsExporters int              `yaml:"metrics_exporters" doc:"exporters with metrics of their own; further ones are counted together"`
	Spool            Spool            `yaml:"spool" doc:"where records wait on disk while Kafka is away"`
	Normalize        normalize.Config `yaml:"normalize" doc:"how datagrams become flows"`
	VPC              vpcConfig        `yaml:"vpc" doc:"AWS VPC flow logs, from files"`
	Zeek             zeekConfig       `yaml:"zeek" doc:"Zeek's dns.log, from files"`
	Kafka            stage.Config     `yaml:"kafka" doc:"the log"`
	run.Process      `yaml:",inline"`
}

// Spool configures the way by disk.
type Spool struct {
	Dir      string        `yaml:"dir" doc:"a folder of this process's own, kept over restarts; empty for none: then what Kafka does not take waits in memory only"`
	MaxBytes conf.Bytes    `yaml:"max_bytes" doc:"what the folder may hold; beyond, the oldest records are dropped, counted and logged"`
	After    time.Duration `yaml:"after" doc:"how long Kafka may be silent before records go to disk"`
}

// Default is the configuration that works without a file.
func Default() Config {
	return Config{
		Listen:           []string{":2055", ":4739", ":6343"},
		Allow:            netset.MustParse("0.0.0.0/0", "::/0"),
		ReceiveBuffer:    16 << 20,
		Readers:          1,
		QueueBytes:       128 << 20,
		Limits:           defaultLimits(),
		Streams:          defaultStreams(),
		MetricsExporters: 256,
		Spool:            Spool{MaxBytes: 4 << 30, After: 3 * time.Second},
		Normalize:        normalize.Default(),
		VPC:              defaultVPC(),
		Zeek:             defaultZeek(),
		Kafka:            stage.Default(),
		Process:          run.DefaultProcess(":8081"),
	}
}

// Validate names every key that breaks a rule.
func (c *Config) Validate() error {
	var errs []error
	errs = append(errs, validateListen(c.Listen, &c.Streams.TLS))
	if len(c.Allow) == 0 {
		errs = append(errs, conf.Invalid("allow", "nobody could send", "name your exporters, as in [192.0.2.0/24], or 0.0.0.0/0 and ::/0 for everybody"))
	}
	if c.ReceiveBuffer < 64<<10 || c.ReceiveBuffer > 1<<30 {
		errs = append(errs, conf.Invalid("receive_buffer", "from 64KiB to 1GiB", "change %s; 16MiB is the default", c.ReceiveBuffer))
	}
	if c.Readers < 1 || c.Readers > 64 {
		errs = append(errs, conf.Invalid("readers", "from 1 to 64", "change %d; 1 is the default", c.Readers))
	}
	if c.Readers > 1 && !canShare {
		errs = append(errs, conf.Invalid("readers", "1 on this system", "several sockets on one address need Linux"))
	}
	if c.Decoders < 0 || c.Decoders > 256 {
		errs = append(errs, conf.Invalid("decoders", "from 0 to 256", "change %d; 0 goes by the number of processors", c.Decoders))
	}
	if c.QueueBytes < 1<<20 {
		errs = append(errs, conf.Invalid("queue_bytes", "at least 1MiB", "change %s; 128MiB is the default", c.QueueBytes))
	}
	if c.MetricsExporters < 1 || c.MetricsExporters > 100_000 {
		errs = append(errs, conf.Invalid("metrics_exporters", "from 1 to 100000", "change %d; 256 is the default", c.MetricsExporters))
	}
	if c.Spool.MaxBytes < spool.MinBytes {
		errs = append(errs, conf.Invalid("spool.max_bytes", "at least 4MiB", "change %s; 4GiB is the default", c.Spool.MaxBytes))
	}
	if c.Spool.After < 100*time.Millisecond || c.Spool.After > time.Minute {
		errs = append(errs, conf.Invalid("spool.after", "from 100ms to 1m", "change %s; 3s is the default", c.Spool.After))
	}
	return errors.Join(append(errs,
		conf.Under("limits", c.Limits.Validate()), conf.Under("streams", c.Streams.Validate()),
		conf.Under("normalize", c.Normalize.Validate()),
		conf.Under("vpc", c.VPC.Validate()), conf.Under("vpc.logs", c.VPC.Logs.Validate()),
		conf.Under("zeek", c.Zeek.Validate()), conf.Under("zeek.logs", c.Zeek.Logs.Validate()),
		conf.Under("kafka", c.Kafka.Validate()), c.Process.Validate())...)
}

// maxDecoders bounds what the number of processors alone makes of decoders.
const maxDecoders = 16

// decoders is how many there are: one processor is left to sockets and Kafka.
func (c *Config) decoders() int {
	if c.Decoders > 0 {
		return c.Decoders
	}
	return min(max(1, runtime.GOMAXPROCS(0)-1), maxDecoders)
}

func (c *Config) spool() stage.SpoolOptions {
	return stage.SpoolOptions{Dir: c.Spool.Dir, MaxBytes: int64(c.Spool.MaxBytes), After: c.Spool.After}
}
