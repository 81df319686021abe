package main

import (
	"strings"
	"testing"

	"github.com/flowledger/flowledger/services/internal/conf"
	"github.com/flowledger/flowledger/services/internal/netset"
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
		"listen: at least":                   func(c *Config) { c.Listen = nil },
		"listen: an address":                 func(c *Config) { c.Listen = []string{"2055"} },
		"listen: an address is host:port, o": func(c *Config) { c.Listen = []string{"sctp://:4739"} },
		"listen: tls needs a certificate":    func(c *Config) { c.Listen = []string{"tls://:4740"} },
		"limits.datagrams_per_second: from":  func(c *Config) { c.Limits.DatagramsPerSecond = -1 },
		"limits.bytes_per_second: 0, or":     func(c *Config) { c.Limits.BytesPerSecond = 1 },
		"limits.burst: from":                 func(c *Config) { c.Limits.Burst = 0 },
		"limits.new_sources_per_second: fr":  func(c *Config) { c.Limits.NewSourcesPerSecond = -1 },
		"limits.max_sources: from":           func(c *Config) { c.Limits.MaxSources = 1 },
		"streams.max_connections: from":      func(c *Config) { c.Streams.MaxConnections = 0 },
		"streams.max_per_source: from":       func(c *Config) { c.Streams.MaxPerSource = 0 },
		"streams.idle_timeout: from":         func(c *Config) { c.Streams.IdleTimeout = 0 },
		"streams.tls.cert_file: cert_file a": func(c *Config) { c.Streams.TLS.CertFile = "x" },
		"streams.tls.client_certificates: r": func(c *Config) { c.Streams.TLS.ClientCertificates = "never" },
		"streams.tls.client_names: needs":    func(c *Config) { c.Streams.TLS.ClientNames = []string{"x"} },
		"allow: nobody":                      func(c *Config) { c.Allow = nil },
		"receive_buffer: from":               func(c *Config) { c.ReceiveBuffer = 1 },
		"queue_bytes: at least":              func(c *Config) { c.QueueBytes = 1 },
		"metrics_exporters: from":            func(c *Config) { c.MetricsExporters = 0 },
		"normalize.max_templates":            func(c *Config) { c.Normalize.MaxTemplates = 0 },
		"kafka.brokers: at least":            func(c *Config) { c.Kafka.Brokers = nil },
		"shutdown_timeout: must be above":    func(c *Config) { c.ShutdownTimeout = 0 },
		"http.addr: must be host:port; wri":  func(c *Config) { c.HTTP.Addr = "x" },
	} {
		cfg := Default()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), key) {
			t.Errorf("got %v, want %s…", err, key)
		}
	}
}

func TestEverybodyMaySend(t *testing.T) {
	if !everybody(Default().Allow) || everybody(netset.MustParse("192.0.2.0/24")) {
		t.Error("wrong")
	}
}
