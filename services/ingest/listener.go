package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
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

// run reads until ctx is done, then takes what the kernel has received by then, but
// no more than the buffer holds: a stop must not last as long as somebody sends.
func (l *listener) run(ctx context.Context) error {
	in, err := newReceiver(l.conn)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", l.conn.LocalAddr(), err)
	}
	defer in.close()
	defer context.AfterFunc(ctx, in.stop)()
	pause := readPause(l.buffer)
	burst := 0 // bytes since the last pause
	for left := l.buffer; left > 0; {
		n, err := in.receive()
		bytes := l.take(in, n)
		burst += bytes
		switch {
		case ctx.Err() != nil && (n == 0 || err != nil):
			return nil
		case ctx.Err() != nil:
			left -= bytes + n
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("cannot read %s: %w", l.conn.LocalAddr(), err)
		case err != nil:
			l.metrics.readErrors.Inc() // such as an ICMP error that came back: it concerns nobody's datagrams
		case n < receiveBatch:
			if burst > l.buffer/hurry {
				time.Sleep(pause / hurry)
			} else {
				time.Sleep(pause)
			}
			burst = 0
		}
	}
	return nil
}

// take hands a burst over, and tells how many bytes it had.
func (l *listener) take(in *receiver, n int) (bytes int) {
	for i := range n {
		from, payload, size := in.message(i)
		bytes += len(payload)
		for ; len(payload) > size; payload = payload[size:] {
			l.receive(from, payload[:size])
		}
		l.receive(from, payload)
	}
	if n > 0 {
		l.queues.announce()
		l.countKernelDrops(in.ancillary(n - 1))
	}
	return bytes
}

const (
	// maxReadPause is how long a reader that has emptied its socket leaves it alone, so
	// that it finds a burst instead of waking up for each datagram: to wake up costs
	// more than to read.
	maxReadPause = 20 * time.Millisecond
	// minReadPause is the least that is worth it.
	minReadPause = 500 * time.Microsecond
	// hurry is what part of the buffer a burst may fill before the pauses become as much
	// shorter: where processors are short, a reader wakes up late.
	hurry = 16
	// pauseRate, in bytes a second, must not fill more than half of the buffer in the
	// meantime: 2.4 Gbit/s, which is more than a decoder can take.
	pauseRate = 300e6
)

// readPause is how long a socket with such a buffer may be left alone.
func readPause(buffer int) time.Duration {
	pause := time.Duration(float64(buffer) / 2 / pauseRate * float64(time.Second))
	if pause < minReadPause {
		return 0
	}
	return min(pause, maxReadPause)
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
