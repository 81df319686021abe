package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/flowledger/flowledger/services/internal/capture"
)

// sender sends a capture's datagrams to a UDP port of this machine so that the
// receiver loses none: it looks into the receiver's socket and waits while much
// is queued there. So the receiver works as fast as it can, and is never overrun.
type sender struct {
	port uint16
	// burst is how many datagrams go out between two looks.
	burst int
	// rate is the most datagrams a second; 0 is as many as the receiver takes.
	rate float64
	// enough is how much may be queued when a burst is sent, bytes of buffer; 0 is
	// whatever there is: the sender does not look.
	enough uint64

	run   run
	conns map[netip.Addr]*net.UDPConn
	taken map[netip.Addr]bool
	sent  uint64
	took  time.Duration // from the first to the last
}

// defaultRate is in datagrams a second; of NetFlow, one has up to 30 records.
const defaultRate = 10_000

// sender makes the sender of a measurement: all receivers are sent the same, in the
// same way, at the rate that was asked for or as fast as they can if that is slower.
func (b *bench) sender(port uint16, slower int) sender {
	return sender{port: port, burst: firstBurst / slower, rate: b.rate / float64(slower), enough: receiveBuffer / 16}
}

const (
	// firstBurst datagrams of 1,500 bytes fit the smallest receive buffer that
	// Linux gives by default (208 KiB) twice over.
	firstBurst = 32
	// littleEnough is what may be queued where the receive buffer is that one.
	littleEnough = 64 << 10
	// sendPatience is how long a receiver may leave its socket unread.
	sendPatience = 30 * time.Second
)

// send sends the capture and returns how many datagrams the receiver's socket lost.
func (s *sender) send(ctx context.Context, path string) (lost uint64, err error) {
	r, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		return 0, err
	}
	defer r.Close()
	s.conns, s.taken = map[netip.Addr]*net.UDPConn{}, map[netip.Addr]bool{}
	defer s.close()
	before, err := s.drained(ctx, math.MaxUint64)
	if err != nil {
		return 0, err
	}
	start := time.Now()
	for {
		d, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, err
		}
		if s.sent%uint64(s.burst) == 0 {
			if err := errors.Join(s.run.send(), s.pause(ctx, start)); err != nil {
				return 0, err
			}
		}
		if err := s.sendOne(&d); err != nil {
			return 0, err
		}
	}
	if err := s.run.send(); err != nil {
		return 0, err
	}
	s.took = time.Since(start)
	after, err := s.drained(ctx, 0)
	return after.drops - before.drops, err
}

// pause waits until the next burst is due, and welcome.
func (s *sender) pause(ctx context.Context, start time.Time) error {
	if s.rate > 0 {
		due := time.Duration(float64(s.sent) / s.rate * float64(time.Second))
		if err := sleep(ctx, due-time.Since(start)); err != nil {
			return err
		}
	}
	if s.enough == 0 {
		return nil
	}
	_, err := s.drained(ctx, s.enough)
	return err
}

// drained waits until no more than so many bytes are queued.
func (s *sender) drained(ctx context.Context, most uint64) (socket, error) {
	for began := time.Now(); ; {
		now, ok, err := udpSocket(s.port)
		switch {
		case err != nil:
			return now, err
		case !ok:
			return now, fmt.Errorf("nobody listens on UDP port %d any more", s.port)
		case now.queued <= most:
			return now, nil
		case time.Since(began) > sendPatience:
			return now, fmt.Errorf("the receiver on UDP port %d has not read its socket for %s", s.port, sendPatience)
		}
		if err := sleep(ctx, 200*time.Microsecond); err != nil {
			return now, err
		}
	}
}

func (s *sender) sendOne(d *capture.Datagram) error {
	conn, err := s.conn(d.Src.Addr())
	if err != nil {
		return err
	}
	s.sent++
	if s.run.add(conn, d.Payload) {
		return nil
	}
	if err := s.run.send(); err != nil {
		return err
	}
	s.run.add(conn, d.Payload)
	return nil
}

// conn is the socket that stands for an exporter: on a loopback address of its
// own, so that templates of one are not taken for another's.
func (s *sender) conn(exporter netip.Addr) (*net.UDPConn, error) {
	if c, ok := s.conns[exporter]; ok {
		return c, nil
	}
	own := netip.AddrFrom4([4]byte{127, 77, 0, 1})
	for s.taken[own] {
		own = own.Next()
	}
	s.taken[own] = true
	c, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(own, 0)),
		net.UDPAddrFromAddrPort(netip.AddrPortFrom(localhost, s.port)))
	if err != nil {
		return nil, fmt.Errorf("cannot open a socket to send from: %w", err)
	}
	s.conns[exporter] = c
	return c, nil
}

func (s *sender) close() {
	for _, c := range s.conns {
		_ = c.Close()
	}
}

var localhost = netip.AddrFrom4([4]byte{127, 0, 0, 1})

// freePort is a port of localhost that nobody uses.
func freePort(network string) (uint16, error) {
	at := netip.AddrPortFrom(localhost, 0).String()
	if network == "udp" {
		c, err := net.ListenPacket(network, at)
		if err != nil {
			return 0, fmt.Errorf("cannot find a free UDP port: %w", err)
		}
		port := c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		return port, c.Close()
	}
	l, err := net.Listen(network, at)
	if err != nil {
		return 0, fmt.Errorf("cannot find a free TCP port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).AddrPort().Port()
	return port, l.Close()
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// errLost says that the receiver was overrun; it is worth another, slower try.
var errLost = errors.New("datagrams were lost on the way")

// patiently repeats an attempt, ever slower, while datagrams are lost.
func patiently(attempt func(slower int) error) error {
	const attempts = 4
	for i := range attempts {
		err := attempt(1 << i)
		if !errors.Is(err, errLost) {
			return err
		}
		say("  %v; once more, slower", err)
	}
	return fmt.Errorf("%w, however slowly they were sent", errLost)
}
