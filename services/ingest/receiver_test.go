package main

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flowledger/flowledger/services/internal/testkit"
)

// TestReceiver: datagrams of any size and either family come out as they were
// sent, in order.
func TestReceiver(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		in, out := socketPair(t, addr)
		r, err := newReceiver(in)
		if err != nil {
			t.Fatal(err)
		}
		from := out.LocalAddr().(*net.UDPAddr).AddrPort()
		sizes := []int{0, 1, 1400, 65000, 3, 0, 9000}
		for i := range 100 {
			if _, err := out.Write(bytes.Repeat([]byte{byte(i)}, sizes[i%len(sizes)])); err != nil {
				t.Fatal(err)
			}
			if i%9 != 8 && i != 99 {
				continue
			}
			for next := i - i%9; next <= i; {
				n, err := r.receive()
				if err != nil {
					t.Fatal(err)
				}
				for j := range n {
					sender, payload, _ := r.message(j)
					want := bytes.Repeat([]byte{byte(next)}, sizes[next%len(sizes)])
					if !bytes.Equal(payload, want) || netip.AddrPortFrom(sender.Addr().Unmap(), sender.Port()) != from {
						t.Fatalf("%s: datagram %d: %d bytes from %s", addr, next, len(payload), sender)
					}
					next++
				}
			}
		}
	}
}

func socketPair(t testing.TB, addr string) (in, out *net.UDPConn) {
	t.Helper()
	in, err := openSocket(addr, false)
	if err != nil {
		testkit.Missing(t, "the address %s: %v", addr, err)
	}
	t.Cleanup(func() { in.Close() })
	if _, err := tuneSocket(in, 4<<20); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("udp", in.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return in, conn.(*net.UDPConn)
}

// listening is a listener on a socket, and a way to have it read what was sent.
type listening struct {
	*listener
	in    *receiver
	out   *net.UDPConn
	batch batch
}

func newListening(t testing.TB) *listening {
	in, out := socketPair(t, "127.0.0.1:0")
	cfg := Default()
	m := newMetrics(prometheus.NewRegistry(), 10)
	l := &listener{conn: in, gate: newGate(cfg.Allow, cfg.Limits, 10, m, prometheus.NewRegistry()), metrics: m,
		queues: newQueues(1, 1<<30, (&hands{ns: 1}).read)}
	r, err := newReceiver(in)
	if err != nil {
		t.Fatal(err)
	}
	return &listening{listener: l, in: r, out: out}
}

func (l *listening) pass(t testing.TB, payload []byte, count int) {
	for range count {
		if _, err := l.out.Write(payload); err != nil {
			t.Fatal(err)
		}
	}
	for left := count * len(payload); left > 0; {
		n, err := l.in.receive()
		if err != nil {
			t.Fatal(err)
		}
		left -= l.take(l.in, n)
	}
	l.queues.each[0].take(&l.batch)
}

func TestReceptionDoesNotAllocate(t *testing.T) {
	l := newListening(t)
	payload := make([]byte, 1400)
	pass := func() { l.pass(t, payload, 64) }
	pass()
	pass()
	if n := testing.AllocsPerRun(20, pass); n != 0 {
		t.Errorf("%v allocations for 64 datagrams", n)
	}
}

// BenchmarkReception is a datagram's way from socket to decoder, sending included.
func BenchmarkReception(b *testing.B) {
	l := newListening(b)
	payload := make([]byte, 1400)
	for b.Loop() {
		l.pass(b, payload, 32)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*32), "ns/datagram")
}

// TestSocketsShareAnAddress: the kernel deals senders out to sockets; whichever
// way they came, one exporter's datagrams end up in one queue, in order.
func TestSocketsShareAnAddress(t *testing.T) {
	if !canShare {
		testkit.Missing(t, "SO_REUSEPORT")
	}
	b := startBroker(t)
	cfg := testConfig(t, b)
	cfg.Readers, cfg.Decoders = 3, 4
	in := start(t, cfg)
	await(t, "the broker's answer", func() bool { return in.ready() == nil })
	if len(in.listeners) != 3 || len(in.queues.each) != 4 {
		t.Fatalf("%d sockets, %d queues", len(in.listeners), len(in.queues.each))
	}
	const exporters, datagrams = 12, 50
	for i := range exporters {
		conn := exporter(t, fmt.Sprintf("127.0.1.%d", i+1), in.listeners[0].conn.LocalAddr())
		for n := range datagrams {
			in.write(t, conn, netflow5(10, uint32(n)))
		}
	}
	if err := in.stop(); err != nil {
		t.Fatal(err)
	}
	records := readAll(t, &cfg)
	checkProtocol(t, records)
	got := talliesOf(t, records)
	for i := range exporters {
		if c := got[fmt.Sprintf("127.0.1.%d", i+1)]; c.Flows != 10*datagrams {
			t.Errorf("exporter %d: %d flows, want %d", i, c.Flows, 10*datagrams)
		}
	}
	checkConservation(t, in.metrics)
}
