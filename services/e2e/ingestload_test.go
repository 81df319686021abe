package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/capture"
	"github.com/flowledger/flowledger/services/internal/embedded"
	"github.com/flowledger/flowledger/services/internal/embedded/port"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// loadRate is how many datagrams a second the load tests send: what any machine
// takes. The highest rate without loss is measured, not tested (make bench-loss).
const loadRate = 1000

// load is one exporter's NetFlow v9 and what it means.
type load struct {
	payloads   [][]byte
	exporter   netip.Addr
	normalizer *normalize.Normalizer
	result     normalize.Result
	records    uint64
	// ids are those of the flows, per partition, as sent.
	ids  map[int][]uint64
	sent int
}

// newLoad generates so many seconds of load.
func newLoad(t *testing.T, length time.Duration) *load {
	t.Helper()
	datagrams := int(length.Seconds() * loadRate)
	file := filepath.Join(t.TempDir(), "load.pcap")
	out, err := exec.Command(filepath.Join(bin, "flowctl"), "simulate", "--scenario", "load", "--protocol", "v9", "--quiet",
		"--records", strconv.Itoa(30*datagrams), "--seed", "1", "-o", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	l := &load{exporter: netip.MustParseAddr("127.0.0.2"), normalizer: normalize.New(normalize.Default()), ids: map[int][]uint64{}}
	r, err := capture.Open([]string{file}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for {
		d, err := r.Next()
		if errors.Is(err, io.EOF) {
			return l
		}
		if err != nil {
			t.Fatal(err)
		}
		l.payloads = append(l.payloads, bytes.Clone(d.Payload))
	}
}

// paced sends all, in bursts, by the way that is chosen for each datagram. The rate is
// the highest: a slow machine gets less, and nothing is made up for afterwards.
func (l *load) paced(t *testing.T, way func(i int) *way) {
	t.Helper()
	const every = 5 * time.Millisecond
	tick := time.NewTicker(every)
	defer tick.Stop()
	for l.sent < len(l.payloads) {
		<-tick.C
		for range min(int(loadRate*every/time.Second), len(l.payloads)-l.sent) {
			p := l.payloads[l.sent]
			way(l.sent).write(t, p)
			l.understand(p)
			l.sent++
		}
	}
}

func (l *load) understand(payload []byte) {
	l.normalizer.Datagram(normalize.Datagram{Exporter: l.exporter, ReceivedNs: uint64(time.Now().UnixNano()), Payload: payload}, &l.result)
	l.records += l.result.DataRecords
	for _, f := range l.result.Flows {
		p := flow.Partition(flow.ConversationHash(f), 2)
		l.ids[p] = append(l.ids[p], f.RecordId)
	}
	l.result.Reset()
}

// holds compares the log with the load: every record once; in order too, where one
// ingester has received them all.
func (l *load) holds(t *testing.T, got *log, ordered bool) {
	t.Helper()
	for p, want := range l.ids {
		ids := got.ids[l.exporter.String()][p]
		if !ordered {
			want, ids = slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(ids))
		}
		if !slices.Equal(ids, want) {
			t.Errorf("partition %d: %d records, or in another order; want %d", p, len(ids), len(want))
		}
	}
	if uint64(got.flows) != l.records || got.dead != 0 {
		t.Errorf("%d flows and %d dead letters, want %d and none", got.flows, got.dead, l.records)
	}
}

// conserves holds a running ingest's own books against each other, and returns how
// many records it has decoded.
func (p *process) conserves(t *testing.T) uint64 {
	t.Helper()
	// It may still be at its last datagrams, between one look and the next.
	var decoded float64
	await(t, "every decoded record to have become something", func() bool {
		decoded = p.metric("flowledger_ingest_data_records_total")
		return decoded == p.metric("flowledger_ingest_records_total") && p.metric("flowledger_ingest_unaccounted_records") == 0
	})
	if n := p.metric("flowledger_ingest_dropped_total"); n != 0 {
		t.Errorf("%v datagrams dropped", n)
	}
	return uint64(decoded)
}

// embeddedBroker is a broker in this process that can go and come back.
type embeddedBroker struct {
	*embedded.Broker
	cfg embedded.BrokerConfig
}

func startEmbedded(t *testing.T) *embeddedBroker {
	t.Helper()
	addr, release, err := port.Keep()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	b := &embeddedBroker{cfg: embedded.BrokerConfig{Dir: t.TempDir()}}
	_, number, _ := strings.Cut(addr, ":")
	b.cfg.Port, _ = strconv.Atoi(number)
	b.start(t)
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func (b *embeddedBroker) start(t *testing.T) {
	t.Helper()
	broker, err := embedded.StartBroker(context.Background(), b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	b.Broker = broker
}

// TestIngestLosesNothing: what was sent, what the counters say and what is in Kafka
// agree, to the record.
func TestIngestLosesNothing(t *testing.T) {
	broker := startEmbedded(t)
	cfg := kafkaConfig(t, broker.Addr())
	in := startIngest(t, broker.Addr())
	l := newLoad(t, 4*time.Second)
	to := newWay(t, "127.0.0.2", in)
	l.paced(t, func(int) *way { return to })
	await(t, "all records", func() bool { return in.metric("flowledger_ingest_data_records_total") >= float64(l.records) })
	if n := in.conserves(t); n != l.records {
		t.Errorf("%d records decoded, %d sent", n, l.records)
	}
	if n := in.metric("flowledger_ingest_datagrams_total"); int(n) != l.sent {
		t.Errorf("%v datagrams counted, %d sent", n, l.sent)
	}
	if n := in.metric("flowledger_ingest_lost_records_total"); n != 0 {
		t.Errorf("%v records missing by their sequence numbers", n)
	}
	in.stop(t)
	got := countLog(t, cfg)
	got.signedOff(t, 1)
	l.holds(t, got, true)
}

// TestReplicaRestartsUnderLoad deals one exporter's datagrams out to two ingesters in
// turn. One is restarted meanwhile; until it is back the other gets them all. The
// exporter tells its templates once.
func TestReplicaRestartsUnderLoad(t *testing.T) {
	broker := startEmbedded(t)
	cfg := kafkaConfig(t, broker.Addr())
	l := newLoad(t, 6*time.Second)
	l.payloads = templateOnce(t, l.payloads)
	replicas := []*process{startIngest(t, broker.Addr()), startIngest(t, broker.Addr())}
	ways := []*way{newWay(t, "127.0.0.2", replicas[0]), newWay(t, "127.0.0.2", replicas[1])}
	stopped := make(chan struct{})
	both := true
	// back tells whether the second replica receives again.
	back := func() bool {
		select {
		case <-stopped:
		default:
			return false
		}
		if replicas[1].cmd.ProcessState != nil {
			replicas[1] = launchIngest(t, broker.Addr())
		}
		return replicas[1].get("/readyz") != ""
	}
	l.paced(t, func(i int) *way {
		switch third := len(l.payloads) / 3; {
		case i == third:
			both = false
			old := replicas[1]
			_ = old.cmd.Process.Signal(os.Interrupt)
			go func() {
				old.exited <- <-old.exited
				close(stopped)
			}()
		case !both && i == 2*third: // however long it takes, the rest is for both
			await(t, "the second replica to be back", back)
			fallthrough
		case !both && i%maxUnread == 0 && back():
			ways[1], both = newWay(t, "127.0.0.2", replicas[1]), true
		}
		if both {
			return ways[i%2]
		}
		return ways[0]
	})
	var decoded uint64
	for _, r := range replicas {
		r.reads(t)
		await(t, "nothing to wait for its template", func() bool {
			return r.metric("flowledger_ingest_missing_template_sets_total") == r.metric("flowledger_ingest_late_sets_total")
		})
		decoded += r.conserves(t)
		r.stop(t)
	}
	if decoded == 0 || replicas[1].log() == "" {
		t.Error("nobody has decoded anything")
	}
	got := countLog(t, cfg)
	got.signedOff(t, 3)
	l.holds(t, got, false)
}

// outage is for how long the broker is away: FLOWLEDGER_OUTAGE=60s go test ./e2e -run
// BrokerStops is the test of acceptance.
func outage(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("FLOWLEDGER_OUTAGE")
	if text == "" {
		return 6 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("FLOWLEDGER_OUTAGE: %v", err)
	}
	return d
}

// TestBrokerStopsUnderLoad: the broker is stopped while the load goes on, and comes
// back. Every record arrives, once, in order.
func TestBrokerStopsUnderLoad(t *testing.T) {
	broker := startEmbedded(t)
	cfg := kafkaConfig(t, broker.Addr())
	flags := []string{"--spool.dir", t.TempDir(), "--spool.after"}
	in := startIngest(t, broker.Addr(), append(flags, "1s")...)
	away := outage(t)
	l := newLoad(t, away+4*time.Second)
	to := newWay(t, "127.0.0.2", in)
	l.paced(t, func(i int) *way {
		switch i {
		case 2 * loadRate:
			_ = broker.Close()
		case 2*loadRate + int(away.Seconds()*loadRate):
			await(t, "the spool to be in use", func() bool { return strings.Contains(in.log(), "they go to the spool") })
			broker.start(t)
		}
		return to
	})
	await(t, "all that was spooled", func() bool { return strings.Contains(in.log(), "Kafka has all that was spooled") })
	await(t, "all records", func() bool { return in.metric("flowledger_ingest_data_records_total") >= float64(l.records) })
	if n := in.conserves(t); n != l.records {
		t.Errorf("%d records decoded, %d sent", n, l.records)
	}
	spooled := in.metric("flowledger_stage_spooled_records_total")
	in.stop(t)
	startIngest(t, broker.Addr(), append(flags, "1m")...).stop(t) // sends what a slow Kafka had not taken by then
	got := countLog(t, cfg)
	got.signedOff(t, 2)
	l.holds(t, got, true)
	t.Logf("broker away for %s: %d records in %d datagrams, %.0f by way of the spool", away, l.records, l.sent, spooled)
}

// templateOnce leaves out the datagrams that repeat a template.
func templateOnce(t *testing.T, payloads [][]byte) [][]byte {
	t.Helper()
	told := 0
	return slices.DeleteFunc(payloads, func(p []byte) bool {
		var r normalize.Result
		normalize.New(normalize.Default()).Datagram(normalize.Datagram{Exporter: netip.MustParseAddr("127.0.0.2"), ReceivedNs: uint64(time.Now().UnixNano()), Payload: p}, &r)
		if len(r.Facts) == 0 {
			return false
		}
		told++
		return told > 1
	})
}

// countLog is readLog for many records: it does not keep what they say.
func countLog(t *testing.T, cfg stage.Config) *log {
	t.Helper()
	l := newLog()
	l.reports = nil
	l.read(t, cfg)
	return l
}
