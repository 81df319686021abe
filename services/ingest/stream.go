package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/internal/run"
)

// streams receive IPFIX over TCP and TLS (RFC 7011 §10.4, §11):
//
//	connection ─▶ gate ─▶ TLS? ─▶ framer ─▶ queue of the exporter's decoder
//	                                ▲          │ half full, or the source too fast
//	                                ╰─ waits ──╯ so the exporter has to wait as well
//
// Each connection is a transport session: its templates are its own and end with
// it. Nothing is dropped: who sends too much is not read, and TCP makes him wait.
type streams struct {
	cfg      streamConfig
	gate     *gate
	queues   *queues
	received *metrics
	metrics  *streamMetrics
	log      *slog.Logger

	listeners []streamListener
	sessions  atomic.Uint64
	seats     seats
}

type streamListener struct {
	net.Listener
	endpoint endpoint
	tls      *certificates // nil: plain TCP
}

const (
	// acceptPause is how long after an error, such as that there are too many open
	// files, the next connection is accepted.
	acceptPause = 100 * time.Millisecond
	// drainPatience is how long a stop reads what exporters had sent by then, and
	// drainQuiet after what silence it believes that this was all.
	drainPatience = time.Second
	drainQuiet    = 100 * time.Millisecond
)

func newStreams(cfg streamConfig, g *gate, q *queues, m *metrics, r prometheus.Registerer, log *slog.Logger) *streams {
	s := &streams{cfg: cfg, gate: g, queues: q, received: m, log: log, metrics: newStreamMetrics(r)}
	s.seats = seats{max: cfg.MaxConnections, maxPer: cfg.MaxPerSource, taken: map[netip.Addr]int{}}
	s.metrics.watch(r, &s.seats)
	return s
}

// listen opens an address. Connections wait there until run.
func (s *streams) listen(e endpoint) error {
	l := streamListener{endpoint: e}
	var err error
	if e.transport == overTLS {
		if l.tls, err = newCertificates(s.cfg.TLS, s.log, s.metrics.certificateErrors); err != nil {
			return fmt.Errorf("cannot listen on %s: %w", e, err)
		}
	}
	if l.Listener, err = net.Listen("tcp", e.addr); err != nil {
		return fmt.Errorf("cannot listen on %s: %w; is another collector running? choose other addresses with listen", e, err)
	}
	s.listeners = append(s.listeners, l)
	s.log.Info("listening", "listen", e.transport+"://"+l.Addr().String())
	return nil
}

func (s *streams) close() {
	for _, l := range s.listeners {
		l.Close()
	}
}

// run serves until ctx is done and what exporters had sent by then is in the
// queues. A listener that breaks ends the others in order.
func (s *streams) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// last outlives ctx for as long as a stop waits for what is on its way.
	last, over := context.WithCancel(context.WithoutCancel(ctx))
	defer over()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(drainPatience, over); s.close() })()

	errs := make([]error, len(s.listeners))
	var all sync.WaitGroup
	for i := range s.listeners {
		all.Go(func() {
			if errs[i] = s.accept(ctx, &s.listeners[i], func(c net.Conn, from netip.AddrPort) {
				all.Go(func() { s.serve(ctx, last, c, from, s.listeners[i].tls) })
			}); errs[i] != nil {
				cancel()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// accept takes connections until ctx is done.
func (s *streams) accept(ctx context.Context, l *streamListener, each func(net.Conn, netip.AddrPort)) error {
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			if from, ok := s.seat(conn); ok {
				s.metrics.accepted.WithLabelValues(l.endpoint.transport).Inc()
				each(conn, from)
			}
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("cannot accept on %s: %w", l.endpoint, err)
		default:
			s.metrics.acceptErrors.Inc()
			_ = run.Pause(ctx, acceptPause)
		}
	}
}

// seat tells whether a connection may come in, and closes it if not.
func (s *streams) seat(conn net.Conn) (from netip.AddrPort, ok bool) {
	peer := conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	from = netip.AddrPortFrom(peer.Addr().Unmap().WithZone(""), peer.Port())
	if ok = s.gate.knock(from.Addr()); ok {
		if ok = s.seats.take(from.Addr()); !ok {
			s.gate.refuse(from.Addr(), tooManyConnections)
		}
	}
	if !ok {
		conn.Close()
	}
	return from, ok
}

// seats counts connections, in total and by source.
type seats struct {
	max, maxPer int

	mu    sync.Mutex
	all   int
	taken map[netip.Addr]int
}

func (s *seats) take(addr netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= s.max || s.taken[addr] >= s.maxPer {
		return false
	}
	s.all++
	s.taken[addr]++
	return true
}

func (s *seats) leave(addr netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.taken[addr]--; s.taken[addr] == 0 {
		delete(s.taken, addr)
	}
}

func (s *seats) length() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}
