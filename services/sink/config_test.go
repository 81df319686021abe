package main

import (
	"strings"
	"testing"
	"time"
)

func TestDefaultIsValid(t *testing.T) {
	cfg := Default()
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
}

func TestConfigErrorsNameTheKey(t *testing.T) {
	f := func(key string, change func(*Config)) {
		t.Helper()
		cfg := Default()
		change(&cfg)
		err := cfg.Validate()
		if err == nil || !strings.Contains(err.Error(), key+": ") {
			t.Errorf("the error of %s does not name it: %v", key, err)
		}
	}
	f("cut.every", func(c *Config) { c.Cut.Every = 0 })
	f("cut.rows", func(c *Config) { c.Cut.Rows = 1_000_000 })
	f("cut.offsets", func(c *Config) { c.Cut.Offsets = time.Millisecond })
	f("clickhouse.addr", func(c *Config) { c.ClickHouse.Addr = nil })
	f("clickhouse.addr", func(c *Config) { c.ClickHouse.Addr = []string{"db"} })
	f("clickhouse.protocol", func(c *Config) { c.ClickHouse.Protocol = "grpc" })
	f("clickhouse.database", func(c *Config) { c.ClickHouse.Database = "a; DROP" })
	f("clickhouse.dial_timeout", func(c *Config) { c.ClickHouse.DialTimeout = 0 })
	f("clickhouse.read_timeout", func(c *Config) { c.ClickHouse.ReadTimeout = 0 })
	f("clickhouse.max_conns", func(c *Config) { c.ClickHouse.MaxConns = 0 })
	f("kafka.brokers", func(c *Config) { c.Kafka.Brokers = nil })
}

func TestBackoff(t *testing.T) {
	b := backoff{first: 100 * time.Millisecond, longest: time.Second}
	for try, want := range []time.Duration{100, 200, 400, 800, 1000, 1000} {
		if got := b.after(try); got != want*time.Millisecond {
			t.Errorf("try %d: %s, want %s", try, got, want*time.Millisecond)
		}
	}
	if got := b.after(1000); got != b.longest {
		t.Errorf("after long: %s", got)
	}
}
