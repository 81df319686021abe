package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/flowledger/flowledger/services/internal/run"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		Run: func(c *cobra.Command, _ []string) {
			fmt.Fprintln(c.OutOrStdout(), "flowctl", run.Version(), runtime.Version())
		},
	}
}
