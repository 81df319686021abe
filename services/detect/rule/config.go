package rule

import (
	"errors"
	"fmt"
	"time"

	"github.com/flowledger/flowledger/services/internal/netset"
)

// Config is every threshold of every rule.
type Config struct {
	Networks          Networks          `yaml:"networks" doc:"which addresses are ours"`
	Lateness          time.Duration     `yaml:"lateness" doc:"flows that started longer ago than this, in stream time, open no window"`
	Settle            time.Duration     `yaml:"settle" doc:"how long an unanswered UDP or ICMP flow waits for a report of its answer before it counts as failed; longer than stitch.update_every"`
	UpdateEvery       time.Duration     `yaml:"update_every" doc:"an open finding is told again when its count has doubled, but not before this"`
	SureDirection     float64           `yaml:"sure_direction" doc:"initiator_confidence below which a flow lowers a finding's confidence"`
	MaxClients        int               `yaml:"max_clients" doc:"clients with failed flows that a partition remembers; beyond, the longest silent is forgotten"`
	MaxWindows        int               `yaml:"max_windows" doc:"prefixes, ports and servers (of each) remembered per client; beyond, the oldest quarter is forgotten"`
	AddressScan       AddressScan       `yaml:"address_scan" doc:"one client, many servers"`
	PortScan          PortScan          `yaml:"port_scan" doc:"one client, many ports of a server"`
	ProhibitedService ProhibitedService `yaml:"prohibited_service" doc:"services that policy forbids"`
}

// Networks says which addresses are ours.
type Networks struct {
	Internal netset.List `yaml:"internal" doc:"our own networks"`
	Darknet  netset.List `yaml:"darknet" doc:"networks of ours without hosts: who calls there is lost or looking around"`
}

// Common is what every rule has.
type Common struct {
	Enabled      bool          `yaml:"enabled" doc:"whether the rule runs"`
	Severity     Severity      `yaml:"severity" doc:"informational, low, medium, high or critical"`
	Quiet        time.Duration `yaml:"quiet" doc:"a finding without news for this long is closed"`
	AllowClients netset.List   `yaml:"allow_clients" doc:"clients the rule never accuses: scanners of our own, monitoring"`
	AllowServers netset.List   `yaml:"allow_servers" doc:"servers that do not count"`
}

// Threshold is a number of distinct targets within a time.
type Threshold struct {
	Count  int           `yaml:"count" doc:"distinct targets; 0 switches the threshold off"`
	Within time.Duration `yaml:"within" doc:"length of the window, event time"`
}

// AddressScan has the thresholds of the address_scan rule.
type AddressScan struct {
	Common           `yaml:",inline"`
	ExternalSeverity Severity  `yaml:"external_severity" doc:"severity when the scanner is not ours"`
	Prefix           Threshold `yaml:"prefix" doc:"servers of one /24 (IPv6: /64) that failed to answer"`
	PrefixContacted  Threshold `yaml:"prefix_contacted" doc:"servers of one prefix contacted, answered or not; a tenth must have failed"`
	Port             Threshold `yaml:"port" doc:"servers anywhere that failed to answer on one port"`
	PortInternal     Threshold `yaml:"port_internal" doc:"the same when the client is ours"`
	Darknet          Threshold `yaml:"darknet" doc:"addresses of darknet networks called"`
}

// PortScan has the thresholds of the port_scan rule.
type PortScan struct {
	Common           `yaml:",inline"`
	ExternalSeverity Severity  `yaml:"external_severity" doc:"severity when the scanner is not ours"`
	Fast             Threshold `yaml:"fast" doc:"ports of one server that failed, client not ours"`
	FastInternal     Threshold `yaml:"fast_internal" doc:"the same when the client is ours"`
	Contacted        Threshold `yaml:"contacted" doc:"ports of one server contacted, answered or not; a tenth must have failed"`
	Slow             Threshold `yaml:"slow" doc:"ports of one server that failed over a long time"`
	Sensitive        Threshold `yaml:"sensitive" doc:"sensitive ports of one server that failed"`
	SensitivePorts   []uint16  `yaml:"sensitive_ports" doc:"ports that few look for without intent"`
}

// ProhibitedService has the lists of the prohibited_service rule.
type ProhibitedService struct {
	Common          `yaml:",inline"`
	ListedSeverity  Severity      `yaml:"listed_severity" doc:"severity of a listed service in use, unless it is ours and used from outside"`
	AttemptSeverity Severity      `yaml:"attempt_severity" doc:"severity of attempts on blocked services that nobody answered"`
	DeniedSeverity  Severity      `yaml:"denied_severity" doc:"severity of attempts that a firewall denied, one and all"`
	Aggregate       time.Duration `yaml:"aggregate" doc:"attempts alone are told together, this long after the first"`
	Blocked         []Service     `yaml:"blocked" doc:"services that our clients must not reach outside"`
	Listed          []Service     `yaml:"listed" doc:"services that nobody should use at all"`
	ListedPackets   uint64        `yaml:"listed_packets" doc:"packets a listed TCP service must have sent to be in use: more than a handshake"`
}

// Default is the configuration that works for most networks.
func Default() Config {
	common := func(s Severity) Common { return Common{Enabled: true, Severity: s, Quiet: time.Hour} }
	return Config{
		Networks: Networks{Internal: netset.MustParse("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
			"169.254.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10", "::1")},
		Lateness:      15 * time.Minute,
		Settle:        75 * time.Second,
		UpdateEvery:   15 * time.Minute,
		SureDirection: 0.75,
		MaxClients:    200_000,
		MaxWindows:    1024,
		AddressScan: AddressScan{
			Common:           common(High),
			ExternalSeverity: Low,
			Prefix:           Threshold{25, 5 * time.Minute},
			PrefixContacted:  Threshold{100, 5 * time.Minute},
			Port:             Threshold{100, 9 * time.Minute},
			PortInternal:     Threshold{250, 15 * time.Minute},
			Darknet:          Threshold{10, 9 * time.Minute},
		},
		PortScan: PortScan{
			Common:           common(High),
			ExternalSeverity: Low,
			Fast:             Threshold{15, 5 * time.Minute},
			FastInternal:     Threshold{30, 5 * time.Minute},
			Contacted:        Threshold{100, 5 * time.Minute},
			Slow:             Threshold{100, 24 * time.Hour},
			Sensitive:        Threshold{5, time.Minute},
			SensitivePorts:   []uint16{21, 22, 23, 25, 135, 139, 445, 3389, 5900, 5985, 5986},
		},
		ProhibitedService: ProhibitedService{
			Common:          common(High),
			ListedSeverity:  Medium,
			AttemptSeverity: Low,
			DeniedSeverity:  Informational,
			Aggregate:       15 * time.Minute,
			Blocked: []Service{{6, 23}, {6, 135}, {6, 139}, {6, 445}, {6, 3389}, {6, 5900}, {6, 5985}, {6, 5986},
				{17, 137}, {17, 138}},
			Listed:        []Service{{6, 21}, {6, 23}, {17, 69}},
			ListedPackets: 3,
		},
	}
}

// Validate says what is wrong: every error names the key, its rule and a fix.
func (c Config) Validate() error {
	var v faults
	v.positive("lateness", c.Lateness, "15m")
	v.that(c.Settle >= 0 && c.Settle <= c.Lateness, "settle", "must not be negative nor longer than lateness", "set it to 75s")
	v.positive("update_every", c.UpdateEvery, "15m")
	v.that(c.SureDirection >= 0 && c.SureDirection <= 1, "sure_direction", "must lie between 0 and 1", "set it to 0.75")
	v.that(c.MaxClients > 0, "max_clients", "must be at least 1", "set it to 200000")
	v.that(c.MaxWindows >= 8, "max_windows", "must be at least 8", "set it to 1024")
	a, p, s := c.AddressScan, c.PortScan, c.ProhibitedService
	v.common("address_scan", a.Common)
	v.threshold("address_scan.prefix", a.Prefix, 2)
	v.threshold("address_scan.prefix_contacted", a.PrefixContacted, 2)
	v.threshold("address_scan.port", a.Port, 2)
	v.threshold("address_scan.port_internal", a.PortInternal, 2)
	v.threshold("address_scan.darknet", a.Darknet, 1)
	v.common("port_scan", p.Common)
	v.threshold("port_scan.fast", p.Fast, 2)
	v.threshold("port_scan.fast_internal", p.FastInternal, 2)
	v.threshold("port_scan.contacted", p.Contacted, 2)
	v.threshold("port_scan.slow", p.Slow, 2)
	v.threshold("port_scan.sensitive", p.Sensitive, 2)
	v.that(p.Sensitive.Count <= len(p.SensitivePorts), "port_scan.sensitive.count",
		fmt.Sprintf("only %d ports are listed as sensitive", len(p.SensitivePorts)), "lower it or add ports to sensitive_ports")
	v.common("prohibited_service", s.Common)
	v.positive("prohibited_service.aggregate", s.Aggregate, "15m")
	return errors.Join(v...)
}

// faults collects errors in the form "key: rule; fix".
type faults []error

func (v *faults) that(ok bool, key, rule, fix string) {
	if !ok {
		*v = append(*v, fmt.Errorf("%s: %s; %s", key, rule, fix))
	}
}

func (v *faults) positive(key string, d time.Duration, fix string) {
	v.that(d > 0, key, "must be longer than nothing", "set it to "+fix)
}

func (v *faults) common(key string, c Common) { v.positive(key+".quiet", c.Quiet, "1h") }

func (v *faults) threshold(key string, t Threshold, least int) {
	if t.Count == 0 {
		return
	}
	v.that(t.Count >= least && t.Count <= maxExact, key+".count",
		fmt.Sprintf("must be 0 (off) or between %d and %d", least, maxExact), "choose a number in that range")
	v.positive(key+".within", t.Within, "5m")
}
