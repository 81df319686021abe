package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/flowledger/flowledger/services/internal/conf"
)

func TestDefaultIsValidAndPrints(t *testing.T) {
	cfg := Default()
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := conf.Print(&b, &cfg); err != nil {
		t.Fatal(err)
	}
	again := Default()
	if err := conf.LoadYAML(&again, "printed", []byte(b.String())); err != nil {
		t.Errorf("the printed default does not load: %v\n%s", err, b.String())
	}
}

func TestConfigErrorsNameTheKey(t *testing.T) {
	for key, change := range map[string]func(*Config){
		"listen: at least":                  func(c *Config) { c.Listen = nil },
		"listen: an address":                func(c *Config) { c.Listen = []string{"2055"} },
		"allow: nobody":                     func(c *Config) { c.Allow = nil },
		"receive_buffer: from":              func(c *Config) { c.ReceiveBuffer = 1 },
		"queue_bytes: at least":             func(c *Config) { c.QueueBytes = 1 },
		"metrics_exporters: from":           func(c *Config) { c.MetricsExporters = 0 },
		"normalize.max_templates":           func(c *Config) { c.Normalize.MaxTemplates = 0 },
		"kafka.brokers: at least":           func(c *Config) { c.Kafka.Brokers = nil },
		"shutdown_timeout: must be above":   func(c *Config) { c.ShutdownTimeout = 0 },
		"http.addr: must be host:port; wri": func(c *Config) { c.HTTP.Addr = "x" },
	} {
		cfg := Default()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), key) {
			t.Errorf("got %v, want %s…", err, key)
		}
	}
}

func TestAllowList(t *testing.T) {
	l := allowList{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	for addr, want := range map[string]bool{"192.0.2.9": true, "192.0.3.1": false, "2001:db8::1": true, "2001:db9::1": false} {
		if got := l.has(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v, want %v", addr, got, want)
		}
	}
	if l.open() || !allowList(Default().Allow).open() {
		t.Error("open is wrong")
	}
}
