package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/netset"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// withStreams is ingest with TCP beside UDP, and TLS if there is a certificate.
func withStreams(cfg Config) Config {
	cfg.Listen = append(cfg.Listen, "tcp://127.0.0.1:0")
	if cfg.Streams.TLS.CertFile != "" {
		cfg.Listen = append(cfg.Listen, "tls://127.0.0.1:0")
	}
	return cfg
}

// dial opens a connection from an address of its own.
func dial(t *testing.T, from string, to net.Addr) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// closed waits for the other side to end a connection.
func closed(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("the connection is still open: %v", err)
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error)
	return ok && e.Timeout()
}

func (in *running) ended(why string) float64 {
	return testutil.ToFloat64(in.streams.metrics.ended.WithLabelValues(why))
}

func send(t *testing.T, conn io.Writer, payloads ...[]byte) {
	t.Helper()
	for _, p := range payloads {
		if _, err := conn.Write(p); err != nil {
			t.Fatal(err)
		}
	}
}

// TestStreamsCarryWhatDatagramsDo sends what real exporters sent by UDP by UDP, TCP
// and TLS: the flows and events are the same.
func TestStreamsCarryWhatDatagramsDo(t *testing.T) {
	b := startBroker(t)
	cfg := testConfig(t, b)
	keys := newKeys(t)
	cfg.Streams.TLS = keys.config()
	cfg = withStreams(cfg)
	in := start(t, cfg)
	await(t, "the broker's answer", func() bool { return in.ready() == nil })

	tcp, secure := in.streams.listeners[0].Addr(), in.streams.listeners[1].Addr()
	var files [3]map[string]string // by address, the capture that was sent from it
	for i := range files {
		files[i] = map[string]string{}
	}
	all, err := filepath.Glob(filepath.Join(testkit.Data(t, "captures"), "*.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	senders := 0
	for _, file := range all {
		for _, payloads := range readCapture(t, file) {
			messages := wholeMessages(payloads)
			if messages == nil {
				continue
			}
			senders++
			var from [3]string
			for i := range from {
				from[i] = netip.AddrFrom4([4]byte{127, 0, byte(i + 1), byte(senders)}).String()
				files[i][from[i]] = filepath.Base(file)
			}
			datagrams := exporter(t, from[0], in.listeners[0].conn.LocalAddr())
			for _, m := range messages {
				in.write(t, datagrams, m)
			}
			plain := dial(t, from[1], tcp)
			send(t, plain, slices.Concat(messages...)) // in whatever pieces
			secured := tls.Client(dial(t, from[2], secure), keys.client("exporter.example"))
			send(t, secured, messages...)
			plain.Close()
			secured.Close()
		}
	}
	if senders < 5 {
		t.Fatalf("only %d captures of IPFIX", senders)
	}
	await(t, "the ends of the connections", func() bool { return in.ended(endClosed) == float64(2*senders) })
	if err := in.stop(); err != nil {
		t.Fatal(err)
	}
	var got [3]map[string][]string
	records := readAll(t, &cfg)
	checkProtocol(t, records)
	for i := range got {
		got[i] = sayings(t, records, files[i])
	}
	if diff := cmp.Diff(got[1], got[0]); diff != "" {
		t.Errorf("by TCP (-), by UDP (+)\n%s", diff)
	}
	if diff := cmp.Diff(got[2], got[0]); diff != "" {
		t.Errorf("by TLS (-), by UDP (+)\n%s", diff)
	}
	checkConservation(t, in.metrics)
}

// wholeMessages are the messages of datagrams of IPFIX; nil if some is none.
func wholeMessages(payloads [][]byte) (messages [][]byte) {
	for _, p := range payloads {
		for len(p) > 0 {
			if len(p) < ipfixHeader || binary.BigEndian.Uint16(p) != 10 {
				return nil
			}
			n := int(binary.BigEndian.Uint16(p[2:]))
			if n < ipfixHeader || n > len(p) {
				return nil
			}
			messages, p = append(messages, p[:n]), p[n:]
		}
	}
	return messages
}

// sayings are the flows and events by capture, in words and in order, less what
// tells of who sent them and when. Words, since maps have no order in bytes.
func sayings(t *testing.T, records []record, files map[string]string) map[string][]string {
	t.Helper()
	said := map[string][]string{}
	say := func(sampler []byte, m fmt.Stringer) {
		addr, _ := netip.AddrFromSlice(sampler)
		file, ok := files[addr.String()]
		if !ok {
			return
		}
		said[file] = append(said[file], fmt.Sprint(m))
	}
	for _, r := range records {
		switch r.topic {
		case stage.FlowsRaw:
			each(t, r.value, func(b []byte) {
				var f flowv1.Flow
				unmarshal(t, &f, b)
				sampler := f.SamplerAddress
				f.SamplerAddress, f.TimeReceivedNs, f.RecordId, f.PairId = nil, 0, 0, 0
				say(sampler, &f)
			})
		case stage.Events:
			each(t, r.value, func(b []byte) {
				var e flowv1.Event
				unmarshal(t, &e, b)
				sampler := e.SamplerAddress
				e.SamplerAddress, e.TimeReceivedNs, e.RecordId = nil, 0, 0
				say(sampler, &e)
			})
		}
	}
	for _, s := range said {
		slices.Sort(s)
	}
	return said
}

// ipfix is a message of the sets.
func ipfix(sequence uint32, sets ...[]byte) []byte {
	m := make([]byte, ipfixHeader)
	for _, s := range sets {
		m = append(m, s...)
	}
	binary.BigEndian.PutUint16(m, 10)
	binary.BigEndian.PutUint16(m[2:], uint16(len(m)))
	binary.BigEndian.PutUint32(m[4:], uint32(time.Now().Unix()))
	binary.BigEndian.PutUint32(m[8:], sequence)
	return m
}

// Sets of one template, its withdrawal and one record of it.
var (
	// sourceIPv4Address, destinationIPv4Address, octetDeltaCount of 4 bytes.
	templateSet = []byte{0, 2, 0, 20, 1, 0, 0, 3, 0, 8, 0, 4, 0, 12, 0, 4, 0, 1, 0, 4}
	withdrawal  = []byte{0, 2, 0, 8, 1, 0, 0, 0}
	dataSet     = []byte{1, 0, 0, 16, 192, 0, 2, 1, 192, 0, 2, 2, 0, 0, 0, 100}
)

// TestTemplatesLiveAsLongAsTheConnection: neither another connection nor a datagram
// of the same exporter uses them, nor does the connection once they are withdrawn.
func TestTemplatesLiveAsLongAsTheConnection(t *testing.T) {
	b := startBroker(t)
	cfg := withStreams(testConfig(t, b))
	in := start(t, cfg)
	await(t, "the broker's answer", func() bool { return in.ready() == nil })
	flows := func() float64 { return testutil.ToFloat64(in.metrics.records.flow) }
	missing := func() float64 { return testutil.ToFloat64(in.metrics.missingTemplates) }
	to := in.streams.listeners[0].Addr()

	first := dial(t, "127.0.0.1", to)
	send(t, first, ipfix(0, templateSet, dataSet, dataSet))
	await(t, "two flows", func() bool { return flows() == 2 })
	second := dial(t, "127.0.0.1", to)
	send(t, second, ipfix(0, dataSet))
	await(t, "a set without template", func() bool { return missing() == 1 })
	send(t, exporter(t, "127.0.0.1", in.listeners[0].conn.LocalAddr()), ipfix(0, dataSet))
	await(t, "a datagram without template", func() bool { return missing() == 2 })
	send(t, first, ipfix(2, withdrawal), ipfix(2, dataSet))
	await(t, "a set whose template is withdrawn", func() bool { return missing() == 3 })
	first.Close()
	await(t, "the end", func() bool { return in.ended(endClosed) == 1 })
	if flows() != 2 {
		t.Errorf("%v flows, want 2", flows())
	}
}

// TestMalformedFramingEndsThatConnection, and no other; each by its reason.
func TestMalformedFramingEndsThatConnection(t *testing.T) {
	b := startBroker(t)
	cfg := withStreams(testConfig(t, b))
	cfg.Streams.MaxPerSource = 3
	in := start(t, cfg)
	await(t, "the broker's answer", func() bool { return in.ready() == nil })
	to := in.streams.listeners[0].Addr()
	good := dial(t, "127.0.0.1", to)
	send(t, good, ipfix(0, templateSet))
	for why, bytes := range map[string][]byte{
		endNotIPFIX:  []byte("GET / HTTP/1.1\r\n\r\n"),
		endLength:    {0, 10, 0, 15},
		endTruncated: ipfix(0, templateSet)[:20],
	} {
		conn := dial(t, "127.0.0.1", to)
		send(t, conn, ipfix(0, templateSet), bytes)
		if why == endTruncated {
			_ = conn.(*net.TCPConn).CloseWrite()
		}
		closed(t, conn)
		await(t, why, func() bool { return in.ended(why) == 1 })
	}
	send(t, good, ipfix(0, dataSet))
	await(t, "the good connection's flow", func() bool {
		return testutil.ToFloat64(in.metrics.records.flow) == 1
	})
	await(t, "seats", func() bool { return in.streams.seats.length() == 1 })
}

func TestConnectionsAreLimited(t *testing.T) {
	b := startBroker(t)
	cfg := withStreams(testConfig(t, b))
	cfg.Allow = netset.MustParse("127.0.0.0/28")
	cfg.Streams.MaxConnections, cfg.Streams.MaxPerSource = 3, 2
	in := start(t, cfg)
	await(t, "the broker's answer", func() bool { return in.ready() == nil })
	to := in.streams.listeners[0].Addr()

	closed(t, dial(t, "127.0.0.99", to))
	var open []net.Conn
	for i, from := range []string{"127.0.0.1", "127.0.0.1", "127.0.0.2"} {
		open = append(open, dial(t, from, to))
		await(t, "a seat", func() bool { return in.streams.seats.length() == i+1 })
	}
	closed(t, dial(t, "127.0.0.1", to))
	closed(t, dial(t, "127.0.0.2", to))
	open[0].Close()
	await(t, "a free seat", func() bool { return in.streams.seats.length() == 2 })
	send(t, dial(t, "127.0.0.3", to), ipfix(0, templateSet, dataSet))
	await(t, "a flow", func() bool { return testutil.ToFloat64(in.metrics.records.flow) == 1 })
	for source, want := range map[string]float64{"127.0.0.1": 1, "127.0.0.2": 1} {
		if n := refusedOf(in.metrics, tooManyConnections, source); n != want {
			t.Errorf("%s: %v connections refused, want %v", source, n, want)
		}
	}
	if n := refusedOf(in.metrics, notAllowed, "127.0.0.99"); n != 1 {
		t.Errorf("%v refused of who is not allowed, want 1", n)
	}
}

// TestLateComersFindASeat: sources that hold all seats, each with as many as it may and in
// the middle of a message, do not keep an exporter out.
func TestLateComersFindASeat(t *testing.T) {
	b := startBroker(t)
	cfg := withStreams(testConfig(t, b))
	cfg.Streams.MaxConnections, cfg.Streams.MaxPerSource = 8, 4
	in := start(t, cfg)
	await(t, "the broker's answer", func() bool { return in.ready() == nil })
	to := in.streams.listeners[0].Addr()
	for i := range 8 {
		send(t, dial(t, []string{"127.0.0.1", "127.0.0.2"}[i%2], to), ipfix(0, templateSet)[:5])
	}
	await(t, "all seats", func() bool { return in.streams.seats.length() == 8 })
	send(t, dial(t, "127.0.0.3", to), ipfix(0, templateSet, dataSet))
	await(t, "a flow", func() bool { return testutil.ToFloat64(in.metrics.records.flow) == 1 })
	await(t, "who made room", func() bool { return in.ended(endMadeRoom) == 1 && in.streams.seats.length() == 8 })
	if n := refusedOf(in.metrics, tooManyConnections, "127.0.0.3"); n != 0 {
		t.Errorf("%v connections refused", n)
	}
}

func TestIdleConnectionsEnd(t *testing.T) {
	b := startBroker(t)
	cfg := withStreams(testConfig(t, b))
	cfg.Streams.IdleTimeout = 50 * time.Millisecond
	in := start(t, cfg)
	await(t, "the broker's answer", func() bool { return in.ready() == nil })
	conn := dial(t, "127.0.0.1", in.streams.listeners[0].Addr())
	send(t, conn, ipfix(0, templateSet))
	closed(t, conn)
	await(t, "the end", func() bool { return in.ended(endIdle) == 1 })
}

// TestStreamsWait: while Kafka is away an exporter is held up, nothing is dropped,
// datagrams still find room, and all arrives once Kafka is back.
func TestStreamsWait(t *testing.T) {
	b := startBroker(t)
	cfg := withStreams(testConfig(t, b))
	cfg.QueueBytes, cfg.Kafka.QueueBytes = 1<<20, 1<<20
	in := start(t, cfg)
	await(t, "the broker's answer", func() bool { return in.ready() == nil })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	var many [][]byte
	for range 1000 {
		many = append(many, dataSet)
	}
	conn := dial(t, "127.0.0.1", in.streams.listeners[0].Addr())
	send(t, conn, ipfix(0, templateSet))
	// More than the queues and the kernel's buffers hold: the writer has to wait.
	const messages = 3000
	sent := make(chan error, 1)
	go func() {
		for i := range uint32(messages) {
			if _, err := conn.Write(ipfix(1000*i, many...)); err != nil {
				sent <- err
				return
			}
		}
		sent <- conn.Close()
	}()
	await(t, "a full queue", func() bool { bytes, _ := in.queues.length(); return bytes > 1<<19 })
	datagrams := exporter(t, "127.0.0.2", in.listeners[0].conn.LocalAddr())
	send(t, datagrams, netflow5(30, 1))
	await(t, "the datagram", func() bool {
		return testutil.ToFloat64(in.metrics.datagrams) > testutil.ToFloat64(in.streams.metrics.messages)
	})
	if n := testutil.ToFloat64(in.metrics.droppedQueue); n != 0 {
		t.Errorf("%v datagrams dropped", n)
	}
	b.start(t)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	await(t, "the end of the connection", func() bool { return in.ended(endClosed) == 1 })
	if err := in.stop(); err != nil {
		t.Fatal(err)
	}
	got := talliesOf(t, firstTime(t, readAll(t, &cfg)))
	if got["127.0.0.1"].Flows != 1000*messages || got["127.0.0.2"].Flows != 30 {
		t.Errorf("%d and %d flows, want %d and 30", got["127.0.0.1"].Flows, got["127.0.0.2"].Flows, 1000*messages)
	}
	if testutil.ToFloat64(in.streams.metrics.heldQueue) == 0 {
		t.Error("nobody was held up")
	}
}

// TestStopTakesWhatIsOnItsWay stops while connections are open: what they had sent
// is in Kafka, and the exporters are told.
func TestStopTakesWhatIsOnItsWay(t *testing.T) {
	b := startBroker(t)
	cfg := withStreams(testConfig(t, b))
	in := start(t, cfg)
	await(t, "the broker's answer", func() bool { return in.ready() == nil })
	conn := dial(t, "127.0.0.1", in.streams.listeners[0].Addr())
	send(t, conn, ipfix(0, templateSet))
	await(t, "the connection", func() bool { return in.streams.seats.length() == 1 })
	const messages = 2000
	for i := range uint32(messages) {
		send(t, conn, ipfix(i, dataSet))
	}
	if err := in.stop(); err != nil {
		t.Fatal(err)
	}
	closed(t, conn)
	if got := talliesOf(t, readAll(t, &cfg))["127.0.0.1"].Flows; got != messages {
		t.Errorf("%d flows, want %d", got, messages)
	}
	if in.ended(endStop) != 1 {
		t.Error("the end was not counted as a stop")
	}
}

// TestStopDoesNotWaitForWhoGoesOn: an exporter that never pauses does not hold up
// a stop.
func TestStopDoesNotWaitForWhoGoesOn(t *testing.T) {
	b := startBroker(t)
	cfg := withStreams(testConfig(t, b))
	in := start(t, cfg)
	await(t, "the broker's answer", func() bool { return in.ready() == nil })
	conn := dial(t, "127.0.0.1", in.streams.listeners[0].Addr())
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for ctx.Err() == nil {
			if _, err := conn.Write(ipfix(0, templateSet)); err != nil {
				return
			}
		}
	}()
	await(t, "messages", func() bool { return testutil.ToFloat64(in.streams.metrics.messages) > 10 })
	if err := in.stop(); err != nil { // such as that the shutdown timeout is over
		t.Fatal(err)
	}
	cancel()
	conn.Close()
	<-gone
}
