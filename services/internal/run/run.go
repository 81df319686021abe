// Package run is the process around every service: the command line, the
// configuration, logs, metrics, health over HTTP, signals, and an ordered start
// and stop. A service brings its configuration and one function.
//
//	main ─▶ Main(Service) ─▶ conf.Load ─▶ HTTP up ─▶ Start(ctx, Env) ─▶ signal: ctx done ─▶ Start returns ─▶ HTTP down ─▶ exit code
//
// Commands every service has: run (the default), health, config print, config
// check, version. Exit codes: 0 a clean end, 1 a failure, 2 a wrong command line or
// configuration, 128 + n when signal n had to be sent twice.
package run

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Exit codes of a service.
const (
	ExitOK      = 0
	ExitFailure = 1
	ExitUsage   = 2
	exitSignal  = 128 // plus the signal's number
)

// Config is a service's configuration: a pointer to a struct that embeds
// Process (with the tag yaml:",inline") and knows its own rules.
type Config interface {
	Validate() error
	process() *Process
}

// Service is what a main function hands over.
type Service struct {
	// Name is the binary's name, Short one line and Long some paragraphs of help.
	Name, Short, Long string
	// Config holds the defaults; when Start is called it holds the effective
	// configuration.
	Config Config
	// Start runs the service until ctx is done or it fails. After ctx is done it
	// has Process.ShutdownTimeout to leave things tidy and return.
	Start func(ctx context.Context, env *Env) error
}

// Env is what a running service has from its process.
type Env struct {
	Log     *slog.Logger
	Metrics *prometheus.Registry
	// HTTPAddr is where health and metrics are served, as bound; empty if off.
	HTTPAddr string

	health *health
}

// ReadyWhen makes /readyz ask check from now on; until then, and once the
// service is stopping, it answers 503. check must be quick and safe to call at
// any time; the error says what the service still waits for.
func (e *Env) ReadyWhen(check func() error) { e.health.setCheck(check) }

// Main runs a service's command line and exits the process.
func Main(s Service) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	p := &program{
		Service: s,
		args:    os.Args[1:], environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr,
		signals: signals,
	}
	os.Exit(p.main())
}

// serve runs the service as configured and returns the exit code.
func (p *program) serve() int {
	settings := p.Config.process()
	log := newLogger(p.stderr, settings.Log).With("service", p.Name)
	env := &Env{Log: log, Metrics: newRegistry(p.Name), health: &health{}}
	stopHTTP, err := p.startHTTP(settings.HTTP, env)
	if err != nil {
		log.Error("cannot start", "error", err)
		return ExitFailure
	}
	defer stopHTTP()
	log.Info("starting", "version", Version(), "http", env.HTTPAddr)
	mindMemory(log)

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- p.Start(ctx, env) }()
	return p.await(done, cancel, env, settings.ShutdownTimeout)
}

// await waits for the service's end: its own, or the one that a signal asks for.
func (p *program) await(done <-chan error, cancel func(), env *Env, patience time.Duration) int {
	var timeout <-chan time.Time
	for stopping := false; ; {
		select {
		case err := <-done:
			env.health.stop()
			if err != nil && !(stopping && errors.Is(err, context.Canceled)) {
				env.Log.Error("failed", "error", err)
				return ExitFailure
			}
			env.Log.Info("stopped")
			return ExitOK
		case s := <-p.signals:
			if stopping {
				env.Log.Error("second signal: leaving at once", "signal", s.String())
				return exitSignal + number(s)
			}
			stopping = true
			env.health.stop()
			env.Log.Info("stopping", "signal", s.String(), "patience", patience.String())
			cancel()
			timer := time.NewTimer(patience)
			defer timer.Stop()
			timeout = timer.C
		case <-timeout:
			env.Log.Error("did not stop in time: leaving; what was not acknowledged is replayed at the next start", "patience", patience.String())
			return ExitFailure
		}
	}
}

func number(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return int(n)
	}
	return 0
}
