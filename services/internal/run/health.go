package run

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

var (
	errStarting = errors.New("starting")
	errStopping = errors.New("stopping")
)

// health is what /readyz answers from.
type health struct {
	mu       sync.Mutex
	check    func() error
	stopping bool
}

func (h *health) setCheck(check func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.check = check
}

func (h *health) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopping = true
}

func (h *health) ready() error {
	h.mu.Lock()
	check, stopping := h.check, h.stopping
	h.mu.Unlock()
	switch {
	case stopping:
		return errStopping
	case check == nil:
		return errStarting
	}
	return check()
}

// startHTTP serves health and metrics; the returned function ends it.
func (p *program) startHTTP(cfg HTTP, env *Env) (stop func(), err error) {
	if cfg.Addr == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("cannot serve health and metrics: %w; choose another http.addr", err)
	}
	env.HTTPAddr = listener.Addr().String()
	server := &http.Server{Handler: handler(cfg, env), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			env.Log.Error("health and metrics ended", "error", err)
		}
	}()
	return func() {
		_ = server.Close() // the process ends; nobody is owed an answer
		<-done
	}, nil
}

func handler(cfg HTTP, env *Env) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answer(w, env.health.ready()) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(env.Metrics, promhttp.HandlerOpts{Registry: env.Metrics}))
	if cfg.Pprof {
		mux.HandleFunc("/debug/pprof/", pprof.Index)
		mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	}
	return mux
}

func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprintln(w, "ok")
}
