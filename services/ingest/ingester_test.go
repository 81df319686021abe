package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/capture"
	"github.com/flowledger/flowledger/services/internal/dispatch"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/netset"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// running is an ingester at work.
type running struct {
	*ingester
	stop func() error
	sent int // datagrams
}

// maxUnread is how many datagrams the tests leave unread: what any kernel's buffer has
// room for, however late the reader is.
const maxUnread = 32

// write sends a datagram, and waits now and then until all are read.
func (r *running) write(t *testing.T, from *net.UDPConn, payload []byte) {
	t.Helper()
	if _, err := from.Write(payload); err != nil {
		t.Fatal(err)
	}
	if r.sent++; r.sent%maxUnread == 0 {
		r.reads(t)
	}
}

// reads waits until all datagrams that were sent are read.
func (r *running) reads(t *testing.T) {
	t.Helper()
	await(t, "the datagrams", func() bool {
		return testutil.ToFloat64(r.metrics.datagrams)-testutil.ToFloat64(r.streams.metrics.messages) >= float64(r.sent)
	})
}

func start(t *testing.T, cfg Config) *running {
	t.Helper()
	in, err := newIngester(cfg, quiet(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- in.run(ctx) }()
	var stopped bool
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	return &running{ingester: in, stop: stop}
}

// exporter sends datagrams from an address of its own.
func exporter(t *testing.T, from string, to net.Addr) *net.UDPConn {
	t.Helper()
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)}, to.(*net.UDPAddr))
	if err != nil {
		t.Skipf("this system has no address %s: %v", from, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// tally is what one exporter's datagrams have become.
type tally struct{ Flows, Events, Facts, Dead, Bytes int }

// tallies are by sampler_address: the sender's, or what an sFlow agent calls itself.
type tallies map[string]tally

func (ts tallies) add(sampler []byte, change func(*tally)) {
	a, _ := netip.AddrFromSlice(sampler)
	c := ts[a.String()]
	change(&c)
	ts[a.String()] = c
}

func (ts tallies) addResult(r *normalize.Result) {
	for _, f := range r.Flows {
		ts.add(f.SamplerAddress, func(c *tally) { c.Flows++; c.Bytes += int(f.Bytes) })
	}
	for _, e := range r.Events {
		ts.add(e.SamplerAddress, func(c *tally) { c.Events++ })
	}
	for _, f := range r.Facts {
		ts.add(f.SamplerAddress, func(c *tally) { c.Facts++ })
	}
	for i := range r.Dead {
		ts.add(r.Dead[i].Exporter.AsSlice(), func(c *tally) { c.Dead++ })
	}
}

// TestCaptures sends what real exporters sent over UDP, each capture from an
// address of its own, and holds what is in Kafka against the independent
// decoder's counts and, per exporter, against the core called directly.
func TestCaptures(t *testing.T) {
	t.Run("one decoder", func(t *testing.T) { testCaptures(t, 1) })
	t.Run("three decoders", func(t *testing.T) { testCaptures(t, 3) })
}

func testCaptures(t *testing.T, decoders int) {
	counts := expectedCounts(t)
	b := startBroker(t)
	cfg := testConfig(t, b)
	cfg.Decoders = decoders
	in := start(t, cfg)
	await(t, "the broker's answer", func() bool { return in.ready() == nil })

	want, senders, late := tallies{}, 0, 0
	var data, options uint64
	files, err := filepath.Glob(filepath.Join(testkit.Data(t, "captures"), "*.pcap"))
	if err != nil {
		t.Fatal(err)
	}
	for i, file := range files {
		for from, payloads := range readCapture(t, file) {
			senders++
			addr := fmt.Sprintf("127.0.%d.%d", i+1, senders%250+1)
			conn := exporter(t, addr, in.listeners[0].conn.LocalAddr())
			var r normalize.Result
			n := normalize.New(normalize.Default())
			for _, p := range payloads {
				in.write(t, conn, p)
				n.Datagram(normalize.Datagram{Exporter: netip.MustParseAddr(addr), Port: from.Port(), ReceivedNs: 1_700_000_000e9, Payload: p}, &r)
			}
			if _, ok := counts[filepath.Base(file)]; ok {
				data += r.DataRecords
				options += r.OptionsRecords
			}
			n.End(&r)
			late += int(r.LateRecords)
			want.addResult(&r)
		}
	}
	var wantData, wantOptions uint64
	for _, c := range counts {
		wantData, wantOptions = wantData+c[0], wantOptions+c[1]
	}
	if data != wantData || options != wantOptions {
		t.Errorf("the core finds %d data and %d options records, the independent decoder %d and %d", data, options, wantData, wantOptions)
	}
	if err := in.stop(); err != nil {
		t.Fatal(err)
	}

	records := readAll(t, &cfg)
	checkProtocol(t, records)
	if n := lateFlows(t, records); n > late {
		t.Errorf("%d flows lie in later ticks than they were received in, but only %d waited for their templates", n, late)
	}
	if diff := cmp.Diff(talliesOf(t, records), want); diff != "" {
		t.Errorf("in Kafka, per exporter (-got, +want)\n%s", diff)
	}
	checkConservation(t, in.metrics)
}

func talliesOf(t *testing.T, records []record) tallies {
	t.Helper()
	got := tallies{}
	for _, r := range records {
		switch r.topic {
		case stage.FlowsRaw:
			each(t, r.value, func(b []byte) {
				var f flowv1.Flow
				unmarshal(t, &f, b)
				if want := flow.Partition(flow.ConversationHash(&f), 4); int(r.part) != want {
					t.Errorf("a flow of partition %d lies in %d", want, r.part)
				}
				if tick := eventtime.TickOf(f.TimeReceivedNs); int64(tick) > r.number(t, "tick") {
					t.Errorf("a flow received in tick %d lies in tick %s", tick, r.headers["tick"])
				}
				got.add(f.SamplerAddress, func(c *tally) { c.Flows++; c.Bytes += int(f.Bytes) })
			})
		case stage.Events:
			each(t, r.value, func(b []byte) {
				var e flowv1.Event
				unmarshal(t, &e, b)
				got.add(e.SamplerAddress, func(c *tally) { c.Events++ })
			})
		case stage.Exporters:
			each(t, r.value, func(b []byte) {
				var f flowv1.ExporterFact
				unmarshal(t, &f, b)
				got.add(f.SamplerAddress, func(c *tally) { c.Facts++ })
			})
		case stage.FlowsDead:
			if r.headers[dispatch.HeaderReason] == "" || r.number(t, dispatch.HeaderReceived) == 0 {
				t.Errorf("dead letter without a reason or time: %v", r.headers)
			}
			got.add(netip.MustParseAddr(r.headers[dispatch.HeaderExporter]).AsSlice(), func(c *tally) { c.Dead++ })
		}
	}
	return got
}

// lateFlows counts the flows in later ticks than that of their reception.
func lateFlows(t *testing.T, records []record) (n int) {
	t.Helper()
	for _, r := range records {
		if r.topic != stage.FlowsRaw {
			continue
		}
		each(t, r.value, func(b []byte) {
			var f flowv1.Flow
			unmarshal(t, &f, b)
			if int64(eventtime.TickOf(f.TimeReceivedNs)) != r.number(t, "tick") {
				n++
			}
		})
	}
	return n
}

func each(t *testing.T, batch []byte, f func([]byte)) {
	t.Helper()
	for {
		msg, rest, err := flow.Next(batch)
		if err != nil {
			t.Fatal(err)
		}
		if msg == nil {
			return
		}
		f(msg)
		batch = rest
	}
}

func unmarshal(t *testing.T, m interface{ UnmarshalVT([]byte) error }, b []byte) {
	t.Helper()
	if err := m.UnmarshalVT(bytes.Clone(b)); err != nil {
		t.Fatal(err)
	}
}

// checkProtocol holds every partition against the rules of the headers: one
// source, numbers without gaps, ticks that rise, a goodbye at the end.
func checkProtocol(t *testing.T, records []record) {
	t.Helper()
	type place struct {
		topic string
		part  int32
	}
	next, tick, bye := map[place]int64{}, map[place]int64{}, map[place]string{}
	sources := map[string]bool{}
	for _, r := range records {
		at := place{r.topic, r.part}
		sources[r.headers["source"]] = true
		if seq := r.number(t, "seq"); seq != next[at] {
			t.Errorf("%v: record %d where %d was expected", at, seq, next[at])
		}
		count := 1
		if r.topic != stage.FlowsDead {
			count, _ = flow.Count(r.value)
		}
		next[at] += int64(count)
		if n := r.number(t, "tick"); n < tick[at] {
			t.Errorf("%v: tick %d after %d", at, n, tick[at])
		}
		tick[at], bye[at] = r.number(t, "tick"), r.headers["bye"]
	}
	for at, word := range bye {
		if word != stage.ByeStop && at.topic != stage.FlowsDead {
			t.Errorf("%v: ends with bye %q", at, word)
		}
	}
	if len(sources) != 1 {
		t.Errorf("sources %v", sources)
	}
}

func checkConservation(t *testing.T, m *metrics) {
	t.Helper()
	var sum float64
	for _, kind := range []prometheus.Counter{m.records.flow, m.records.event, m.records.flowAndEvent, m.records.dead} {
		sum += testutil.ToFloat64(kind)
	}
	if n := m.unaccounted.Load(); n != 0 {
		t.Errorf("%v records unaccounted for", n)
	}
	if data := testutil.ToFloat64(m.dataRecords); data != sum || data == 0 {
		t.Errorf("%v data records became %v", data, sum)
	}
	if n := testutil.ToFloat64(m.droppedQueue) + testutil.ToFloat64(m.droppedKernel); n != 0 {
		t.Errorf("%v datagrams dropped", n)
	}
}

// readCapture is what each sender of a capture sent.
func readCapture(t testing.TB, file string) map[netip.AddrPort][][]byte {
	t.Helper()
	r, err := capture.Open([]string{file}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	sent := map[netip.AddrPort][][]byte{}
	for {
		d, err := r.Next()
		if errors.Is(err, io.EOF) {
			return sent
		}
		if err != nil {
			t.Fatal(err)
		}
		from := netip.AddrPortFrom(d.Src.Addr(), 0)
		sent[from] = append(sent[from], bytes.Clone(d.Payload))
	}
}

// expectedCounts are the data and options records per capture.
func expectedCounts(t *testing.T) map[string][2]uint64 {
	t.Helper()
	path := testkit.Data(t, "EXPECTED.tsv")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	counts := map[string][2]uint64{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		cells := strings.Split(lines.Text(), "\t")
		data, err := strconv.ParseUint(cells[2], 10, 64)
		if err != nil {
			continue // the head
		}
		options, _ := strconv.ParseUint(cells[3], 10, 64)
		counts[cells[0]] = [2]uint64{data, options}
	}
	return counts
}

// TestStopTakesWhatTheSocketHolds stops an ingester whose readers have not begun:
// all that was sent before is in Kafka.
func TestStopTakesWhatTheSocketHolds(t *testing.T) {
	b := startBroker(t)
	cfg := testConfig(t, b)
	in, err := newIngester(cfg, quiet(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	conn := exporter(t, "127.0.0.1", in.listeners[0].conn.LocalAddr())
	const datagrams = 200
	for i := range datagrams {
		if _, err := conn.Write(netflow5(10, uint32(i))); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := in.run(ctx); err != nil {
		t.Fatal(err)
	}
	records := readAll(t, &cfg)
	checkProtocol(t, records)
	if got := talliesOf(t, records)["127.0.0.1"].Flows; got != 10*datagrams {
		t.Errorf("%d flows in Kafka, want %d", got, 10*datagrams)
	}
}

// TestKafkaAway: the socket is read on, what does not fit in memory is dropped
// and counted, and all else reaches Kafka once it is back.
func TestKafkaAway(t *testing.T) {
	b := startBroker(t)
	cfg := testConfig(t, b)
	cfg.QueueBytes, cfg.Kafka.QueueBytes = 1<<20, 1<<20
	in := start(t, cfg)
	await(t, "the broker's answer", func() bool { return in.ready() == nil })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	conn := exporter(t, "127.0.0.1", in.listeners[0].conn.LocalAddr())
	await(t, "drops", func() bool {
		for range maxUnread {
			in.write(t, conn, netflow5(30, uint32(in.sent)))
		}
		return testutil.ToFloat64(in.metrics.droppedQueue) > 0
	})
	b.start(t)
	if err := in.stop(); err != nil {
		t.Fatal(err)
	}
	received, dropped := testutil.ToFloat64(in.metrics.datagrams), testutil.ToFloat64(in.metrics.droppedQueue)
	if received != float64(in.sent) {
		t.Errorf("%d sent, %v received", in.sent, received)
	}
	records := readAll(t, &cfg)
	if got, want := talliesOf(t, records)["127.0.0.1"].Flows, 30*int(received-dropped); got != want {
		t.Errorf("%d flows in Kafka, want %d: %v datagrams received, %v dropped", got, want, received, dropped)
	}
}

func TestForeignersAreRefused(t *testing.T) {
	b := startBroker(t)
	cfg := testConfig(t, b)
	cfg.Allow = netset.MustParse("127.0.0.2/32")
	in := start(t, cfg)
	for from, flows := range map[string]int{"127.0.0.2": 2, "127.0.0.3": 3} {
		conn := exporter(t, from, in.listeners[0].conn.LocalAddr())
		if _, err := conn.Write(netflow5(flows, 1)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "both datagrams", func() bool {
		return testutil.ToFloat64(in.metrics.datagrams) == 1 && refusedOf(in.metrics, notAllowed, "127.0.0.3") == 1
	})
	if err := in.stop(); err != nil {
		t.Fatal(err)
	}
	got := talliesOf(t, readAll(t, &cfg))
	if got["127.0.0.2"].Flows != 2 || len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestTakenPortIsExplained(t *testing.T) {
	b := startBroker(t)
	cfg := testConfig(t, b)
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg.Listen = append(cfg.Listen, taken.LocalAddr().String())
	if _, err := newIngester(cfg, quiet(), prometheus.NewRegistry()); err == nil || !strings.Contains(err.Error(), "choose other addresses with listen") {
		t.Errorf("got %v", err)
	}
}

// TestKernelDropsAreCounted fills a small socket buffer before anybody reads.
func TestKernelDropsAreCounted(t *testing.T) {
	if ancillaryBytes == 0 {
		t.Skip("this kernel does not tell what it drops")
	}
	b := startBroker(t)
	cfg := testConfig(t, b)
	cfg.ReceiveBuffer = 64 << 10
	in, err := newIngester(cfg, quiet(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	conn := exporter(t, "127.0.0.1", in.listeners[0].conn.LocalAddr())
	const datagrams = 500
	for i := range datagrams {
		if _, err := conn.Write(netflow5(30, uint32(i))); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- in.run(ctx) }()
	// The count comes with datagrams that were queued after the drops. Until somebody
	// reads, they are dropped, too.
	sent := datagrams
	await(t, "a count of drops", func() bool {
		if _, err := conn.Write(netflow5(1, 0)); err != nil {
			t.Fatal(err)
		}
		sent++
		return testutil.ToFloat64(in.metrics.droppedKernel) > 0
	})
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := testutil.ToFloat64(in.metrics.droppedKernel); n >= float64(sent) || n < datagrams/2 {
		t.Errorf("%v of %d datagrams dropped", n, sent)
	}
}

// TestStopWhileKafkaIsAway: a stop with more at hand than Kafka takes ends within
// the shutdown timeout, and says that something is lost.
func TestStopWhileKafkaIsAway(t *testing.T) {
	b := startBroker(t)
	cfg := testConfig(t, b)
	cfg.QueueBytes, cfg.Kafka.QueueBytes, cfg.ShutdownTimeout = 1<<20, 1<<20, time.Second
	in := start(t, cfg)
	await(t, "the broker's answer", func() bool { return in.ready() == nil })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	conn := exporter(t, "127.0.0.1", in.listeners[0].conn.LocalAddr())
	await(t, "drops", func() bool {
		_, err := conn.Write(netflow5(30, 0))
		return err != nil || testutil.ToFloat64(in.metrics.droppedQueue) > 0
	})
	if err := in.stop(); err == nil {
		t.Error("nothing was said of what is lost")
	}
}

// TestSpoolTakesWhatKafkaDoesNot: with a spool nothing is dropped, and a stop
// while Kafka is away is quick and loses nothing: the next start sends the rest.
func TestSpoolTakesWhatKafkaDoesNot(t *testing.T) {
	b := startBroker(t)
	cfg := testConfig(t, b)
	cfg.Kafka.QueueBytes, cfg.Spool.Dir, cfg.Spool.After = 1<<20, t.TempDir(), 100*time.Millisecond
	in := start(t, cfg)
	await(t, "the broker's answer", func() bool { return in.ready() == nil })
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	conn := exporter(t, "127.0.0.1", in.listeners[0].conn.LocalAddr())
	const datagrams = 2000
	for i := range uint32(datagrams) {
		in.write(t, conn, netflow5(30, i))
	}
	if err := in.stop(); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	cfg.Spool.After = time.Minute
	again := start(t, cfg)
	if err := again.stop(); err != nil {
		t.Fatal(err)
	}
	got := talliesOf(t, firstTime(t, readAll(t, &cfg)))
	if got["127.0.0.1"].Flows != 30*datagrams {
		t.Errorf("%d flows in Kafka, want %d", got["127.0.0.1"].Flows, 30*datagrams)
	}
}

// TestStartWithoutKafkaKnowsExporters: what was known of exporters is known after a
// start while Kafka is away.
func TestStartWithoutKafkaKnowsExporters(t *testing.T) {
	b := startBroker(t)
	cfg := testConfig(t, b)
	cfg.Spool.Dir, cfg.Spool.After, cfg.ShutdownTimeout = t.TempDir(), 100*time.Millisecond, 4*time.Second
	for i, sets := range [][][]byte{{templateSet, dataSet}, {dataSet}, {dataSet}} {
		in := start(t, cfg)
		send(t, exporter(t, "127.0.0.1", in.listeners[0].conn.LocalAddr()), ipfix(uint32(i), sets...))
		await(t, "the datagram", func() bool { return testutil.ToFloat64(in.metrics.datagrams) == 1 })
		if i == 0 {
			await(t, "the flow", func() bool { return testutil.ToFloat64(in.metrics.records.flow) == 1 })
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if err := in.stop(); err != nil {
			t.Fatal(err)
		}
		if n := testutil.ToFloat64(in.metrics.records.flow); n != 1 {
			t.Errorf("start %d: %v flows, want 1", i, n)
		}
	}
}

// firstTime drops repeated messages, as readers do by their numbers.
func firstTime(t *testing.T, records []record) (fresh []record) {
	t.Helper()
	next := map[string]int64{}
	for _, r := range records {
		at := fmt.Sprintf("%s %s/%d", r.headers["source"], r.topic, r.part)
		seq := r.number(t, "seq")
		if seq > next[at] {
			t.Errorf("%s: record %d where %d was expected", at, seq, next[at])
		}
		if n, err := flow.Count(r.value); r.topic != stage.FlowsDead && err == nil && seq == next[at] {
			next[at] += int64(n)
			fresh = append(fresh, r)
		}
	}
	return fresh
}
