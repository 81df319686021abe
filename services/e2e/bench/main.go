// Command bench measures what the programs cost: CPU and memory of `flowctl run`
// beside nfcapd and `nfdump -B` on the same records, and of each service when the
// same records go through a broker.
//
//	capture ──▶ flowctl run --emit none
//	        ──▶ UDP ──▶ nfcapd ──files──▶ nfdump -B
//	        ──▶ flowctl publish ──▶ broker ◀──▶ dedup, stitch, detect, sink, one after the other
//	        ──▶ UDP ──▶ ingest ──▶ broker
//	        ──▶ UDP ──▶ goflow2 ──▶ /dev/null
//	        ──▶ the floor: one decode and one encode of the same flows by the generated code, in this process
//	        ──▶ decode: datagrams to flows, as ingest does it, in this process
//
// All systems run in turn, round after round, so that the machine's moods meet
// all of them; of the rounds the median counts. Standard output is one JSON
// object per line, standard error says what is going on. Everything stays on
// loopback, and nothing is left running.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Names of what can be measured, as --systems takes them. The stages are in the
// order of the pipeline: each reads what the one before it wrote.
const (
	systemRun    = "run"
	systemNfdump = "nfdump" // nfcapd, and then nfdump
	systemIngest = "ingest"
	systemNfcapd = "nfcapd" // without nfdump
	systemGoflow = "goflow2"
	systemFloor  = "floor"
	systemDecode = "decode"
)

var (
	stages  = []string{"dedup", "stitch", "detect", "sink"}
	floored = stages[:2] // those that the floor is the measure of
	systems = slices.Concat([]string{systemRun, systemNfdump}, stages, []string{systemIngest, systemNfcapd, systemGoflow, systemFloor, systemDecode})
	// usual are measured where nothing is chosen.
	usual = slices.Concat([]string{systemRun, systemNfdump}, stages, []string{systemIngest, systemFloor})
)

// options are the flags.
type options struct {
	bin, capture string
	goflow2      string
	records      uint64
	seed         uint64
	rounds       int
	systems      []string
	rate         float64
	loss         bool
	keep         bool
	points       []point
}

func main() {
	o := options{systems: usual}
	flag.StringVar(&o.bin, "bin", "bin", "folder with the binaries of make build")
	flag.StringVar(&o.capture, "capture", "", "capture to measure with; empty for none")
	flag.Uint64Var(&o.records, "records", 1_000_000, "number of NetFlow v9 records to generate and measure with; 0 for none")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of the generated records")
	flag.IntVar(&o.rounds, "rounds", 3, "how often everything is measured; the medians are printed")
	flag.Func("systems", "what to measure, with commas: "+strings.Join(systems, ", ")+" (default "+strings.Join(usual, ",")+")", o.choose)
	flag.Float64Var(&o.rate, "rate", defaultRate, "datagrams a second, at most, to whoever receives over UDP")
	flag.BoolVar(&o.loss, "loss", false, "instead: find the highest rate at which nfcapd loses nothing, and send at that to ingest")
	flag.StringVar(&o.goflow2, "goflow2", "", "goflow2's program, for that system")
	flag.Func("scale", "measure dedup and stitch at points RECORDSxPARTITIONSxPROCESSES instead, with commas; all for all", o.choosePoints)
	flag.BoolVar(&o.keep, "keep", false, "keep the working folder with its logs")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// choose takes --systems.
func (o *options) choose(list string) error {
	o.systems = nil
	for name := range strings.SplitSeq(list, ",") {
		if !slices.Contains(systems, name) {
			return fmt.Errorf("there is no system %q: choose among %s", name, strings.Join(systems, ", "))
		}
		o.systems = append(o.systems, name)
	}
	return nil
}

func (o *options) chosen(system string) bool { return slices.Contains(o.systems, system) }

// run measures each input and prints its lines once it is through.
func (o *options) run(ctx context.Context) (err error) {
	switch {
	case o.rounds < 1:
		return errors.New("--rounds: at least one round is needed")
	case o.capture == "" && o.records == 0 && o.points == nil:
		return errors.New("nothing to measure with: name a --capture, or say how many --records to generate")
	}
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "flowledger-bench-")
	if err != nil {
		return fmt.Errorf("cannot make a working folder: %w", err)
	}
	if o.keep {
		say("logs stay in %s", dir)
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	b := &bench{options: o, dir: dir}
	if o.points != nil {
		return b.scale(ctx)
	}
	if o.capture != "" {
		if err := b.input(ctx, inputName(o.capture), o.capture); err != nil {
			return err
		}
	}
	if o.records == 0 {
		return nil
	}
	generated, err := b.generate(ctx)
	if err != nil {
		return err
	}
	return b.input(ctx, "generated_v9", generated)
}

// inputName is a capture's file name without its endings.
func inputName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return name
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }
