package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/flowledger/flowledger/services/internal/capture"
)

const replayLong = `Send the export datagrams of captures to a UDP port, as the exporters did, with
the spacing they had; IPFIX that went over TCP goes over UDP now.

What arrives comes from this host's addresses: by default all from one address
and port, so that several exporters look like one. --spread gives each exporter
in the capture a loopback address of its own (192.0.2.7 becomes 127.0.2.7 where
that is free) and keeps them apart; it works towards loopback only, on Linux.

The times inside the datagrams are the capture's. To have them in a cluster's
ledger exactly as offline, with the capture's clock, use "flowctl publish".`

const replayExample = `  flowctl replay capture.pcap --to 127.0.0.1:2055
  flowctl replay capture.pcap --to 127.0.0.1:2055 --speed 10 --spread
  flowctl replay *.pcap.gz --to collector:2055 --rate 5000 --loop`

// replay is one invocation of the command.
type replay struct {
	input
	sources
	speed speed
	rate  float64
	loop  bool

	sent, bytes, refused uint64
}

func newReplayCommand() *cobra.Command {
	r := &replay{speed: 1}
	c := &cobra.Command{
		Use:     "replay FILE... --to HOST:PORT",
		Short:   "Send a capture's datagrams to a UDP port, as routers would",
		Long:    replayLong,
		Example: replayExample,
		Args:    needFiles,
		RunE: func(c *cobra.Command, args []string) error {
			r.files, r.stderr = args, c.ErrOrStderr()
			if err := r.check(); err != nil {
				return usageError{err}
			}
			return r.run(c.Context())
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&r.to, "to", "", "where to send: host:port (required)")
	f.Var(&r.speed, "speed", "how much faster than it was: 1, 10, 0.5 …, or max for no pauses at all")
	f.Float64Var(&r.rate, "rate", 0, "send this many datagrams a second, evenly, instead of keeping the capture's spacing")
	f.BoolVar(&r.loop, "loop", false, "begin anew at the end, until interrupted")
	f.StringVar(&r.bind, "bind", "", "send from this address of this host")
	f.BoolVar(&r.spread, "spread", false, "send from a loopback address (127.x.y.z) per exporter in the capture")
	f.BoolVar(&r.fromPort, "from-port", false, "send from the ports that the exporters sent from")
	r.addFlags(c)
	return c
}

func (r *replay) check() error {
	switch {
	case r.to == "":
		return errors.New("where to? Give --to HOST:PORT, for example --to 127.0.0.1:2055")
	case r.rate < 0:
		return fmt.Errorf("--rate %v: must be above zero", r.rate)
	case r.loop && slices.Contains(r.files, "-"):
		return errors.New("--loop cannot begin anew with standard input; name a file")
	case r.spread && r.bind != "":
		return errors.New("--spread picks the addresses itself; leave --bind away")
	}
	return nil
}

func (r *replay) run(ctx context.Context) error {
	if err := r.resolve(); err != nil {
		return err
	}
	defer r.close()
	start := time.Now()
	var err error
	for err == nil {
		before := r.sent
		captures, openErr := r.open()
		if openErr != nil {
			return openErr
		}
		pace := pacer{speed: float64(r.speed), rate: r.rate}
		var st capture.Stats
		st, err = r.each(ctx, captures, func(d *capture.Datagram) error {
			if err := pace.wait(ctx, d.Time); err != nil {
				return err
			}
			return r.send(d)
		})
		if !r.loop || r.sent == before {
			r.remark(remarks(st, r.files))
			break
		}
	}
	r.report(time.Since(start))
	if err == nil && r.refused > 0 {
		err = fmt.Errorf("%s of %s datagrams were refused: nobody listened on %s", count(r.refused), count(r.sent), r.to)
	}
	return err
}

// send sends one datagram from the source that is its exporter's.
func (r *replay) send(d *capture.Datagram) error {
	if len(d.Payload) == 0 && d.Session != 0 { // the end of a TCP connection
		return nil
	}
	conn, err := r.of(d.Src)
	if err != nil {
		return err
	}
	_, err = conn.Write(d.Payload)
	if errors.Is(err, syscall.ECONNREFUSED) {
		// The answer to an earlier datagram; this one was not sent. Try once more.
		if r.refused == 0 {
			r.remark([]string{fmt.Sprintf("nobody listens on %s (start ingest, or look at its listen addresses); sending goes on", r.to)})
		}
		r.refused++
		_, err = conn.Write(d.Payload)
		if errors.Is(err, syscall.ECONNREFUSED) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("cannot send to %s: %w", r.to, err)
	}
	r.sent++
	r.bytes += uint64(len(d.Payload))
	return nil
}

func (r *replay) remark(lines []string) {
	if r.quiet {
		return
	}
	for _, line := range lines {
		fmt.Fprintln(r.stderr, "note:", line)
	}
}

func (r *replay) report(took time.Duration) {
	if r.quiet {
		return
	}
	fmt.Fprintf(r.stderr, "sent %s datagrams (%s) to %s in %.1f s\n", count(r.sent), size(r.bytes), r.to, took.Seconds())
	for _, line := range r.mapping() {
		fmt.Fprintln(r.stderr, "  "+line)
	}
}

// pacer waits until a datagram is due.
type pacer struct {
	speed, rate float64
	start       time.Time
	first       uint64
	n           int
}

// wait returns when the datagram with this time of capture is due.
func (p *pacer) wait(ctx context.Context, at uint64) error {
	if p.n == 0 {
		p.start, p.first = time.Now(), at
	}
	due := p.due(at)
	p.n++
	pause := due - time.Since(p.start)
	if pause < time.Millisecond {
		return nil // shorter than timers are precise; what follows makes up for it
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// due is how long after the first datagram this one is to go out.
func (p *pacer) due(at uint64) time.Duration {
	switch {
	case p.rate > 0:
		return time.Duration(float64(p.n) / p.rate * float64(time.Second))
	case p.speed > 0:
		return time.Duration(float64(at-p.first) / p.speed)
	}
	return 0
}

// speed is the value of --speed; 0 is no pauses.
type speed float64

func (s *speed) Set(text string) error {
	if text == "max" {
		*s = 0
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f > 0) || f > 1e9 {
		return fmt.Errorf("%q is no speed: a number above zero (1 is as it was, 10 ten times faster) or max", text)
	}
	*s = speed(f)
	return nil
}

func (s *speed) Type() string { return "factor" }

func (s *speed) String() string {
	if *s == 0 {
		return "max"
	}
	return strconv.FormatFloat(float64(*s), 'g', -1, 64)
}
