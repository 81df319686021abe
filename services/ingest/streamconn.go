package main

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/flowledger/flowledger/services/internal/run"
)

const (
	// handshakeTimeout is for how long a connection may take to agree on TLS, and
	// messageTimeout for how long a message may be on its way: a connection that
	// neither sends nor ends takes a seat.
	handshakeTimeout = 10 * time.Second
	messageTimeout   = 30 * time.Second
	// retryPut is how often it is tried to put a message into a queue without room.
	retryPut = 5 * time.Millisecond
)

// stream is one connection.
type stream struct {
	*streams
	conn    net.Conn
	from    netip.AddrPort
	seat    *seat
	session uint64
	frames  framer
	// began is when the message on its way was first waited for; zero is: none is.
	began time.Time

	mu sync.Mutex
	// stopAt is the end of a stop; zero is: none is wanted.
	stopAt time.Time
}

// serve reads a connection to its end, or until ctx is done and nothing more comes;
// nothing is waited for once last is done. It gives its seat back.
func (s *streams) serve(ctx, last context.Context, conn net.Conn, from netip.AddrPort, one *seat, certs *certificates) {
	defer one.giveWay()
	defer s.seats.leave(one)
	defer func() { conn.Close() }()
	if certs != nil {
		secure, err := handshake(ctx, conn, certs)
		switch {
		case err == nil:
			conn = secure
		case s.seats.gaveWay(one):
			s.metrics.ended.WithLabelValues(endMadeRoom).Inc()
			return
		default:
			s.gate.refuse(from.Addr(), badHandshake)
			s.log.Debug("TLS failed", "exporter", from, "error", err)
			return
		}
	}
	st := &stream{streams: s, conn: conn, from: from, seat: one, session: s.sessions.Add(1)}
	st.frames.from = st
	defer context.AfterFunc(ctx, st.stop)()
	s.log.Debug("stream begins", "exporter", from, "session", st.session)
	why, err := st.read(ctx, last)
	if why == endStop && s.seats.gaveWay(one) {
		why = endMadeRoom
	}
	s.metrics.ended.WithLabelValues(why).Inc()
	s.log.Debug("stream ends", "exporter", from, "session", st.session, "reason", why, "error", err)
	st.put(last, nil)
}

// handshake begins TLS.
func handshake(ctx context.Context, conn net.Conn, certs *certificates) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	secure := tls.Server(conn, certs.server())
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return secure, nil
}

// read puts one message after the other into the queue and says why there are no
// more.
func (st *stream) read(ctx, last context.Context) (why string, err error) {
	for {
		st.seat.silentNs.Store(st.seats.clock())
		message, err := st.frames.next()
		if err != nil {
			return st.reason(err), err
		}
		st.seat.silentNs.Store(busy)
		st.began = time.Time{}
		st.received.datagrams.Inc()
		st.received.bytes.Add(float64(len(message)))
		st.metrics.messages.Inc()
		if !st.put(last, message) {
			st.metrics.lost.Inc()
			return endStop, nil
		}
		st.slow(ctx, message)
	}
}

// Why streams end.
const (
	endClosed    = "closed"    // the exporter has closed it
	endIdle      = "idle"      // nothing came for idle_timeout, or a message was not finished
	endStop      = "stop"      // we stop
	endMadeRoom  = "made_room" // a source with fewer connections has its seat
	endNotIPFIX  = "not_ipfix" // the message has another version than 10
	endLength    = "bad_length"
	endTruncated = "truncated" // it ended within a message
	endBroken    = "broken"    // any other error of the connection, such as a reset
)

func (st *stream) reason(err error) string {
	switch {
	case errors.Is(err, io.EOF):
		return endClosed
	case errors.Is(err, errNotIPFIX):
		return endNotIPFIX
	case errors.Is(err, errLength):
		return endLength
	case errors.Is(err, errTruncated):
		return endTruncated
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return endBroken
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.stopAt.IsZero() {
		return endIdle
	}
	return endStop
}

// put hands a message over, nil for the end of the session, and waits for room. It
// gives up when last is done.
func (st *stream) put(last context.Context, message []byte) bool {
	q := st.queues.of(st.from.Addr())
	if q.putMessage(st.from, st.session, message) {
		return true
	}
	begin := time.Now()
	defer func() { st.metrics.heldQueue.Add(time.Since(begin).Seconds()) }()
	for {
		_ = run.Pause(last, retryPut)
		if q.putMessage(st.from, st.session, message) {
			return true
		}
		if last.Err() != nil {
			return false
		}
	}
}

// slow keeps a source to its rate, unless we stop.
func (st *stream) slow(ctx context.Context, message []byte) {
	if wait := st.gate.pace(st.from.Addr(), len(message)); wait > 0 {
		begin := time.Now()
		_ = run.Pause(ctx, wait)
		st.metrics.heldRate.Add(time.Since(begin).Seconds())
	}
}

// Read reads the connection, for the framer, no longer than is due.
func (st *stream) Read(p []byte) (int, error) {
	if err := st.setDeadline(); err != nil {
		return 0, err
	}
	return st.conn.Read(p)
}

// setDeadline sets until when the next read may take: for as long as a connection may
// be idle, for the rest of a message, or, in a stop, for what is on its way.
func (st *stream) setDeadline() error {
	now := time.Now()
	st.mu.Lock()
	defer st.mu.Unlock()
	until := now.Add(st.cfg.IdleTimeout)
	switch {
	case !st.stopAt.IsZero():
		if until = now.Add(drainQuiet); until.After(st.stopAt) {
			until = st.stopAt
		}
	case st.frames.partial():
		if st.began.IsZero() {
			st.began = now
		}
		until = st.began.Add(messageTimeout)
	}
	return st.conn.SetReadDeadline(until)
}

// stop tells the exporter that we go, and has the reading end when nothing more
// is on its way.
func (st *stream) stop() {
	now := time.Now()
	st.mu.Lock()
	st.stopAt = now.Add(drainPatience)
	_ = st.conn.SetReadDeadline(now.Add(drainQuiet)) // an error ends the reading too
	st.mu.Unlock()
	_ = st.conn.SetWriteDeadline(now.Add(drainQuiet))
	if c, ok := st.conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite() // the exporter may be gone already
	}
}
