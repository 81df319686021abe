package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// point is one size of a deployment: so many records, partitions of every topic, and
// processes of each stage that share them.
type point struct {
	records               uint64
	partitions, processes int
}

func (p point) String() string { return fmt.Sprintf("%dx%dx%d", p.records, p.partitions, p.processes) }

// allPoints are from 0.3 to 10 million records with the usual partitions, and three million
// records over up to 8 partitions and 4 processes.
var allPoints = func() (all []point) {
	for _, records := range []uint64{300_000, 1_000_000, 3_000_000, 10_000_000} {
		all = append(all, point{records, 4, 1})
	}
	for _, partitions := range []int{1, 2, 4, 8} {
		for _, processes := range []int{1, 2, 4} {
			if p := (point{3_000_000, partitions, processes}); processes <= partitions && !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all
}()

// choosePoints takes --scale.
func (o *options) choosePoints(list string) error {
	if list == "all" {
		o.points = allPoints
		return nil
	}
	for s := range strings.SplitSeq(list, ",") {
		var p point
		if n, err := fmt.Sscanf(s, "%dx%dx%d", &p.records, &p.partitions, &p.processes); err != nil || n != 3 || p.String() != s || p.records < 1 || p.partitions < 1 || p.processes < 1 {
			return fmt.Errorf("%q is no point: write RECORDSxPARTITIONSxPROCESSES, such as 1000000x4x2, or all", s)
		}
		o.points = append(o.points, p)
	}
	return nil
}

// scaled are the stages that are measured at every point.
var scaled = []string{"dedup", "stitch"}

// scale measures dedup and stitch at every chosen point, and prints each at once.
func (b *bench) scale(ctx context.Context) error {
	for _, p := range b.points {
		path := filepath.Join(b.dir, strconv.FormatUint(p.records, 10)+".pcap")
		if _, err := os.Stat(path); err != nil {
			if err := b.generateTo(ctx, path, p.records); err != nil {
				return err
			}
		}
		costs := map[string][]scaleCost{}
		for round := range b.rounds {
			say("%s: round %d of %d", p, round+1, b.rounds)
			if err := b.scaleRound(ctx, p, path, costs); err != nil {
				return fmt.Errorf("%s: %w", p, err)
			}
		}
		for _, name := range scaled {
			if err := write(os.Stdout, p.line(name, costs[name])); err != nil {
				return err
			}
		}
	}
	return nil
}

// scaleCost is what the processes of a stage cost: all together, from when the partitions
// were dealt out until all was done, of the memory the largest; and beside that their start
// and stop, which no record pays for.
type scaleCost struct {
	cost
	aside time.Duration
}

// scaleLine is one stage at one point.
type scaleLine struct {
	System          string  `json:"system"`
	Records         uint64  `json:"records"`
	Partitions      int     `json:"partitions"`
	Processes       int     `json:"processes"`
	CPUSeconds      float64 `json:"cpu_seconds"`
	StartStopCPUSec float64 `json:"start_stop_cpu_seconds"`
	NsPerRecord     float64 `json:"ns_per_record"`
	PeakRSSBytes    int64   `json:"peak_rss_bytes"`
	Rounds          int     `json:"rounds"`
}

// line is the round of median CPU.
func (p point) line(system string, rounds []scaleCost) scaleLine {
	slices.SortStableFunc(rounds, func(a, b scaleCost) int { return int(a.cpu() - b.cpu()) })
	c := rounds[(len(rounds)-1)/2]
	return scaleLine{System: system, Records: p.records, Partitions: p.partitions, Processes: p.processes,
		CPUSeconds: milli(c.cpu()), StartStopCPUSec: milli(c.aside), NsPerRecord: round(float64(c.cpu().Nanoseconds())/float64(p.records), 10),
		PeakRSSBytes: c.rss, Rounds: len(rounds)}
}

// scaleRound starts all processes of the stages on empty topics of a fresh broker, so
// that the partitions are dealt out before there is anything to do, and then publishes.
func (b *bench) scaleRound(ctx context.Context, p point, path string, costs map[string][]scaleCost) error {
	c, err := b.startCluster(ctx)
	if err != nil {
		return err
	}
	defer c.dev.kill()
	n := strconv.Itoa(p.partitions)
	prefix := []string{"--kafka.topic_prefix", "scale."}
	args := append(prefix, "--kafka.partitions.conversations", n, "--kafka.partitions.hosts", n)
	if _, err := c.finish(ctx, c.command("topics", "flowctl", slices.Concat([]string{"topics", "--kafka.brokers", c.kafka}, args)...)); err != nil {
		return err
	}
	groups := map[string]*scaleGroup{}
	for _, name := range scaled {
		g, err := c.startGroup(ctx, name, p, args)
		defer g.kill()
		if err != nil {
			return err
		}
		groups[name] = g
	}
	publish := c.command("publish", "flowctl", slices.Concat([]string{"publish", "--quiet", "--kafka.brokers", c.kafka,
		"--set", "kafka.partitions.conversations=" + n, "--set", "kafka.partitions.hosts=" + n}, prefix, []string{path})...)
	if _, err := c.finish(ctx, publish); err != nil {
		return err
	}
	takes := p.records
	for _, name := range scaled {
		said, err := groups[name].finished(ctx, takes)
		if err != nil {
			return err
		}
		c, err := groups[name].stop()
		if err != nil {
			return err
		}
		costs[name] = append(costs[name], c)
		say("  %-8s %7.3f s CPU for the work (%.3f user, %.3f system), %.3f s for start and stop, %5d MB",
			name, c.cpu().Seconds(), c.user.Seconds(), c.system.Seconds(), c.aside.Seconds(), c.rss>>20)
		takes = said
	}
	return c.dev.stop()
}

// scaleGroup is the processes of one stage.
type scaleGroup struct {
	name     string
	services []*service
	// began and done are what they had cost before and after the work.
	began, done cost
}

// spent is what they have cost so far.
func (g *scaleGroup) spent() (sum cost, err error) {
	for _, s := range g.services {
		c, err := spent(s.cmd.Process.Pid)
		if err != nil {
			return sum, err
		}
		sum = sum.and(c)
	}
	return sum, nil
}

// startGroup starts them and waits until each has its part of the partitions.
func (c *cluster) startGroup(ctx context.Context, name string, p point, args []string) (*scaleGroup, error) {
	g := &scaleGroup{name: name}
	for range p.processes {
		s, err := c.startService(ctx, name, args...)
		if err != nil {
			return g, err
		}
		g.services = append(g.services, s)
	}
	err := g.until(ctx, servicePatience, "the partitions were dealt out", func(now []metrics) bool {
		sum, least := uint64(0), uint64(p.partitions)
		for _, m := range now {
			sum, least = sum+m.partitions, min(least, m.partitions)
		}
		return sum == uint64(p.partitions) && least == uint64(p.partitions/p.processes)
	})
	if err == nil {
		g.began, err = g.spent()
	}
	return g, err
}

// finished waits until all records are taken and all that was said is written, and
// tells how much that was.
func (g *scaleGroup) finished(ctx context.Context, takes uint64) (said uint64, err error) {
	var before uint64
	err = g.until(ctx, workPatience, fmt.Sprintf("all %d records were taken", takes), func(now []metrics) bool {
		var sum metrics
		for _, m := range now {
			sum.recordsIn += m.recordsIn
			sum.recordsOut += m.recordsOut
			sum.lag += m.lag
			sum.queued += m.queued
		}
		still := sum.recordsOut == before
		before, said = sum.recordsOut, sum.recordsOut
		return still && sum.recordsIn == takes && sum.lag == 0 && sum.queued == 0
	})
	if err == nil {
		g.done, err = g.spent()
	}
	return said, err
}

// until asks all processes every half second, which costs them little.
func (g *scaleGroup) until(ctx context.Context, patience time.Duration, what string, ready func([]metrics) bool) error {
	asked := 0
	return g.services[0].until(ctx, patience, what, func(ctx context.Context) (bool, error) {
		if asked++; asked%5 != 0 {
			return false, nil
		}
		var now []metrics
		for _, s := range g.services {
			text, err := get(ctx, s.url+"/metrics")
			if err != nil {
				return false, err
			}
			now = append(now, readMetrics(text))
		}
		return ready(now), nil
	})
}

// stop ends them, all at once: one after the other they would take over what the others
// leave.
func (g *scaleGroup) stop() (scaleCost, error) {
	for _, s := range g.services {
		s.ask()
	}
	var all cost
	var err error
	for _, s := range g.services {
		err = errors.Join(err, s.stopped())
		all = all.and(s.cost)
	}
	work := cost{user: g.done.user - g.began.user, system: g.done.system - g.began.system, rss: all.rss}
	return scaleCost{cost: work, aside: all.cpu() - work.cpu()}, err
}

func (g *scaleGroup) kill() {
	for _, s := range g.services {
		s.kill()
	}
}
