package rule

import (
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/flowledger/flowledger/services/internal/netset"
)

func TestDefaultIsValid(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Error(err)
	}
}

func TestYAMLGoesRound(t *testing.T) {
	text, err := yaml.Marshal(Default())
	if err != nil {
		t.Fatal(err)
	}
	var got Config
	if err := yaml.UnmarshalWithOptions(text, &got, yaml.Strict()); err != nil {
		t.Fatalf("cannot read back:\n%s\n%v", text, err)
	}
	opts := cmp.Options{
		cmp.Comparer(func(a, b netset.Prefix) bool { return a == b }),
		cmp.Transformer("none", func(l []netset.Prefix) int { return len(l) }),
	}
	if d := cmp.Diff(Default(), got, opts); d != "" {
		t.Errorf("read back (-want, +got):\n%s", d)
	}
}

func TestYAMLOverDefaults(t *testing.T) {
	cfg := Default()
	err := yaml.UnmarshalWithOptions([]byte(`
networks: {internal: [192.0.2.0/24]}
port_scan: {severity: critical, fast: {count: 20, within: 2m}, allow_clients: [10.0.0.7]}
prohibited_service: {blocked: [25/tcp, 69/udp]}
`), &cfg, yaml.Strict())
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Networks.Internal = netset.MustParse("192.0.2.0/24")
	want.PortScan.Severity, want.PortScan.Fast = Critical, Threshold{20, 2 * time.Minute}
	want.PortScan.AllowClients = netset.MustParse("10.0.0.7")
	want.ProhibitedService.Blocked = []Service{{6, 25}, {17, 69}}
	if d := cmp.Diff(want, cfg, cmp.Comparer(func(a, b netset.Prefix) bool { return a == b })); d != "" {
		t.Errorf("configuration (-want, +got):\n%s", d)
	}
}

func TestValidateNamesKeyRuleAndFix(t *testing.T) {
	f := func(want string, spoil func(*Config)) {
		t.Helper()
		cfg := Default()
		spoil(&cfg)
		err := cfg.Validate()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v, want one with %q", err, want)
		}
		if _, err := New(cfg); err == nil {
			t.Errorf("New took a configuration with a wrong %q", want)
		}
	}
	f("lateness: must be longer than nothing; set it to 15m", func(c *Config) { c.Lateness = 0 })
	f("settle: must not be negative nor longer than lateness; set it to 75s", func(c *Config) { c.Settle = time.Hour })
	f("sure_direction: must lie between 0 and 1", func(c *Config) { c.SureDirection = 1.5 })
	f("max_clients: must be at least 1", func(c *Config) { c.MaxClients = 0 })
	f("max_windows: must be at least 8", func(c *Config) { c.MaxWindows = 1 })
	f("address_scan.prefix.count: must be 0 (off) or between 2 and 1024", func(c *Config) { c.AddressScan.Prefix.Count = 1 })
	f("port_scan.slow.within: must be longer than nothing", func(c *Config) { c.PortScan.Slow.Within = 0 })
	f("port_scan.sensitive.count: only 1 ports are listed", func(c *Config) { c.PortScan.SensitivePorts = []uint16{22} })
	f("prohibited_service.quiet: must be longer than nothing", func(c *Config) { c.ProhibitedService.Quiet = -1 })
}

func TestWords(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		var s Service
		err := s.UnmarshalText([]byte(text))
		if err == nil {
			text = s.String()
		} else {
			text = err.Error()
		}
		if !strings.Contains(text, want) {
			t.Errorf("got %q, want %q", text, want)
		}
	}
	f("445/tcp", "445/tcp")
	f("69/udp", "69/udp")
	f("tcp/445", "write port/protocol")
	f("0/tcp", "write port/protocol")
	f("8/icmp", "write port/protocol")
	var s Severity
	if err := s.UnmarshalText([]byte("High")); err != nil || s != High {
		t.Errorf("High reads as %v, %v", s, err)
	}
	if err := s.UnmarshalText([]byte("bad")); err == nil || !strings.Contains(err.Error(), "write one of informational, low") {
		t.Errorf("got error %v", err)
	}
}
