package simulate

import (
	"fmt"
	"net/netip"
	"time"
)

// PathConfig shapes a path of exporters between clients and servers:
//
//	clients ── hop 1 ══ hop 2 ══ hop 3 ── servers      parallel exporters share a hop
//	                 ╰── back 1 ── back 2 ──╯          the way back, if it is another
//
// The lists give one value per exporter, in the order of Exporters, and start
// over when there are more exporters than values. An empty list is its zero
// value for all.
type PathConfig struct {
	Seed          uint64
	Start         time.Time
	Duration      time.Duration // conversations begin within it
	Conversations int
	Longest       time.Duration // of the longest conversations

	Hops     int // exporters in a row
	Parallel int // exporters side by side at each hop
	// PerPacket lets parallel exporters share the packets of a conversation,
	// instead of the conversations.
	PerPacket bool
	// Turns lets parallel exporters pass all conversations in turns that are so long:
	// a path that changes back and forth. 0 is no turns.
	Turns time.Duration
	// Asymmetric is the share of conversations whose way back passes other
	// exporters.
	Asymmetric float64
	// NAT is the hop that translates the clients' addresses, counted from 1; 0 is none.
	NAT int
	// Twice is the hop that packets pass twice, by other interfaces, as on the way between
	// two VRFs or through a firewall on a stick; counted from 1; 0 is none.
	Twice int

	Protocols    []Protocol
	Active       []time.Duration
	Inactive     []time.Duration
	Sampling     []uint32
	HashSampling bool
	Loss         []float64       // share of datagrams that never arrive
	Skew         []time.Duration // clock less the true time
	Drift        []float64       // sysUptime gains on the time of day, parts per million
	Jitter       []time.Duration // datagrams are late by up to this
	Fail         []time.Duration // after the start; 0 is never
	Egress       []bool          // meters on the way out too
	Biflow       []bool          // reports both ways of a conversation in one record (RFC 5103)
}

// DefaultPath is two hundred conversations in ten minutes, seen by three
// exporters that see everything, with active timeouts of 1, 5 and 30 minutes.
func DefaultPath() PathConfig {
	return PathConfig{
		Seed: 1, Start: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
		Duration: 10 * time.Minute, Conversations: 200, Longest: time.Hour,
		Hops: 3, Parallel: 1,
		Protocols: []Protocol{NetFlow9, IPFIX},
		Active:    []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute},
		Inactive:  []time.Duration{15 * time.Second},
	}
}

// maxPathExporters is how many exporters a path may have in all.
const maxPathExporters = 64

// Validate tells what is wrong and what would be right.
func (c *PathConfig) Validate() error {
	switch {
	case c.Conversations < 1 || c.Conversations > 1_000_000:
		return fmt.Errorf("conversations is %d: choose 1 to 1000000", c.Conversations)
	case c.Duration <= 0 || c.Duration > 7*24*time.Hour:
		return fmt.Errorf("duration is %s: choose up to 168h", c.Duration)
	case c.Longest < time.Minute || c.Longest > 7*24*time.Hour:
		return fmt.Errorf("longest is %s: choose 1m to 168h", c.Longest)
	case c.Hops < 1 || c.Parallel < 1 || c.exporters() > maxPathExporters:
		return fmt.Errorf("%d hops of %d exporters are %d: choose 1 to %d in all", c.Hops, c.Parallel, c.exporters(), maxPathExporters)
	case !(c.Asymmetric >= 0 && c.Asymmetric <= 1):
		return fmt.Errorf("asymmetric is %g: choose a share from 0 to 1", c.Asymmetric)
	case c.Turns < 0 || c.Turns > 0 && c.PerPacket:
		return fmt.Errorf("turns is %s: choose 0 for none, or more, and not per-packet too", c.Turns)
	case c.NAT < 0 || c.NAT > c.Hops:
		return fmt.Errorf("nat is %d: choose a hop from 1 to %d, or 0 for none", c.NAT, c.Hops)
	case c.Twice < 0 || c.Twice > c.Hops || c.Twice > 0 && (c.Twice == c.NAT || c.PerPacket || c.Turns > 0):
		return fmt.Errorf("twice is %d: choose a hop from 1 to %d that is not nat's, and neither per-packet nor turns, or 0 for none", c.Twice, c.Hops)
	}
	return c.validateLists()
}

func (c *PathConfig) validateLists() error {
	for _, p := range c.Protocols {
		if p != NetFlow5 && p != NetFlow9 && p != IPFIX && p != Reports {
			return fmt.Errorf("protocol is %q: choose v5, v9 or ipfix", p)
		}
		if p == NetFlow5 && c.NAT > 0 {
			return fmt.Errorf("protocol is v5, which cannot tell translations: choose v9 or ipfix with nat")
		}
	}
	for _, l := range c.Loss {
		if !(l >= 0 && l < 1) {
			return fmt.Errorf("loss is %g: choose a share from 0 to below 1", l)
		}
	}
	for i := range c.exporters() {
		if p := of(c.Protocols, i, NetFlow9); of(c.Biflow, i, false) && (p != IPFIX && p != Reports || c.NAT > 0 || c.Twice > 0) {
			return fmt.Errorf("biflow: exporter %d speaks %s: choose ipfix for it, and neither nat nor twice", i+1, p)
		}
	}
	for _, d := range c.Drift {
		if !(d >= -1000 && d <= 1000) {
			return fmt.Errorf("drift is %g: choose -1000 to 1000 parts per million", d)
		}
	}
	for _, list := range []struct {
		name  string
		least time.Duration
		all   []time.Duration
	}{
		{"active", time.Second, c.Active}, {"inactive", time.Second, c.Inactive},
		{"jitter", 0, c.Jitter}, {"fail", 0, c.Fail}, {"skew", -24 * time.Hour, c.Skew},
	} {
		for _, d := range list.all {
			if d < list.least || d > 24*time.Hour {
				return fmt.Errorf("%s is %s: choose %s to 24h", list.name, d, list.least)
			}
		}
	}
	return nil
}

// exporters is how many there are.
func (c *PathConfig) exporters() int { return len(c.rows()) * c.Hops * c.Parallel }

// rows are the rows of exporters: the way there, and the other way back.
func (c *PathConfig) rows() []string {
	if c.Asymmetric > 0 {
		return []string{"hop", "back"}
	}
	return []string{"hop"}
}

// of is the value of exporter i in a list.
func of[T any](list []T, i int, otherwise T) T {
	if len(list) == 0 {
		return otherwise
	}
	return list[i%len(list)]
}

// exporterConfigs describes the devices, row by row, hop by hop.
func (c *PathConfig) exporterConfigs() (all []ExporterConfig) {
	for row, name := range c.rows() {
		for hop := range c.Hops {
			for side := range c.Parallel {
				x := c.exporterConfig(len(all))
				x.Name = fmt.Sprintf("%s-%d", name, hop+1)
				if c.Parallel > 1 {
					x.Name += string(rune('a' + side%26))
				}
				x.NAT = hop+1 == c.NAT
				x.TwoWay = row == 0 && c.Asymmetric == 0
				all = append(all, x)
			}
		}
	}
	return all
}

func (c *PathConfig) exporterConfig(i int) ExporterConfig {
	x := ExporterConfig{
		Addr: netip.AddrFrom4([4]byte{10, 30, 255, byte(1 + i)}), Domain: uint32(1 + i),
		Protocol:        of(c.Protocols, i, NetFlow9),
		Boot:            c.Start.Add(-time.Duration(3+i) * 37 * time.Hour).UnixNano(),
		Active:          of(c.Active, i, time.Minute),
		Inactive:        of(c.Inactive, i, 15*time.Second),
		Sampling:        of(c.Sampling, i, 1),
		Loss:            of(c.Loss, i, 0),
		Skew:            of(c.Skew, i, 0),
		Drift:           of(c.Drift, i, 0),
		Jitter:          of(c.Jitter, i, 0),
		Egress:          of(c.Egress, i, false),
		Biflow:          of(c.Biflow, i, false),
		Ingress:         true,
		HashSampling:    c.HashSampling,
		Delay:           time.Duration(1+i) * 300 * time.Microsecond,
		FlushAfter:      time.Second,
		TemplateRefresh: time.Minute,
		Interfaces:      []Interface{{ifClients, "clients"}, {ifServersSide, "servers"}},
	}
	if after := of(c.Fail, i, 0); after > 0 {
		x.Fail = c.Start.Add(after).UnixNano()
	}
	return x
}

// Interface indices of an exporter on the path.
const (
	ifClients     = 1
	ifServersSide = 2
	ifAround      = 3 // out to what packets pass between the two times
	ifBack        = 4 // and in again
)

// Path is a path of exporters and what passes it.
type Path struct {
	cfg       PathConfig
	exporters []ExporterConfig
}

// NewPath makes a path from a valid configuration.
func NewPath(cfg PathConfig) (*Path, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Path{cfg: cfg, exporters: cfg.exporterConfigs()}, nil
}

// Exporters are the devices that report.
func (p *Path) Exporters() []ExporterConfig { return p.exporters }

// Collector is where the exporters send to.
func (p *Path) Collector() netip.Addr { return netip.AddrFrom4([4]byte{10, 30, 255, 250}) }

// Run lets the conversations pass.
func (p *Path) Run(out Output) (*Summary, error) {
	s := &Summary{}
	out = s.count(out)
	n := NewNetwork(p.exporters, nil, p.cfg.Start.UnixNano(), p.cfg.Seed, out.Datagram, out.Truth)
	n.route = p.route
	for _, c := range p.conversations() {
		n.Start(c)
	}
	err := n.Drain()
	s.add(n.exporters)
	return s, err
}
