package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

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
		"dedup.hold":                      func(c *Config) { c.Dedup.Hold = -1 },
		"epoch: must not be negative":     func(c *Config) { c.Epoch = -1 },
		"kafka.brokers: at least":         func(c *Config) { c.Kafka.Brokers = nil },
		"shutdown_timeout: must be above": func(c *Config) { c.ShutdownTimeout = 0 },
	} {
		cfg := Default()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), key) {
			t.Errorf("got %v, want %s…", err, key)
		}
	}
}

func TestSpecIsSound(t *testing.T) {
	s := spec(Default(), newMetrics(prometheus.NewRegistry(), slog.New(slog.DiscardHandler)))
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	if s.NewCore(0) == nil {
		t.Error("no core")
	}
}
