package main

import (
	"bufio"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/flowledger/flowledger/services/internal/jsonline"
	"github.com/flowledger/flowledger/services/sink/schema"
)

const huntLong = `Ask the ledger what an analyst asks. Questions that need no more than SQL are
views of the ledger: see docs/reference/tables.md.`

const huntExample = `  flowctl hunt segments 12345678901234567890`

const segmentsLong = `Print one conversation over time: who, how much, and the segments that were added
up, as exporters reported them, with a sparkline of the bytes each side sent. A
segment's bytes are spread evenly over its duration.

FLOW_ID is a biflow's flow_id, a decimal number. Segments are kept for 14 days
by default, conversations for 90.

--json prints a JSON object per segment, in the words of "flowctl run --emit
deduped", with the flow_id and the role of the side that sent it.`

const segmentsExample = `  flowctl hunt segments 12345678901234567890
  flowctl hunt segments 12345678901234567890 --json | jq .bytes`

func newHuntCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "hunt",
		Short:   "Ask the ledger about conversations",
		Long:    huntLong,
		Example: huntExample,
		Args:    unknownCommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newSegmentsCommand())
	return c
}

func newSegmentsCommand() *cobra.Command {
	var s settings
	var asJSON bool
	c := &cobra.Command{
		Use:     "segments FLOW_ID",
		Short:   "Print the timeline of one conversation",
		Long:    segmentsLong,
		Example: segmentsExample,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("name one conversation by its flow_id; %s", howToLookUp)}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			id, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil || id == 0 {
				return usageError{fmt.Errorf("%q is no flow_id, which is a decimal number; %s", args[0], howToLookUp)}
			}
			if err := s.load(); err != nil {
				return err
			}
			return s.segments(c, id, asJSON)
		},
	}
	c.Flags().SortFlags = false
	c.Flags().BoolVar(&asJSON, "json", false, "a JSON object per segment")
	s.addFlags(c, clickhouseFlags...)
	return c
}

const howToLookUp = `look ids up in ClickHouse: SELECT flow_id, * FROM biflows FINAL WHERE client_addr = toIPv6('192.0.2.1') AND time_opened >= now() - INTERVAL 1 DAY`

func (s *settings) segments(c *cobra.Command, id uint64, asJSON bool) error {
	conn, err := schema.Connect(c.Context(), s.cfg.ClickHouse)
	if err != nil {
		return err
	}
	defer conn.Close()
	told, err := tellStory(c.Context(), conn, id)
	if err != nil {
		return err
	}
	if told == nil {
		return fmt.Errorf("the ledger %s has no conversation %d (they are kept for 90 days by default); %s", s.cfg.ClickHouse.Database, id, howToLookUp)
	}
	out := bufio.NewWriter(c.OutOrStdout())
	if !asJSON {
		told.print(out)
	} else {
		var p jsonline.Printer
		for _, f := range told.segments {
			fmt.Fprintf(out, `{"flow_id":"%d","role":"%s",%s`+"\n", id, told.role(f), p.Append(nil, f)[1:])
		}
		for _, d := range told.differences() {
			fmt.Fprintln(c.ErrOrStderr(), d)
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("cannot write to standard output: %w", err)
	}
	return nil
}
