package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/pipeline"
)

// bench measures inputs one after the other.
type bench struct {
	*options
	dir string
}

// input is what all systems are given.
type input struct {
	name, path                    string
	DataRecords, Flows, Datagrams uint64
}

// generate makes the capture of --records and --seed.
func (b *bench) generate(ctx context.Context) (string, error) {
	path := filepath.Join(b.dir, "generated.pcap")
	return path, b.generateTo(ctx, path, b.records)
}

// generateTo makes a capture of so many records.
func (b *bench) generateTo(ctx context.Context, path string, records uint64) error {
	say("generating %d NetFlow v9 records, seed %d", records, b.seed)
	_, err := b.finish(ctx, b.command("simulate", "flowctl", "simulate", "--scenario", "load", "--protocol", "v9", "--quiet",
		"--records", strconv.FormatUint(records, 10), "--seed", strconv.FormatUint(b.seed, 10), "-o", path))
	return err
}

// input measures all chosen systems with one capture and prints the result.
func (b *bench) input(ctx context.Context, name, path string) error {
	in, err := b.look(name, path)
	if err != nil {
		return err
	}
	say("%s: %d datagrams with %d data records", in.name, in.Datagrams, in.DataRecords)
	if b.loss {
		return b.measureLoss(ctx, in)
	}
	var t table
	for round := range b.rounds {
		say("%s: round %d of %d", in.name, round+1, b.rounds)
		if err := b.round(ctx, in, &t); err != nil {
			return err
		}
	}
	return t.print(os.Stdout, in)
}

// look counts what is in a capture, and warms the file cache.
func (b *bench) look(name, path string) (*input, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	in := &input{name: name, path: path}
	n := normalize.New(normalize.Default())
	var out normalize.Result
	count := func() {
		in.Datagrams += out.Datagrams
		in.DataRecords += out.DataRecords
		in.Flows += uint64(len(out.Flows))
		out.Reset()
	}
	if err := pipeline.ReadCapture(path, func(d normalize.Datagram) { n.Datagram(d, &out); count() }); err != nil {
		return nil, err
	}
	n.End(&out)
	count()
	if in.DataRecords == 0 {
		return nil, fmt.Errorf("there are no flow records in %s", path)
	}
	return in, nil
}

// round measures every chosen system once.
func (b *bench) round(ctx context.Context, in *input, t *table) error {
	if b.chosen(systemRun) {
		c, err := b.finish(ctx, b.command("run", "flowctl", "run", "--emit", "none", "--quiet", in.path))
		if err != nil {
			return err
		}
		t.add(lineRun, c)
	}
	if b.chosen(systemNfdump) || b.chosen(systemNfcapd) {
		if err := b.nfdump(ctx, in, t); err != nil {
			return err
		}
	}
	if b.chosen(systemFloor) {
		c, err := floor(in.path)
		if err != nil {
			return err
		}
		t.add(lineFloor, c)
	}
	if b.chosen(systemDecode) {
		c, err := decode(in.path)
		if err != nil {
			return err
		}
		t.add(lineDecode, c)
	}
	if err := b.services(ctx, in, t); err != nil {
		return err
	}
	if b.chosen(systemGoflow) {
		return b.goflow2(ctx, in, t)
	}
	return nil
}
