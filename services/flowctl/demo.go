package main

import (
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowledger/flowledger/services/internal/demo"
)

const demoLong = `Play a break-in through the whole system on this machine, and show what it finds.

It starts a Kafka broker and a ClickHouse ("flowctl dev") and the five services as
processes of their own, sends the story of "flowctl simulate" over UDP as three
exporters would, in real time, waits until the ledger has caught up, and prints
what came out: the counts of every stage, the biggest conversations, the alerts,
three hunting questions with their answers, and how long it all took. Then it holds
the ledger against the truth.

In a terminal everything stays up until Ctrl-C. Without one, or with CI=true, it
stops, and the exit code is 0 only if what came out is right. It takes a minute and
a half.`

const demoExample = `  make demo
  flowctl demo --bin bin
  flowctl demo --bin bin --dir /tmp/demo --kafka-port 9092 --clickhouse-port 8123 --udp-port 2055`

func newDemoCommand() *cobra.Command {
	cfg := demo.Config{Now: time.Now}
	c := &cobra.Command{
		Use:     "demo",
		Short:   "Play a break-in through the whole system on this machine",
		Long:    demoLong,
		Example: demoExample,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if cfg.Bin == "" {
				cfg.Bin = besides()
			}
			cfg.Out, cfg.Progress = c.OutOrStdout(), c.ErrOrStderr()
			cfg.Stay = isTerminal(os.Stdin) && isTerminal(cfg.Out) && os.Getenv("CI") != "true"
			return demo.Run(c.Context(), cfg)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&cfg.Bin, "bin", "", "the folder with the binaries; that of flowctl by default")
	f.StringVar(&cfg.Dir, "dir", "", "a folder for data and logs that are to be kept; temporary by default")
	f.Uint64Var(&cfg.Seed, "seed", 1, "another seed, another course of the ordinary traffic")
	f.IntVar(&cfg.KafkaPort, "kafka-port", 0, "TCP port of the broker; 0 is a free one")
	f.IntVar(&cfg.LedgerPort, "clickhouse-port", 0, "TCP port of ClickHouse (HTTP); 0 is a free one")
	f.IntVar(&cfg.ExportPort, "udp-port", 0, "UDP port for flow exports; 0 is a free one")
	return c
}

// besides is the folder of this very binary.
func besides() string {
	self, err := os.Executable()
	if err != nil {
		return "."
	}
	return filepath.Dir(self)
}
