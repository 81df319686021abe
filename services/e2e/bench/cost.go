package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"time"
)

// Systems as they stand in the lines.
const (
	lineRun    = "flowctl run --emit none"
	lineNfcapd = "nfcapd"
	// lineNfcapdPacked is nfcapd with files that are compressed, by LZ4.
	lineNfcapdPacked = "nfcapd, compressed"

	lineNfdump = "nfdump -B"
	lineBoth   = "nfcapd + nfdump -B"
	lineFloor  = "one vtprotobuf decode + encode"
	lineDecode = "decode, map and write alone"
	// asideUncompressed stands behind the name of a stage whose topics are not compressed.
	asideUncompressed = ", uncompressed"
	// lineCompressed is ingest with the compression that it has by default.
	lineCompressed = "ingest, compressed"
)

// cost is what a process used from its start to its end.
type cost struct {
	user, system time.Duration // CPU time
	rss          int64         // peak resident memory, bytes
	allocations  float64       // per record, where they are counted
}

func (c cost) cpu() time.Duration { return c.user + c.system }

// and is the cost of two processes of which one follows the other: CPU adds up,
// of the memory the larger counts.
func (c cost) and(o cost) cost {
	return cost{user: c.user + o.user, system: c.system + o.system, rss: max(c.rss, o.rss)}
}

// table has the costs of each system, one per round, in order of first mention.
type table struct {
	names []string
	costs map[string][]cost
}

func (t *table) add(system string, c cost) {
	if t.costs == nil {
		t.costs = map[string][]cost{}
	}
	if t.costs[system] == nil {
		t.names = append(t.names, system)
	}
	t.costs[system] = append(t.costs[system], c)
	say("  %-24s %7.3f s CPU (%.3f user, %.3f system), %5d MB", system,
		c.cpu().Seconds(), c.user.Seconds(), c.system.Seconds(), c.rss>>20)
}

// line is one system's result. Other than the totals, min and max are over the
// rounds: how quiet the machine was.
type line struct {
	System        string  `json:"system"`
	Input         string  `json:"input"`
	Records       uint64  `json:"records"`
	CPUSeconds    float64 `json:"cpu_seconds"`
	UserSeconds   float64 `json:"user_seconds"`
	SystemSeconds float64 `json:"system_seconds"`
	NsPerRecord   float64 `json:"ns_per_record"`
	PeakRSSBytes  int64   `json:"peak_rss_bytes"`
	CPUSecondsMin float64 `json:"cpu_seconds_min"`
	CPUSecondsMax float64 `json:"cpu_seconds_max"`
	Rounds        int     `json:"rounds"`
	// Allocations are per record, where the measurement is in this process.
	Allocations *float64 `json:"allocations_per_record,omitempty"`
}

// ratio compares two systems.
type ratio struct {
	Ratio string  `json:"ratio"`
	Input string  `json:"input"`
	CPU   float64 `json:"cpu"`
	RSS   float64 `json:"rss"`
}

// print writes a line per system, and how we stand to others.
func (t *table) print(w io.Writer, in *input) error {
	for _, name := range t.names {
		if err := write(w, t.line(name, in)); err != nil {
			return err
		}
	}
	for _, r := range []struct{ us, them string }{
		{lineRun, lineBoth}, {"dedup", lineFloor}, {"dedup" + asideUncompressed, lineFloor}, {"stitch", lineFloor}, {"stitch" + asideUncompressed, lineFloor},
		{systemIngest, lineNfcapd}, {systemIngest, systemGoflow}, {lineCompressed, lineNfcapdPacked}, {lineCompressed, lineNfcapd}, {lineCompressed, systemGoflow},
	} {
		if err := t.compare(w, in, r.us, r.them); err != nil {
			return err
		}
	}
	return nil
}

// compare writes how a system stands to another, where both were measured.
func (t *table) compare(w io.Writer, in *input, us, them string) error {
	if len(t.costs[us]) == 0 || len(t.costs[them]) == 0 {
		return nil
	}
	a, b := t.line(us, in), t.line(them, in)
	return write(w, ratio{
		Ratio: us + " / (" + them + ")", Input: in.name,
		CPU: per(a.CPUSeconds, b.CPUSeconds),
		RSS: per(float64(a.PeakRSSBytes), float64(b.PeakRSSBytes)),
	})
}

func write(w io.Writer, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

// line is the round of median CPU, with the median of the memory.
func (t *table) line(system string, in *input) line {
	rounds := slices.Clone(t.costs[system])
	slices.SortFunc(rounds, func(a, b cost) int { return cmp.Compare(a.rss, b.rss) })
	middle := (len(rounds) - 1) / 2
	rss := rounds[middle].rss
	slices.SortStableFunc(rounds, func(a, b cost) int { return cmp.Compare(a.cpu(), b.cpu()) })
	c := rounds[middle]
	l := line{
		System: system, Input: in.name, Records: in.DataRecords,
		CPUSeconds: milli(c.cpu()), UserSeconds: milli(c.user), SystemSeconds: milli(c.system),
		NsPerRecord:  round(float64(c.cpu().Nanoseconds())/float64(in.DataRecords), 10),
		PeakRSSBytes: rss, Rounds: len(rounds),
		CPUSecondsMin: milli(rounds[0].cpu()), CPUSecondsMax: milli(rounds[len(rounds)-1].cpu()),
	}
	if system == lineDecode {
		allocations := round(c.allocations, 1e4)
		l.Allocations = &allocations
	}
	return l
}

func milli(d time.Duration) float64 { return round(d.Seconds(), 1000) }

func round(f, parts float64) float64 { return math.Round(f*parts) / parts }

// per is a ratio to two decimals, 0 where there is nothing to compare with.
func per(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return round(a/b, 100)
}
