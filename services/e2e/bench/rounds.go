package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// bench measures inputs one after the other.
type bench struct {
	*options
	dir string
}

// input is what all systems are given.
type input struct {
	name, path string
	// counts are what `flowctl run` finds in it.
	DataRecords uint64 `json:"data_records"`
	Flows       uint64 `json:"flows"`
	Datagrams   uint64 `json:"datagrams"`
}

// generate makes the capture of --records and --seed.
func (b *bench) generate(ctx context.Context) (string, error) {
	path := filepath.Join(b.dir, "generated.pcap")
	say("generating %d NetFlow v9 records, seed %d", b.records, b.seed)
	_, err := b.finish(ctx, b.command("simulate", "flowctl", "simulate", "--scenario", "load", "--protocol", "v9", "--quiet",
		"--records", strconv.FormatUint(b.records, 10), "--seed", strconv.FormatUint(b.seed, 10), "-o", path))
	return path, err
}

// input measures all chosen systems with one capture and prints the result.
func (b *bench) input(ctx context.Context, name, path string) error {
	in, err := b.look(ctx, name, path)
	if err != nil {
		return err
	}
	say("%s: %d datagrams with %d data records", in.name, in.Datagrams, in.DataRecords)
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
func (b *bench) look(ctx context.Context, name, path string) (*input, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	summary := filepath.Join(b.dir, "summary.json")
	if _, err := b.finish(ctx, b.command("look", "flowctl", "run", "--emit", "none", "--quiet", "--summary", summary, path)); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(summary)
	if err != nil {
		return nil, err
	}
	in := &input{name: name, path: path}
	if err := json.Unmarshal(text, in); err != nil {
		return nil, fmt.Errorf("cannot read the summary of flowctl run: %w", err)
	}
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
	if b.chosen(systemNfdump) {
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
	return b.services(ctx, in, t)
}
