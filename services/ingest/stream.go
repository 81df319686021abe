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
	seats     *seats
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
	s.seats = newSeats(cfg.MaxConnections, cfg.MaxPerSource, g.clock)
	s.metrics.watch(r, s.seats)
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
			if errs[i] = s.accept(ctx, &s.listeners[i], func(ctx context.Context, c net.Conn, from netip.AddrPort, one *seat) {
				all.Go(func() { s.serve(ctx, last, c, from, one, s.listeners[i].tls) })
			}); errs[i] != nil {
				cancel()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// accept takes connections until ctx is done. Each has a context of its own, which is done
// as well when it is to give its seat to another.
func (s *streams) accept(ctx context.Context, l *streamListener, each func(context.Context, net.Conn, netip.AddrPort, *seat)) error {
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			own, giveWay := context.WithCancel(ctx)
			from, one := s.seat(conn, giveWay)
			if one == nil {
				giveWay()
				continue
			}
			s.metrics.accepted.WithLabelValues(l.endpoint.transport).Inc()
			each(own, conn, from, one)
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

// seat gives a connection a seat, or closes it.
func (s *streams) seat(conn net.Conn, giveWay context.CancelFunc) (from netip.AddrPort, one *seat) {
	peer := conn.RemoteAddr().(*net.TCPAddr).AddrPort()
	from = netip.AddrPortFrom(peer.Addr().Unmap().WithZone(""), peer.Port())
	if s.gate.knock(from.Addr()) {
		if one = s.seats.take(from.Addr(), giveWay); one == nil {
			s.gate.refuse(from.Addr(), tooManyConnections)
		}
	}
	if one == nil {
		conn.Close()
	}
	return from, one
}
