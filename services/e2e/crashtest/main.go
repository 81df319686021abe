// Command crashtest proves exactly-once where it hurts: it publishes a capture
// through real Kafka with two replicas of every stage, kills random processes
// with SIGKILL at random moments, and holds the ledger in ClickHouse against what
// `flowctl run` says of the same capture. Nothing may be missing, nothing twice.
// With --broker-kills it kills Kafka, too.
//
//	publish ─▶ Kafka ◀─▶ 2 × dedup, stitch, detect ─▶ 2 × sink ─▶ ClickHouse ─▶ compare
//	                          ▲ kill -9, start again                  offline run ─╯
//
// Its last line is JSON. Where the ledger is not equal it exits with 1 and leaves
// logs and differences in the evidence folder.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	bin, capture, evidence string
	policy                 string
	kills, brokerKills     int
	seed                   uint64
	partitions             int
	broker                 string
	patience               time.Duration
	hunt                   int
}

// verdict is the last line.
type verdict struct {
	Kills             int     `json:"kills"`
	Seed              uint64  `json:"seed"`
	Biflows           int     `json:"biflows"`
	Missing           int     `json:"missing"`
	Extra             int     `json:"extra"`
	Different         int     `json:"different"`
	AlertsMissing     int     `json:"alerts_missing"`
	AlertsExtra       int     `json:"alerts_extra"`
	RowsInsertedTwice int     `json:"rows_inserted_twice"`
	Alerts            int     `json:"alerts"`
	Flows             int     `json:"flows"`
	Seconds           float64 `json:"seconds"`
	Equal             bool    `json:"equal"`
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "folder with the binaries of make build")
	flag.StringVar(&o.capture, "capture", "", "capture to publish")
	flag.StringVar(&o.policy, "policy", "", "policy that holds from the start")
	flag.StringVar(&o.evidence, "evidence", "evidence", "folder for logs and differences")
	flag.IntVar(&o.kills, "kills", 20, "number of kill -9")
	flag.IntVar(&o.brokerKills, "broker-kills", 0, "number of kill -9 of Kafka itself")
	flag.Uint64Var(&o.seed, "seed", 1, "seed of who is killed when")
	flag.IntVar(&o.partitions, "partitions", 4, "partitions of every topic by conversation and host")
	flag.StringVar(&o.broker, "broker", "kafka", "kafka (real Apache Kafka), kfake (embedded), or host:port")
	flag.DurationVar(&o.patience, "patience", 90*time.Second, "give up when nothing has moved for so long")
	flag.IntVar(&o.hunt, "hunt", 0, "conversations whose timeline (flowctl hunt segments) is held against their row")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	v, err := o.run(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, "crashtest:", err)
		os.Exit(2)
	}
	line, _ := json.Marshal(v)
	fmt.Println(string(line))
	if !v.Equal {
		os.Exit(1)
	}
}

// run plays the whole test. Everything it started has ended when it returns.
func (o *options) run(ctx context.Context) (v verdict, err error) {
	start := time.Now()
	if o.capture == "" {
		return v, errors.New("name a capture: --capture FILE")
	}
	if err := o.prepare(); err != nil {
		return v, err
	}
	want, err := offline(o.capture, o.policy)
	if err != nil {
		return v, err
	}
	say("offline: %d conversations, %d findings, %d flows", len(want.biflows), len(want.alerts), want.flows)
	c, err := startCluster(ctx, o)
	if err != nil {
		return v, err
	}
	defer c.stop()
	published, err := c.publish(o.capture, want.datagrams)
	if err != nil {
		return v, err
	}
	if err := c.killAtRandom(ctx, o.kills, o.brokerKills, o.seed); err != nil {
		return v, err
	}
	if err := published.wait(); err != nil {
		return v, fmt.Errorf("publishing failed, see %s: %w", published.log, err)
	}
	d, err := c.settle(ctx, want, o.patience)
	if err != nil {
		return v, err
	}
	if err := c.hunt(ctx, o.hunt); err != nil {
		return v, err
	}
	v = d.verdict(want)
	v.Kills, v.Seed, v.Seconds = c.killed, o.seed, time.Since(start).Seconds()
	if !v.Equal {
		if err := d.write(filepath.Join(o.evidence, "differences.txt")); err != nil {
			return v, err
		}
		say("not equal: logs and differences.txt are in %s", o.evidence)
	}
	return v, nil
}

// prepare empties the evidence folder and makes paths absolute, since
// processes run elsewhere.
func (o *options) prepare() (err error) {
	for _, p := range []*string{&o.bin, &o.capture, &o.evidence, &o.policy} {
		if *p == "" {
			continue
		}
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(o.evidence); err != nil {
		return fmt.Errorf("cannot empty the evidence folder: %w", err)
	}
	return os.MkdirAll(o.evidence, 0o755)
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "crashtest: "+format+"\n", args...)
}
