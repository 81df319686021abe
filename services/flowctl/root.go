package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const rootLong = `flowctl works with Flowledger, the general ledger of a network: every flow that
any device reports, de-duplicated, stitched into conversations, and judged.

Begin here:
  flowctl run capture.pcap          the whole pipeline on a capture, without any server
  flowctl dev --dir ./data          a broker and a database on this machine
  flowctl replay capture.pcap --to 127.0.0.1:2055
                                    a capture as a router would send it`

// Groups of the help.
const (
	groupOffline = "offline"
	groupCluster = "cluster"
)

// newRoot is the whole command tree.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "flowctl",
		Short:         "Work with Flowledger: run captures, feed a cluster, look into it",
		Long:          rootLong,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownCommand,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SuggestionsMinimumDistance = 2
	root.AddGroup(
		&cobra.Group{ID: groupOffline, Title: "Without a server:"},
		&cobra.Group{ID: groupCluster, Title: "With a cluster:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupOffline, newRunCommand(), newReplayCommand(), newSimulateCommand())
	add(groupCluster, newDevCommand(), newDemoCommand(), newPublishCommand(), newTopicsCommand(), newTailCommand(), newPolicyCommand(), newHuntCommand(), newMigrateCommand())
	root.AddCommand(newVersionCommand(), newReferenceCommand())
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see `%s --help`", err, c.CommandPath())}
	})
	return root
}

// unknownCommand refuses what is no command, and guesses what was meant.
func unknownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	msg := fmt.Sprintf("there is no command %q", args[0])
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		msg += "; did you mean " + strings.Join(near, " or ") + "?"
	} else if strings.Contains(args[0], ".") {
		msg += fmt.Sprintf("; to read a capture: flowctl run %s", args[0])
	} else {
		msg += "; `flowctl --help` lists them"
	}
	return usageError{errors.New(msg)}
}

// needFiles refuses a command line without captures.
func needFiles(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError{fmt.Errorf("no capture named: give one or more pcap or pcapng files (gzip or zstd too), or - for standard input, as in `%s capture.pcap`", c.CommandPath())}
	}
	stdin := 0
	for _, a := range args {
		if a == "-" {
			stdin++
		}
	}
	if stdin > 1 {
		return usageError{errors.New("standard input (-) is named twice; it can be read once")}
	}
	return nil
}

// noArgs refuses arguments where none are meant.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%q is not understood; see `%s --help`", args[0], c.CommandPath())}
	}
	return nil
}
