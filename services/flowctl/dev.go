package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowledger/flowledger/services/internal/embedded"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/sink/schema"
)

const devLong = `Run a Kafka broker and a ClickHouse on this machine, with all topics and tables
made, until Ctrl-C. It is for trying out and developing, not for production. What
is stored in --dir is there again the next time.

ClickHouse is the server that CLICKHOUSE_ADDR names, else a "clickhouse" binary
on PATH, else flowledger-engine, which "make build" puts beside flowctl: an engine
that npm fetches once into FLOWLEDGER_CACHE (178 MB). The latter two are processes
that end with flowctl; what they say is in clickhouse.log among the data.

When both answer, one JSON line with their addresses goes to standard output:
  {"kafka":"127.0.0.1:9092","clickhouse":"127.0.0.1:8123"}`

const devExample = `  flowctl dev --dir ./data
  flowctl dev --no-clickhouse --kafka-port 0
  curl 'http://127.0.0.1:8123/?query=SELECT+count()+FROM+ledger.biflows'`

// dev is what the command line of `flowctl dev` asks for.
type dev struct {
	settings
	dir            string
	kafkaPort      int
	clickhousePort int
	noClickhouse   bool
	readyFile      string
}

func newDevCommand() *cobra.Command {
	var d dev
	c := &cobra.Command{
		Use:     "dev",
		Short:   "Run a broker and a database on this machine, for trying out",
		Long:    devLong,
		Example: devExample,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return d.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	d.addFlags(c, "kafka.partitions.conversations", "kafka.partitions.hosts", "kafka.partitions.exporters")
	c.Flags().StringVar(&d.dir, "dir", "", "keep what is stored in this folder; empty: in a temporary one, lost at the end")
	c.Flags().IntVar(&d.kafkaPort, "kafka-port", 9092, "port of the broker on 127.0.0.1; 0 for a free one")
	c.Flags().IntVar(&d.clickhousePort, "clickhouse-port", 8123, "port of ClickHouse's HTTP interface on 127.0.0.1; 0 for a free one")
	c.Flags().BoolVar(&d.noClickhouse, "no-clickhouse", false, "run the broker only")
	c.Flags().StringVar(&d.readyFile, "ready-file", "", "write the addresses as JSON to this file when both answer")
	return c
}

// devEndpoints is the line that says that all is ready, for programs.
type devEndpoints struct {
	Kafka      string `json:"kafka"`
	ClickHouse string `json:"clickhouse,omitempty"`
}

// run starts both servers, announces them, and stops them when the context
// ends, which is the clean end of the command.
func (d *dev) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	if err := d.load(); err != nil {
		return err
	}
	start := time.Now()
	broker, err := d.startBroker(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	ready := devEndpoints{Kafka: broker.Addr()}
	var ended <-chan struct{}
	if !d.noClickhouse {
		ledger, failed := d.startLedger(ctx, stderr)
		if failed != nil {
			return failed
		}
		defer func() { err = errors.Join(err, ledger.Close()) }()
		ready.ClickHouse, ended = ledger.HTTPAddr(), ledger.Ended()
		fmt.Fprintf(stderr, "ClickHouse  http://%s/  database %s  (%s)\n", ready.ClickHouse, embedded.Database, ledger.Kind())
	}
	fmt.Fprintf(stderr, "Kafka       %s  %d topics\n", ready.Kafka, len(stage.Catalogue()))
	fmt.Fprintf(stderr, "ready after %.1f s; Ctrl-C stops\n", time.Since(start).Seconds())
	if err := d.announce(stdout, ready); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case <-ended: // Close tells why
	}
	fmt.Fprintln(stderr, "stopping")
	if d.readyFile != "" {
		return os.Remove(d.readyFile)
	}
	return nil
}

func (d *dev) startBroker(ctx context.Context) (*embedded.Broker, error) {
	broker, err := embedded.StartBroker(ctx, embedded.BrokerConfig{Port: d.kafkaPort, Dir: d.within("kafka")})
	if err != nil {
		return nil, fmt.Errorf("%w (--kafka-port, --dir)", err)
	}
	d.cfg.Kafka.Brokers, d.cfg.Kafka.ReplicationFactor = []string{broker.Addr()}, 1
	if err := stage.EnsureTopics(ctx, d.cfg.Kafka); err != nil {
		return nil, errors.Join(err, broker.Close())
	}
	return broker, nil
}

func (d *dev) startLedger(ctx context.Context, stderr io.Writer) (*embedded.Ledger, error) {
	ledger, err := embedded.StartLedger(ctx, embedded.LedgerConfig{
		Addr: fmt.Sprintf("127.0.0.1:%d", d.clickhousePort), Dir: d.within("clickhouse"), Log: stderr,
	})
	if err != nil {
		return nil, fmt.Errorf("%w (--clickhouse-port, --dir; --no-clickhouse does without)", err)
	}
	cfg := d.cfg.ClickHouse
	cfg.Addr, cfg.Protocol, cfg.Database = []string{ledger.HTTPAddr()}, "http", embedded.Database
	applied, err := schema.Migrate(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, errors.Join(err, ledger.Close())
	}
	if len(applied) > 0 {
		fmt.Fprintf(stderr, "applied %d migrations\n", len(applied))
	}
	return ledger, nil
}

// within is a folder inside --dir, "" where nothing is kept.
func (d *dev) within(name string) string {
	if d.dir == "" {
		return ""
	}
	return filepath.Join(d.dir, name)
}

// announce tells programs where the servers are: on standard output, and in a
// file that is there only when it is whole.
func (d *dev) announce(stdout io.Writer, ready devEndpoints) error {
	line, err := json.Marshal(ready)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if d.readyFile != "" {
		tmp := d.readyFile + ".tmp"
		if err := os.WriteFile(tmp, line, 0o644); err != nil {
			return fmt.Errorf("cannot write the ready file: %w", err)
		}
		if err := os.Rename(tmp, d.readyFile); err != nil {
			return fmt.Errorf("cannot write the ready file: %w", err)
		}
	}
	_, err = stdout.Write(line)
	return err
}
