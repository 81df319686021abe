package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowledger/flowledger/services/internal/capture"
	"github.com/flowledger/flowledger/services/internal/conf"
	"github.com/flowledger/flowledger/services/internal/pipeline"
)

const runLong = `Run the whole pipeline on captures of flow exports, and on logs, in this process:
decode, de-duplicate, stitch, detect. No server is needed, and the same capture gives
the same output, byte for byte; through Kafka it gives the same ledger too.

Standard output is one JSON object per line; standard error a summary. Several
captures are merged by time. The time of reception is the capture's. At the end
of the input everything open is closed with close_reason end_of_input. IPFIX that
was sent over TCP is read too, not through TLS.

Besides captures it takes AWS VPC flow logs (text, Parquet, in the JSON of Firehose or
CloudWatch, gzip or zstd too) and Zeek's dns.log (JSON or TSV), told apart by content.
A line of a log is received when its own interval ends. A folder stands for all files
below it.

--emit chooses what is printed:
  flows      every report as one exporter made it
  deduped    flows after de-duplication, with their reporters
  biflows    each conversation once, in its last version (the default)
  updates    every version of every conversation, as it came
  alerts     what the detectors found (OCSF Detection Finding)
  events     records that are no flows: firewall and NAT events, counters
  dns        answers to DNS questions, for passive DNS
  dead       what could not be used, with the reason
  none       nothing; the summary is left`

const runExample = `  flowctl run capture.pcap
  flowctl run --emit alerts monday.pcapng.gz tuesday.pcapng.gz | jq .message
  flowctl run --emit none --summary totals.json capture.pcap
  flowctl run --emit alerts AWSLogs/123456789012/vpcflowlogs/eu-west-1/2026/03/01
  tcpdump -i eth0 -w - udp port 2055 | flowctl run -
  flowctl run --policy policy.yaml capture.pcap
  flowctl run --set dedup.policy=first --emit deduped capture.pcap`

// runner is one invocation of `flowctl run`.
type runner struct {
	input
	settings
	emit    emit
	summary string
	policy  policyFile
	profiles
	logs logSettings
}

func newRunCommand() *cobra.Command {
	r := &runner{emit: "biflows"}
	var print bool
	c := &cobra.Command{
		Use:     "run FILE...",
		Short:   "Run the whole pipeline on captures, without any server",
		Long:    runLong,
		Example: runExample,
		Args: func(c *cobra.Command, args []string) error {
			if print {
				return nil
			}
			return needFiles(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := r.load(); err != nil {
				return err
			}
			if print {
				return conf.Print(c.OutOrStdout(), &r.cfg)
			}
			r.files, r.stderr = args, c.ErrOrStderr()
			collectLess()
			return r.profiles.around(func() error { return r.run(c.Context(), c.OutOrStdout()) })
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.Var(&r.emit, "emit", "what to print: "+strings.Join(emits, ", "))
	f.StringVar(&r.summary, "summary", "", "write the summary to this file, as JSON")
	r.settings.addFlags(c)
	r.policy.addFlag(c)
	f.BoolVar(&print, "print-config", false, "print the configuration in effect, as a commented YAML file, and stop")
	r.input.addFlags(c)
	r.logs.addFlags(c)
	r.profiles.addFlags(c)
	_ = c.RegisterFlagCompletionFunc("emit", cobra.FixedCompletions(emits, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// collectLess lets the heap grow to three times what is alive before the collector
// looks at it again, twice by default: the state only grows until the input ends, so
// there is little to be found, and looking took a twelfth of all CPU time. GOGC, where
// it is set, says otherwise.
func collectLess() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}

// run reads the captures through the pipeline. When a capture breaks off, what
// was read still comes to its proper end; the error comes after it.
func (r *runner) run(ctx context.Context, stdout io.Writer) error {
	start, cpu := time.Now(), cpuTime()
	policy, err := r.policy.fromStart()
	if err != nil {
		return err
	}
	logs, captures, err := r.openAll()
	if err != nil {
		return err
	}
	buf := bufio.NewWriterSize(stdout, 1<<18)
	out := &printer{w: buf}
	p, err := pipeline.New(r.cfg.Config, r.emit.observer(out))
	if err != nil {
		return err
	}
	if err := p.Policy(policy); err != nil {
		return err
	}
	st, readErr := r.each(ctx, captures, func(d *capture.Datagram) error {
		logs.until(d.Time, p)
		p.Datagram(pipeline.AsReceived(d))
		return out.err
	})
	logs.until(math.MaxUint64, p)
	if out.err != nil {
		return out.err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.End()
	if err := out.end(buf); err != nil {
		return err
	}
	sum := newSummary(p.Summary(), time.Since(start), cpuTime()-cpu)
	return errors.Join(r.report(&sum, st, logs), readErr, logs.err())
}

func (r *runner) report(sum *summary, st capture.Stats, logs *logs) error {
	if !r.quiet {
		sum.print(r.stderr, len(r.files), st)
		logs.print(r.stderr)
		notes := logs.remarks()
		if len(r.files) > 0 || logs.files == 0 {
			notes = append(notes, remarks(st, r.files)...)
		}
		for _, line := range notes {
			fmt.Fprintln(r.stderr, "note:", line)
		}
	}
	if r.summary == "" {
		return nil
	}
	if err := os.WriteFile(r.summary, sum.json(), 0o644); err != nil {
		return fmt.Errorf("cannot write the summary: %w", err)
	}
	return nil
}
