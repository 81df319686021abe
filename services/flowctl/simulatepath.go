package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/flowledger/flowledger/services/internal/simulate"
)

const simulatePathLong = `
  path  Conversations across a path of exporters, for sizing a deployment and for
        seeing what de-duplication makes of it: timeouts, sampling, loss, clocks,
        another way back, exporters side by side, address translation, failure.
        Lists give one value per exporter, and start over when they run out.`

// pathFlags are the flags of the scenario path, as they are told.
var pathFlags = []string{
	"conversations", "longest", "active", "inactive", "sampling", "hash-sampling", "loss", "skew", "drift", "jitter",
	"fail", "egress", "biflow", "asymmetric", "parallel", "per-packet", "turns", "nat", "twice",
}

// addPathFlags declares them.
func (s *simulation) addPathFlags(f *pflag.FlagSet) {
	c := &s.path
	f.IntVar(&c.Conversations, "conversations", c.Conversations, "number of conversations (path)")
	f.DurationVar(&c.Longest, "longest", c.Longest, "length of the longest conversations (path)")
	f.DurationSliceVar(&c.Active, "active", c.Active, "active timeouts (path)")
	f.DurationSliceVar(&c.Inactive, "inactive", c.Inactive, "inactive timeouts (path)")
	f.UintSliceVar(&s.sampling, "sampling", nil, "one in how many packets they look at (path)")
	f.BoolVar(&c.HashSampling, "hash-sampling", false, "samplers take the same packets, by a hash (path)")
	f.Float64SliceVar(&c.Loss, "loss", nil, "share of datagrams that are lost, such as 0.01 (path)")
	f.DurationSliceVar(&c.Skew, "skew", nil, "clocks ahead of or behind the true time (path)")
	f.Float64SliceVar(&c.Drift, "drift", nil, "sysUptime gains on the time of day, parts per million (path)")
	f.DurationSliceVar(&c.Jitter, "jitter", nil, "datagrams come late by up to this (path)")
	f.DurationSliceVar(&c.Fail, "fail", nil, "exporters fall silent after this long; 0 is never (path)")
	f.BoolSliceVar(&c.Egress, "egress", nil, "exporters meter on the way out too (path)")
	f.BoolSliceVar(&c.Biflow, "biflow", nil, "exporters report both ways in one record; IPFIX only (path)")
	f.Float64Var(&c.Asymmetric, "asymmetric", 0, "share of conversations whose way back passes other exporters (path)")
	f.IntVar(&c.Parallel, "parallel", c.Parallel, "exporters side by side at each hop (path)")
	f.BoolVar(&c.PerPacket, "per-packet", false, "exporters side by side share the packets of a conversation (path)")
	f.DurationVar(&c.Turns, "turns", 0, "exporters side by side take turns that are so long; 0 is none (path)")
	f.IntVar(&c.NAT, "nat", 0, "the hop that translates the clients' addresses; 0 is none (path)")
	f.IntVar(&c.Twice, "twice", 0, "the hop that packets pass twice, by other interfaces; 0 is none (path)")
	for _, name := range pathFlags {
		if l := f.Lookup(name); l.DefValue == "[]" { // say nothing rather than that
			l.DefValue = ""
		}
	}
}

func (s *simulation) choosePath(start time.Time) error {
	if err := s.refuse("talk", "compact", "hosts", "expected"); err != nil {
		return err
	}
	if err := s.refuse("load", "records", "rate"); err != nil {
		return err
	}
	c := s.path
	c.Seed, c.Start = s.seed, start
	if s.changed("exporters") {
		c.Hops = s.exporters
	}
	if s.changed("duration") {
		c.Duration = s.talk.Duration
	}
	if s.changed("protocol") {
		c.Protocols = nil
		for _, p := range strings.Split(s.protocol, ",") {
			if p == string(simulate.Reports) {
				return fmt.Errorf("protocol is %q: choose v5, v9 or ipfix", p)
			}
			c.Protocols = append(c.Protocols, simulate.Protocol(p))
		}
	}
	for _, n := range s.sampling {
		c.Sampling = append(c.Sampling, uint32(min(n, 1<<31)))
	}
	p, err := simulate.NewPath(c)
	if err != nil {
		return err
	}
	s.playing, s.network, s.collector = p, c.Duration, p.Collector()
	return nil
}
