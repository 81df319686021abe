package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/flowledger/flowledger/services/internal/simulate"
)

const simulateLong = `Make a capture of flow exports, and the truth about what the exporters saw.

Scenarios:
  talk  A host (10.20.1.57) visits a bad site, fetches from a host never seen
        before, opens a long SSH session outward, and scans its neighbours on 445
        and 135; amid the ordinary traffic of an office; seen by an access switch
        (NetFlow v5), the core router (v9, ingress and egress) and the edge
        (IPFIX). The one alert to expect: address_scan for 10.20.1.57.
  load  As many flow records as wanted, for measuring: both directions of each
        conversation, heavy-tailed sizes, long ones in several segments, one in
        twenty an unanswered probe, one in twenty IPv6.` + simulatePathLong + `

The same flags give the same bytes. --truth writes what a perfect ledger holds,
one JSON object per conversation; --expected the alerts and the story's steps.
Names that end in .gz are compressed; - is standard output.`

const simulateExample = `  flowctl simulate -o talk.pcap.gz --truth talk.truth.jsonl.gz --expected talk.expected.json
  flowctl simulate -o today.pcap --start now --compact
  flowctl simulate -o office.pcap --duration 8h --hosts 120 --exporters 5 --seed 7
  flowctl simulate --scenario load --records 1000000 -o load.pcap --truth load.truth.jsonl.gz
  flowctl simulate --scenario path --exporters 3 --active 1m,5m,30m --loss 0.01 -o path.pcap --truth path.truth.jsonl.gz
  flowctl simulate -o - | flowctl run -`

// compact is the length of the talk's short form.
const compact = 40 * time.Second

// simulation is one invocation of `flowctl simulate`.
type simulation struct {
	scenario, start         string
	output, truth, expected string
	talk                    simulate.TalkConfig
	load                    simulate.LoadConfig
	path                    simulate.PathConfig
	sampling                []uint
	seed                    uint64
	exporters               int
	protocol                string
	compact, quiet          bool
	stderr                  io.Writer
	network                 time.Duration // network time, for the progress
	playing                 simulate.Scenario
	collector               netip.Addr
	changed                 func(flag string) bool
}

func newSimulateCommand() *cobra.Command {
	s := &simulation{talk: simulate.DefaultTalk(), load: simulate.DefaultLoad(), path: simulate.DefaultPath()}
	c := &cobra.Command{
		Use:     "simulate -o FILE",
		Short:   "Make a capture of a network's flow exports, with its truth",
		Long:    simulateLong,
		Example: simulateExample,
		Args:    noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s.stderr, s.changed = c.ErrOrStderr(), c.Flags().Changed
			if err := s.choose(); err != nil {
				return usageError{err}
			}
			return s.run(c.Context(), c.OutOrStdout())
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&s.output, "output", "o", "", "the capture to write (required)")
	f.StringVar(&s.truth, "truth", "", "write every conversation to this file, one JSON object per line")
	f.StringVar(&s.expected, "expected", "", "write the alerts to expect and the story to this file, as JSON (talk)")
	f.StringVar(&s.scenario, "scenario", "talk", "what to play: talk, load or path")
	f.Uint64Var(&s.seed, "seed", 1, "another seed, another course of events")
	f.StringVar(&s.start, "start", s.talk.Start.Format(time.RFC3339), "when it begins: a time (RFC 3339), or now")
	f.IntVar(&s.exporters, "exporters", 0, "number of exporters (talk, path: 3 by default; load: 1); path: in a row")
	f.DurationVar(&s.talk.Duration, "duration", s.talk.Duration, "length in network time (talk, path)")
	f.BoolVar(&s.compact, "compact", false, "the whole story in 40 seconds, with short timeouts (talk)")
	f.IntVar(&s.talk.Hosts, "hosts", s.talk.Hosts, "number of users' hosts (talk)")
	f.Uint64Var(&s.load.Records, "records", s.load.Records, "number of flow records of all exporters together (load)")
	f.Float64Var(&s.load.Rate, "rate", s.load.Rate, "records per second of network time (load)")
	f.StringVar(&s.protocol, "protocol", string(s.load.Protocol), "v5, v9 or ipfix (load, path: a list)")
	s.addPathFlags(f)
	f.BoolVarP(&s.quiet, "quiet", "q", false, "no progress and no summary on standard error")
	_ = c.RegisterFlagCompletionFunc("scenario", cobra.FixedCompletions([]string{"talk", "load", "path"}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("protocol", cobra.FixedCompletions([]string{"v5", "v9", "ipfix"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// choose makes the scenario from the flags.
func (s *simulation) choose() error {
	if s.output == "" {
		return errors.New("where to? Give -o FILE, for example -o talk.pcap.gz")
	}
	start, err := parseStart(s.start, time.Now)
	if err != nil {
		return err
	}
	switch s.scenario {
	case "talk":
		return s.chooseTalk(start)
	case "load":
		return s.chooseLoad(start)
	case "path":
		return s.choosePath(start)
	}
	return fmt.Errorf("there is no scenario %q: choose talk, load or path", s.scenario)
}

func (s *simulation) chooseTalk(start time.Time) error {
	if err := s.refuse("load", "records", "rate", "protocol"); err != nil {
		return err
	}
	if err := s.refuse("path", pathFlags...); err != nil {
		return err
	}
	if s.compact {
		if s.changed("duration") {
			return errors.New("--compact is a duration of 40s; leave one of --compact and --duration away")
		}
		s.talk.Duration = compact
	}
	s.talk.Seed, s.talk.Start = s.seed, start
	if s.changed("exporters") {
		s.talk.Exporters = s.exporters
	}
	t, err := simulate.NewTalk(s.talk)
	if err != nil {
		return err
	}
	s.playing, s.network, s.collector = t, s.talk.Duration, t.Collector()
	return nil
}

func (s *simulation) chooseLoad(start time.Time) error {
	if err := s.refuse("talk", "duration", "compact", "hosts", "expected"); err != nil {
		return err
	}
	if err := s.refuse("path", pathFlags...); err != nil {
		return err
	}
	s.load.Seed, s.load.Start, s.load.Protocol = s.seed, start, simulate.Protocol(s.protocol)
	if s.changed("exporters") {
		s.load.Exporters = s.exporters
	}
	l, err := simulate.NewLoad(s.load)
	if err != nil {
		return err
	}
	s.playing, s.collector = l, l.Collector()
	s.network = time.Duration(float64(s.load.Records) / s.load.Rate * float64(time.Second))
	return nil
}

// refuse refuses flags that belong to another scenario.
func (s *simulation) refuse(other string, flags ...string) error {
	for _, f := range flags {
		if s.changed(f) {
			return fmt.Errorf("--%s belongs to --scenario %s; the scenario is %s", f, other, s.scenario)
		}
	}
	return nil
}

// parseStart reads --start.
func parseStart(text string, now func() time.Time) (time.Time, error) {
	if text == "now" {
		return now().Truncate(time.Millisecond), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, fmt.Errorf("--start %q: give a time such as 2026-03-02T09:00:00Z, or now", text)
	}
	return t, nil
}

// run plays the scenario into its files.
func (s *simulation) run(ctx context.Context, stdout io.Writer) (err error) {
	began := time.Now()
	files, err := s.open(stdout)
	if err != nil {
		return err
	}
	defer func() { err = files.close(err) }()
	pcap, err := simulate.NewPcapWriter(files.capture, s.playing.Exporters(), s.collector)
	if err != nil {
		return err
	}
	bar := s.progress()
	first := int64(0)
	sum, err := s.playing.Run(simulate.Output{
		Datagram: func(d simulate.Datagram) error {
			if first == 0 {
				first = d.At
			}
			bar.at(min(d.At-first, int64(s.network)))
			if err := ctx.Err(); err != nil {
				return err
			}
			return pcap.Write(d)
		},
		Truth: files.conversation,
	})
	bar.finish()
	if err != nil {
		return err
	}
	if err := files.expect(s.playing); err != nil {
		return err
	}
	if !s.quiet {
		s.report(sum, time.Since(began))
	}
	return nil
}

// progress is a bar of network time.
func (s *simulation) progress() *progress {
	if s.quiet || !isTerminal(s.stderr) {
		return &progress{}
	}
	return &progress{start: time.Now(), make: func() *progressbar.ProgressBar {
		return progressbar.NewOptions64(int64(s.network), progressbar.OptionSetWriter(s.stderr),
			progressbar.OptionSetDescription("playing"), progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30))
	}}
}

// report says what was made.
func (s *simulation) report(sum *simulate.Summary, took time.Duration) {
	w := s.stderr
	span := time.Duration(sum.Last - sum.First).Round(100 * time.Millisecond)
	fmt.Fprintf(w, "%s: %s over %s of network time, in %.1f s\n", s.scenario, plural(sum.Datagrams, "datagram"), span, took.Seconds())
	fmt.Fprintf(w, "  conversations %12s  %s in %s packets\n", count(sum.Conversations), size(sum.Bytes), count(sum.Packets))
	fmt.Fprintf(w, "  records       %12s\n", count(sum.Records()))
	for i, x := range sum.Exporters {
		fmt.Fprintf(w, "    %-11s %12s  %s, %s, from %s\n", x.Name, count(x.Records), x.Protocol,
			plural(x.Datagrams, "datagram"), s.playing.Exporters()[i].Addr)
	}
}
