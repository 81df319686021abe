package normalize

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/flowledger/flowledger/services/internal/netset"
)

// Quirks are the ways of exporters that a datagram does not tell of.
const (
	// QuirkOutBytesReverse: elements 23 and 24 (OUT_BYTES, OUT_PKTS) are the
	// volume of the way back, not of the packets as they left (nProbe and others).
	QuirkOutBytesReverse = "out_bytes_reverse"
	// QuirkUptimeSeconds: the v9 header's uptime counts seconds (SonicWall).
	QuirkUptimeSeconds = "uptime_seconds"
	// QuirkIxiaReverse: Ixia's elements 176 and 177 are the volume of the way back.
	QuirkIxiaReverse = "ixia_reverse"
)

// Tunnels' values.
const (
	TunnelsInner = "inner"
	TunnelsOuter = "outer"
)

var quirkNames = []string{QuirkOutBytesReverse, QuirkUptimeSeconds, QuirkIxiaReverse}

// Config says how datagrams are read and how much exporters may make us keep.
type Config struct {
	Exporters []Override `yaml:"exporters" doc:"what is known of single exporters; the longest prefix that holds one counts"`

	MaxExporters           int           `yaml:"max_exporters" doc:"exporters kept at a time; further ones are refused until one has been silent for an hour"`
	MaxDomains             int           `yaml:"max_domains" doc:"observation domains kept per exporter"`
	MaxTotalDomains        int           `yaml:"max_total_domains" doc:"observation domains kept in total, beside 4 that each exporter may keep"`
	MaxTemplates           int           `yaml:"max_templates" doc:"templates kept in total, beside 16 that each exporter may keep"`
	MaxExporterTemplates   int           `yaml:"max_exporter_templates" doc:"templates kept per exporter"`
	MaxFields              int           `yaml:"max_fields" doc:"fields of a template"`
	MaxTotalFields         int           `yaml:"max_total_fields" doc:"fields of all templates that are kept, beside 256 that each exporter may keep"`
	MaxExporterFields      int           `yaml:"max_exporter_fields" doc:"fields of all templates that are kept per exporter"`
	TemplateTimeout        time.Duration `yaml:"template_timeout" doc:"how long a template that came over UDP is used at least after it came last; beyond, three times the longest interval at which the exporter sent it"`
	WaitForTemplate        time.Duration `yaml:"wait_for_template" doc:"how long data waits for its template; then it is a dead letter"`
	MaxWaitingBytes        int           `yaml:"max_waiting_bytes" doc:"bytes of data that may wait for templates per exporter"`
	MaxTotalWaitingBytes   int           `yaml:"max_total_waiting_bytes" doc:"bytes of data that may wait for templates in total"`
	RepublishInterval      time.Duration `yaml:"republish_interval" doc:"how often templates and what else is known of exporters is told again on topic exporters"`
	MaxFacts               int           `yaml:"max_facts" doc:"facts that are told again, in total, beside 256 per exporter"`
	MaxFactsPerMinute      int           `yaml:"max_facts_per_minute" doc:"options records of an exporter that are told of on topic exporters within a minute; what further ones say is used, but not told"`
	MaxOptionsEntries      int           `yaml:"max_options_entries" doc:"samplers, application names, names of elements and sources of sFlow samples kept per exporter, each, and facts told again"`
	MaxTotalOptionsEntries int           `yaml:"max_total_options_entries" doc:"the same of all exporters together, beside 256 that each may keep; application names are counted apart"`
	MaxFirewallConns       int           `yaml:"max_firewall_connections" doc:"firewall connections remembered per exporter, so that updates and teardowns are not both counted"`
	MaxTotalFirewallConns  int           `yaml:"max_total_firewall_connections" doc:"the same of all exporters together, beside 256 that each may keep"`
	MaxDeadBytes           int           `yaml:"max_dead_bytes" doc:"bytes of dead letters kept per result; of further ones, only the reasons are"`
	FutureTolerance        time.Duration `yaml:"future_tolerance" doc:"a flow that starts this much after its reception is suspect"`
	OldTolerance           time.Duration `yaml:"old_tolerance" doc:"a flow that ended this much, and both timeouts, before its reception is suspect"`
	DefaultActiveTimeout   time.Duration `yaml:"default_active_timeout" doc:"active timeout to judge old flows by, of exporters that do not tell"`
	DefaultInactiveTimeout time.Duration `yaml:"default_inactive_timeout" doc:"inactive timeout to judge old flows by, of exporters that do not tell"`
}

// Override is what the user knows of the exporters in some prefixes.
type Override struct {
	CIDR netset.List `yaml:"cidr" doc:"the exporters this is about: addresses and networks"`
	// Realm is the address space of their flows, unless a VRF or VLAN says otherwise.
	Realm      uint32            `yaml:"realm" doc:"address space of their flows"`
	VRFRealms  map[uint32]uint32 `yaml:"vrf_realms" doc:"address space by ingress VRF id"`
	VLANRealms map[uint32]uint32 `yaml:"vlan_realms" doc:"address space by VLAN id"`
	VNIRealms  map[uint32]uint32 `yaml:"vni_realms" doc:"address space by virtual network of VXLAN, Geneve and NVGRE, as sampled packets or records tell it"`
	// Tunnels is which packet counts of a sampled one that is in a tunnel.
	Tunnels string `yaml:"tunnels" doc:"of sampled packets in GRE, VXLAN, Geneve, IP or UDP, the flow of which one: inner (as if left out) or outer"`
	// SamplingRate is 1 for unsampled, 0 for unknown.
	SamplingRate    uint64        `yaml:"sampling_rate" doc:"one in how many packets they look at; 1 is all, 0 unknown"`
	SamplingForce   bool          `yaml:"sampling_force" doc:"take sampling_rate even where they say otherwise"`
	Quirks          []string      `yaml:"quirks" doc:"out_bytes_reverse, uptime_seconds, ixia_reverse"`
	ActiveTimeout   time.Duration `yaml:"active_timeout" doc:"their active timeout, where they do not tell"`
	InactiveTimeout time.Duration `yaml:"inactive_timeout" doc:"their inactive timeout, where they do not tell"`
}

// Default is a configuration that works for any exporter.
func Default() Config {
	return Config{
		MaxExporters:           4096,
		MaxDomains:             256,
		MaxTotalDomains:        65536,
		MaxTemplates:           65536,
		MaxExporterTemplates:   4096,
		MaxFields:              1024,
		MaxTotalFields:         1 << 20,
		MaxExporterFields:      1 << 16,
		TemplateTimeout:        30 * time.Minute,
		WaitForTemplate:        time.Minute,
		MaxWaitingBytes:        1 << 20,
		MaxTotalWaitingBytes:   64 << 20,
		RepublishInterval:      5 * time.Minute,
		MaxFacts:               1 << 16,
		MaxFactsPerMinute:      16384,
		MaxOptionsEntries:      16384,
		MaxTotalOptionsEntries: 1 << 21,
		MaxFirewallConns:       65536,
		MaxTotalFirewallConns:  1 << 22,
		MaxDeadBytes:           4 << 20,
		FutureTolerance:        5 * time.Minute,
		OldTolerance:           10 * time.Minute,
		DefaultActiveTimeout:   30 * time.Minute,
		DefaultInactiveTimeout: 15 * time.Second,
	}
}

// Validate names the first key that cannot be used, and how to mend it.
func (c Config) Validate() error {
	for _, b := range []struct {
		key      string
		v, limit int
	}{
		{"max_exporters", c.MaxExporters, 1 << 20},
		{"max_domains", c.MaxDomains, 1 << 16},
		{"max_templates", c.MaxTemplates, 1 << 22},
		{"max_exporter_templates", c.MaxExporterTemplates, 1 << 20},
		{"max_total_domains", c.MaxTotalDomains, 1 << 22},
		{"max_fields", c.MaxFields, 1 << 14},
		{"max_total_fields", c.MaxTotalFields, 1 << 26},
		{"max_exporter_fields", c.MaxExporterFields, 1 << 24},
		{"max_waiting_bytes", c.MaxWaitingBytes, 1 << 30},
		{"max_total_waiting_bytes", c.MaxTotalWaitingBytes, 1 << 36},
		{"max_facts", c.MaxFacts, 1 << 24},
		{"max_facts_per_minute", c.MaxFactsPerMinute, 1 << 24},
		{"max_options_entries", c.MaxOptionsEntries, 1 << 22},
		{"max_total_options_entries", c.MaxTotalOptionsEntries, 1 << 28},
		{"max_firewall_connections", c.MaxFirewallConns, 1 << 24},
		{"max_total_firewall_connections", c.MaxTotalFirewallConns, 1 << 28},
		{"max_dead_bytes", c.MaxDeadBytes, 1 << 30},
	} {
		if b.v < 1 || b.v > b.limit {
			return fmt.Errorf("%s is %d, but must lie between 1 and %d", b.key, b.v, b.limit)
		}
	}
	for _, d := range []struct {
		key string
		v   time.Duration
	}{
		{"future_tolerance", c.FutureTolerance}, {"old_tolerance", c.OldTolerance},
		{"default_active_timeout", c.DefaultActiveTimeout}, {"default_inactive_timeout", c.DefaultInactiveTimeout},
		{"template_timeout", c.TemplateTimeout}, {"wait_for_template", c.WaitForTemplate}, {"republish_interval", c.RepublishInterval},
	} {
		if err := validTimeout(d.key, d.v); err != nil {
			return err
		}
	}
	if c.RepublishInterval < time.Second {
		return fmt.Errorf("republish_interval is %s, but must be at least 1s", c.RepublishInterval)
	}
	seen := map[netset.Prefix]int{}
	for i := range c.Exporters {
		if err := c.Exporters[i].validate(fmt.Sprintf("exporters[%d]", i), i, seen); err != nil {
			return err
		}
	}
	return nil
}

func (o *Override) validate(at string, i int, seen map[netset.Prefix]int) error {
	if len(o.CIDR) == 0 {
		return fmt.Errorf("%s.cidr is empty: name the exporters it is about, as in [192.0.2.1/32]", at)
	}
	for _, p := range o.CIDR {
		if !p.IsValid() {
			return fmt.Errorf("%s.cidr holds an invalid prefix: write it as 192.0.2.0/24", at)
		}
		if j, ok := seen[p]; ok {
			return fmt.Errorf("%s.cidr: %s is also in exporters[%d]: keep one of them", at, p, j)
		}
		seen[p] = i
	}
	if o.SamplingForce && o.SamplingRate == 0 {
		return fmt.Errorf("%s.sampling_force needs a sampling_rate: set it (1 for unsampled)", at)
	}
	switch o.Tunnels {
	case "", TunnelsInner, TunnelsOuter:
	default:
		return fmt.Errorf("%s.tunnels is %q: choose %s or %s", at, o.Tunnels, TunnelsInner, TunnelsOuter)
	}
	for _, q := range o.Quirks {
		if !slices.Contains(quirkNames, q) {
			return fmt.Errorf("%s.quirks: %q is not known: choose from %q", at, q, quirkNames)
		}
	}
	if err := validTimeout(at+".active_timeout", o.ActiveTimeout); err != nil {
		return err
	}
	return validTimeout(at+".inactive_timeout", o.InactiveTimeout)
}

// validTimeout keeps durations within what 32 bits of milliseconds hold.
func validTimeout(key string, d time.Duration) error {
	if d < 0 || d > 24*time.Hour {
		return fmt.Errorf("%s is %s, but must lie between 0s and 24h", key, d)
	}
	return nil
}

// overrideOf finds the override with the longest prefix that holds addr; nil if none does.
func (c *Config) overrideOf(addr netip.Addr) *Override {
	var best *Override
	bits := -1
	for i := range c.Exporters {
		for _, p := range c.Exporters[i].CIDR {
			if p.Bits() > bits && p.Contains(addr) {
				best, bits = &c.Exporters[i], p.Bits()
			}
		}
	}
	return best
}

// has tells whether a quirk is set. A nil override has none.
func (o *Override) has(quirk string) bool {
	return o != nil && slices.Contains(o.Quirks, quirk)
}
