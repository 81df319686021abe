package main

import (
	"fmt"
	"log/slog"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowledger/flowledger/services/sink/schema"
)

const migrateLong = `Make the ledger's database, tables and views in ClickHouse, or bring them up to
this program's version. It may be run at any time, and again after it broke off.
The sink refuses to start on a ledger that lacks a migration.`

const migrateExample = `  flowctl migrate
  flowctl migrate status
  flowctl migrate --clickhouse.addr db1:9000 --clickhouse.protocol native`

func newMigrateCommand() *cobra.Command {
	var s settings
	c := &cobra.Command{
		Use:     "migrate",
		Short:   "Make the ledger's tables in ClickHouse, or bring them up to date",
		Long:    migrateLong,
		Example: migrateExample,
		Args:    noArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return s.migrate(c) },
	}
	up := &cobra.Command{
		Use:   "up",
		Short: "Apply what is missing (the default)",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return s.migrate(c) },
	}
	status := &cobra.Command{
		Use:   "status",
		Short: "List the migrations, and when each was applied",
		Args:  noArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return s.migrations(c) },
	}
	s.addFlags(c, clickhouseFlags...)
	for _, sub := range []*cobra.Command{up, status} {
		sub.Flags().AddFlagSet(c.Flags())
		c.AddCommand(sub)
	}
	return c
}

func (s *settings) migrate(c *cobra.Command) error {
	if err := s.load(); err != nil {
		return err
	}
	applied, err := schema.Migrate(c.Context(), s.cfg.ClickHouse, slog.New(slog.DiscardHandler))
	for _, m := range applied {
		fmt.Fprintln(c.ErrOrStderr(), "applied", m.Name)
	}
	if err != nil {
		return fmt.Errorf("%w; ClickHouse was looked for at %s (clickhouse.addr)", err, strings.Join(s.cfg.ClickHouse.Addr, ", "))
	}
	if len(applied) == 0 {
		fmt.Fprintf(c.ErrOrStderr(), "the ledger %s is up to date\n", s.cfg.ClickHouse.Database)
	}
	return nil
}

func (s *settings) migrations(c *cobra.Command) error {
	if err := s.load(); err != nil {
		return err
	}
	all, err := schema.Status(c.Context(), s.cfg.ClickHouse)
	if err != nil {
		return fmt.Errorf("%w; ClickHouse was looked for at %s (clickhouse.addr); `flowctl migrate` makes the ledger", err, strings.Join(s.cfg.ClickHouse.Addr, ", "))
	}
	w := tabwriter.NewWriter(c.OutOrStdout(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "VERSION\tFILE\tAPPLIED")
	for _, m := range all {
		when := "missing"
		if !m.Applied.IsZero() {
			when = m.Applied.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\n", m.Version, m.Name, when)
	}
	return w.Flush()
}
