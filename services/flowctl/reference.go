package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// newReferenceCommand prints docs/reference/flowctl.md.
func newReferenceCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "docs",
		Short:  "Print the reference page of all commands (Markdown)",
		Hidden: true,
		Args:   noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return writeReference(c.OutOrStdout(), c.Root())
		},
	}
}

// writeReference writes one page with a section per command.
func writeReference(w io.Writer, root *cobra.Command) error {
	var b strings.Builder
	b.WriteString("# flowctl\n\n<!-- Made by `flowctl docs`; a test keeps it in step with the code. -->\n\n")
	fence(&b, root.Long)
	walk(root, func(c *cobra.Command) {
		fmt.Fprintf(&b, "- [`%s`](#%s): %s\n", c.CommandPath(), anchor(c), c.Short)
	})
	walk(root, func(c *cobra.Command) { section(&b, c) })
	_, err := io.WriteString(w, b.String())
	return err
}

// walk visits the commands below c that people see, in the order of their names.
func walk(c *cobra.Command, visit func(*cobra.Command)) {
	for _, sub := range c.Commands() {
		if sub.Hidden || sub.Name() == "help" || sub.Name() == "completion" {
			continue
		}
		visit(sub)
		walk(sub, visit)
	}
}

func anchor(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

func section(b *strings.Builder, c *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n\n", c.CommandPath())
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fence(b, text)
	if c.Runnable() {
		fence(b, c.UseLine())
	}
	if c.Example != "" {
		b.WriteString("Examples:\n\n")
		fence(b, c.Example)
	}
	if flags := c.LocalFlags().FlagUsages(); flags != "" {
		b.WriteString("Flags:\n\n")
		fence(b, strings.TrimRight(flags, "\n"))
	}
}

func fence(b *strings.Builder, text string) {
	fmt.Fprintf(b, "```text\n%s\n```\n\n", strings.Trim(text, "\n"))
}
