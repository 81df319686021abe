package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"time"
)

// maxDatagram is the largest UDP payload; a larger buffer cannot be filled.
const maxDatagram = 64 << 10

// listener reads one socket into the queue.
type listener struct {
	conn    *net.UDPConn
	gate    *gate
	queues  *queues
	metrics *metrics
	log     *slog.Logger
	buffer  int // the socket's receive buffer, bytes
	drops   uint32
}

// listen opens a socket. The caller closes it.
func listen(addr string, cfg *Config, g *gate, q *queues, m *metrics, log *slog.Logger) (*listener, error) {
	conn, err := openSocket(addr, cfg.Readers > 1)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w; is another collector running? choose other addresses with listen", addr, err)
	}
	granted, err := tuneSocket(conn, int(cfg.ReceiveBuffer))
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot set up the socket on %s: %w", addr, err)
	}
	if granted < int(cfg.ReceiveBuffer) {
		log.Warn("the kernel gives a smaller receive buffer than asked for; bursts may be lost",
			"listen", addr, "receive_buffer", int64(cfg.ReceiveBuffer), "granted", granted,
			"fix", fmt.Sprintf("sysctl -w net.core.rmem_max=%d", int64(cfg.ReceiveBuffer)))
	}
	return &listener{conn: conn, gate: g, queues: q, metrics: m, log: log, buffer: granted}, nil
}

// run reads until ctx is done, then takes what the kernel has received by then.
func (l *listener) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = l.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	in, err := newReceiver(l.conn)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", l.conn.LocalAddr(), err)
	}
	for {
		n, err := in.receive()
		for i := range n {
			l.receive(in.datagram(i))
		}
		if err == nil {
			l.countKernelDrops(in.ancillary(n - 1))
			continue
		}
		switch {
		case ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded):
			return drainSocket(l.conn, l.buffer, l.receive)
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("cannot read %s: %w", l.conn.LocalAddr(), err)
		}
		l.metrics.readErrors.Inc() // such as an ICMP error that came back: it concerns nobody's datagrams
	}
}

// openSocket binds a UDP socket; several may share an address.
func openSocket(addr string, shared bool) (*net.UDPConn, error) {
	lc := net.ListenConfig{}
	if shared {
		lc.Control = shareAddress
	}
	conn, err := lc.ListenPacket(context.Background(), "udp", addr)
	if err != nil {
		return nil, err
	}
	return conn.(*net.UDPConn), nil
}

func (l *listener) receive(from netip.AddrPort, payload []byte) {
	addr := from.Addr().Unmap().WithZone("")
	if !l.gate.admit(addr, len(payload)) {
		return
	}
	l.metrics.datagrams.Inc()
	l.metrics.bytes.Add(float64(len(payload)))
	if !l.queues.of(addr).put(netip.AddrPortFrom(addr, from.Port()), payload) {
		l.metrics.droppedQueue.Inc()
	}
}

// countKernelDrops adds what the kernel's running count, of 32 bits, has grown by.
func (l *listener) countKernelDrops(ancillary []byte) {
	if drops, ok := kernelDrops(ancillary); ok {
		l.metrics.droppedKernel.Add(float64(drops - l.drops))
		l.drops = drops
	}
}
