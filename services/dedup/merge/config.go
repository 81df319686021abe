package merge

import (
	"fmt"
	"time"

	"github.com/flowledger/flowledger/services/internal/netset"
)

// Policy says how the authority of a flow is chosen.
type Policy string

// The policies. Sampled observation points never win by volume: the maximum of
// noisy estimates is biased upwards.
const (
	// Max takes the unsampled observation point with the largest volume.
	Max Policy = "max"
	// First takes the observation point that reported first.
	First Policy = "first"
	// Manual takes the first match of the list, then as First among the points
	// that see every packet. Sampled points count only if the list names them.
	Manual Policy = "manual"
)

// Config is the `dedup` block of the configuration.
type Config struct {
	Policy Policy `yaml:"policy" doc:"who is the authority: max, first or manual"`
	// Authorities are matched in order under the manual policy.
	Authorities []Match `yaml:"authorities" doc:"observation points for the manual policy, the first of which that reports counts, as in [{exporter: 192.0.2.1, in_if: [1, 2]}]"`
	// Groups are exporters that share the packets between them (ECMP by packet, a
	// pair of firewalls): what they report is summed, as that of one exporter's line
	// cards is. A group goes by its first exporter's name.
	Groups []Group `yaml:"groups" doc:"exporters that share the packets between them are summed, as in [{exporters: [192.0.2.1, 192.0.2.2]}]"`
	// SplitDomains are exporters of which each observation domain sees the packets
	// anew (virtual firewalls in a row): each is an observation point of its own.
	SplitDomains netset.List `yaml:"split_domains" doc:"exporters whose observation domains see the same packets, each for itself"`
	// SplitInterfaces are exporters that meter the same packets at several interfaces
	// (a way between two VRFs, a firewall on a stick): each is an observation point of its own.
	SplitInterfaces netset.List `yaml:"split_interfaces" doc:"exporters whose interfaces see the same packets, each for itself"`
	// Hold is how long the first report waits for those of other observation points.
	Hold time.Duration `yaml:"hold" doc:"how long the first report of a flow waits for other exporters"`
	// FailoverAfter is how long a report that only partly goes beyond what the
	// authority has covered waits for the authority before it counts.
	FailoverAfter time.Duration `yaml:"failover_after" doc:"silence of the authority after which another exporter takes over inside a running flow"`
	// LateHorizon is how long a flow is remembered after its last report, so
	// that a late duplicate is recognised and not counted.
	LateHorizon time.Duration `yaml:"late_horizon" doc:"how long late duplicates are recognised"`
	// Slack is how far the clocks of two exporters may differ. Beyond it, a flow
	// that one of them reports after the hold is counted twice.
	Slack time.Duration `yaml:"slack" doc:"tolerated difference between the times of two exporters"`
	// MaxFlows bounds the flows remembered per partition; the oldest that wait
	// for nothing are forgotten first, and counted.
	MaxFlows int `yaml:"max_flows" doc:"flows remembered per partition"`
	// MaxWaiting bounds the reports that wait per partition, some 270 bytes each; beyond
	// it those due soonest are decided before their time, and counted.
	MaxWaiting int `yaml:"max_waiting" doc:"reports held per partition: as many as come in dedup.hold, or more"`
}

// Match selects observation points.
type Match struct {
	Exporter netset.Prefix `yaml:"exporter"`
	// InIf limits the match to these input interfaces; none means any.
	InIf []uint32 `yaml:"in_if"`
}

// Group joins exporters.
type Group struct {
	Exporters netset.List `yaml:"exporters"`
}

// Default is the configuration that works without a file.
func Default() Config {
	return Config{
		Policy:        Max,
		Hold:          10 * time.Second,
		FailoverAfter: 2 * time.Minute,
		LateHorizon:   35 * time.Minute,
		Slack:         5 * time.Second,
		MaxFlows:      4_000_000,
		MaxWaiting:    1_000_000,
	}
}

// Validate says what is wrong and how to mend it.
func (c Config) Validate() error {
	switch c.Policy {
	case Max, First:
	case Manual:
		if len(c.Authorities) == 0 {
			return fmt.Errorf("dedup.authorities: the manual policy needs at least one entry, for example `- exporter: 192.0.2.1/32`")
		}
	default:
		return fmt.Errorf("dedup.policy: %q is not a policy; use max, first or manual", c.Policy)
	}
	for i, m := range c.Authorities {
		if !m.Exporter.IsValid() {
			return fmt.Errorf("dedup.authorities[%d].exporter: needs a prefix such as 192.0.2.1/32", i)
		}
	}
	if err := c.validateTopology(); err != nil {
		return err
	}
	switch {
	case c.Hold <= 0 || c.Hold > 5*time.Minute:
		return fmt.Errorf("dedup.hold: %s is not between 1ns and 5m; 10s is usual", c.Hold)
	case c.FailoverAfter < c.Hold:
		return fmt.Errorf("dedup.failover_after: %s is shorter than dedup.hold (%s)", c.FailoverAfter, c.Hold)
	case c.LateHorizon < c.FailoverAfter:
		return fmt.Errorf("dedup.late_horizon: %s is shorter than dedup.failover_after (%s)", c.LateHorizon, c.FailoverAfter)
	case c.Slack < 0:
		return fmt.Errorf("dedup.slack: %s is negative", c.Slack)
	case c.MaxFlows < 1000:
		return fmt.Errorf("dedup.max_flows: %d is below 1000", c.MaxFlows)
	case c.MaxWaiting < 1000:
		return fmt.Errorf("dedup.max_waiting: %d is below 1000", c.MaxWaiting)
	}
	return nil
}

// validateTopology refuses groups of nobody, and exporters in two of them.
func (c Config) validateTopology() error {
	var all netset.List
	for i, g := range c.Groups {
		if len(g.Exporters) == 0 {
			return fmt.Errorf("dedup.groups[%d].exporters: a group needs exporters, for example [192.0.2.1/32, 192.0.2.2/32]", i)
		}
		for _, p := range g.Exporters {
			if !p.IsValid() {
				return fmt.Errorf("dedup.groups[%d].exporters: needs prefixes such as 192.0.2.1/32", i)
			}
			for _, other := range all {
				if p.Overlaps(other.Prefix) {
					return fmt.Errorf("dedup.groups[%d].exporters: %s overlaps %s; an exporter is in one group, once", i, p, other)
				}
			}
			all = append(all, p)
		}
	}
	for _, split := range []struct {
		key  string
		list netset.List
	}{{"split_domains", c.SplitDomains}, {"split_interfaces", c.SplitInterfaces}} {
		for i, p := range split.list {
			if !p.IsValid() {
				return fmt.Errorf("dedup.%s[%d]: needs a prefix such as 192.0.2.1/32", split.key, i)
			}
		}
	}
	return nil
}
