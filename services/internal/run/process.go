package run

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/flowledger/flowledger/services/internal/conf"
)

// Process is the part of a configuration that all services share. Services
// embed it with the tag yaml:",inline".
type Process struct {
	HTTP            HTTP          `yaml:"http" doc:"health, metrics and profiles over HTTP"`
	Log             Log           `yaml:"log" doc:"structured logs on standard error"`
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" doc:"how long a clean stop may take after SIGTERM; keep it below the orchestrator's own patience"`
}

// HTTP configures the health and metrics server.
type HTTP struct {
	Addr  string `yaml:"addr" doc:"where /healthz, /readyz and /metrics are served (host:port); empty for none"`
	Pprof bool   `yaml:"pprof" doc:"serve profiles under /debug/pprof; only where the address is private"`
}

// Log configures the logs.
type Log struct {
	Level  slog.Level `yaml:"level" doc:"the least severe level that is written: debug, info, warn or error"`
	Format string     `yaml:"format" doc:"json for machines, text for a terminal"`
}

// DefaultProcess is the shared part's defaults; addr is the service's own port.
func DefaultProcess(addr string) Process {
	return Process{
		HTTP:            HTTP{Addr: addr},
		Log:             Log{Level: slog.LevelInfo, Format: "json"},
		ShutdownTimeout: 25 * time.Second,
	}
}

// Validate holds the shared part against its rules.
func (p *Process) Validate() error {
	var errs []error
	if p.HTTP.Addr != "" {
		if _, _, err := net.SplitHostPort(p.HTTP.Addr); err != nil {
			errs = append(errs, conf.Invalid("http.addr", "must be host:port", "write :8080 for all addresses or 127.0.0.1:8080 for this machine only, not %q", p.HTTP.Addr))
		}
	}
	if p.Log.Format != "json" && p.Log.Format != "text" {
		errs = append(errs, conf.Invalid("log.format", "must be json or text", "not %q", p.Log.Format))
	}
	if p.ShutdownTimeout <= 0 {
		errs = append(errs, conf.Invalid("shutdown_timeout", "must be above zero", "set it to 25s, the default"))
	}
	return errors.Join(errs...)
}

func (p *Process) process() *Process { return p }

func newLogger(w io.Writer, l Log) *slog.Logger {
	options := &slog.HandlerOptions{Level: l.Level}
	if l.Format == "text" {
		return slog.New(slog.NewTextHandler(w, options))
	}
	return slog.New(slog.NewJSONHandler(w, options))
}
