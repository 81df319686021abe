package run

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flowledger/flowledger/services/internal/conf"
)

// configVariable names the configuration file where --config does not.
const configVariable = conf.EnvPrefix + "CONFIG"

// program is one invocation of a service's binary.
type program struct {
	Service
	args           []string
	environ        []string
	stdout, stderr io.Writer
	signals        <-chan os.Signal

	file  string
	flags *conf.Flags
	code  int
}

// main runs the command line and returns the exit code.
func (p *program) main() int {
	root := p.command()
	root.SetArgs(p.args)
	root.SetOut(p.stdout)
	root.SetErr(p.stderr)
	if err := root.Execute(); err != nil {
		p.complain(err)
		return ExitUsage
	}
	return p.code
}

// complain prints an error of several lines under the binary's name.
func (p *program) complain(err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(p.stderr, "%s: %s\n", p.Name, strings.TrimRight(line, "\n"))
	}
}

func (p *program) command() *cobra.Command {
	settings := pflag.NewFlagSet(p.Name, pflag.ContinueOnError)
	settings.SortFlags = false
	settings.StringVar(&p.file, "config", p.defaultFile(), "the configuration file (YAML); also "+configVariable)
	p.flags = conf.AddFlags(settings, p.Config)

	serve := func(*cobra.Command, []string) error {
		if err := p.load(); err != nil {
			return err
		}
		p.code = p.serve()
		return nil
	}
	root := &cobra.Command{
		Use: p.Name, Short: p.Short, Long: p.Long + configurationHelp, Args: noArguments,
		RunE: serve, SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	runs := &cobra.Command{Use: "run", Short: "Run the service (the default)", Args: noArguments, RunE: serve}
	version := &cobra.Command{Use: "version", Short: "Print the version", Args: noArguments, Run: func(c *cobra.Command, _ []string) {
		fmt.Fprintln(c.OutOrStdout(), p.Name, Version(), runtime.Version())
	}}
	print := p.printCommand()
	for _, c := range []*cobra.Command{root, runs, print} {
		c.Flags().SortFlags = false
		c.Flags().AddFlagSet(settings)
	}
	config := &cobra.Command{Use: "config", Short: "Print or check the configuration", Args: noArguments}
	config.AddCommand(print, p.checkCommand())
	root.AddCommand(runs, p.healthCommand(settings), config, version)
	return root
}

const configurationHelp = `

Configuration: the defaults below, over them the file named by --config (YAML),
over it variables (kafka.brokers is FLOWLEDGER_KAFKA_BROKERS; lists have commas),
over them flags. "config print --default" writes a commented file to start from.`

func (p *program) defaultFile() string {
	for _, entry := range p.environ {
		if value, ok := strings.CutPrefix(entry, configVariable+"="); ok {
			return value
		}
	}
	return ""
}

func (p *program) load() error {
	return conf.Load(p.Config, conf.Sources{File: p.file, Env: p.environ, Flags: p.flags})
}

// printCommand writes the effective or the default configuration.
func (p *program) printCommand() *cobra.Command {
	var defaults bool
	c := &cobra.Command{
		Use:   "print",
		Short: "Print the configuration in effect, as a commented YAML file",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if !defaults {
				if err := p.load(); err != nil {
					return err
				}
			}
			return conf.Print(c.OutOrStdout(), p.Config)
		},
	}
	c.Flags().BoolVar(&defaults, "default", false, "print the defaults, whatever file, variables and flags say")
	return c
}

// checkCommand holds a file, and if asked the environment, against the types.
func (p *program) checkCommand() *cobra.Command {
	var environment bool
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration file without running anything; exit code 2 if it is wrong",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && !environment {
				return errors.New("nothing to check; name a file, or give --environment")
			}
			var s conf.Sources
			if len(args) > 0 {
				s.File = args[0]
			}
			if environment {
				if err := conf.CheckEnv(p.Config, p.environ, configVariable); err != nil {
					return err
				}
				s.Env = p.environ
			}
			if err := conf.Load(p.Config, s); err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "the configuration is good")
			return nil
		},
	}
	c.Flags().BoolVar(&environment, "environment", false, "check the "+conf.EnvPrefix+" variables too: each must name a key of this service")
	return c
}

func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unknown command or argument %q; see %s --help", args[0], c.CommandPath())
	}
	return nil
}
