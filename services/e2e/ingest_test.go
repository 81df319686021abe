package e2e

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/capture"
	"github.com/flowledger/flowledger/services/internal/dispatch"
	"github.com/flowledger/flowledger/services/internal/embedded/realkafka"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/internal/testkit"
)

// process is a built program at work.
type process struct {
	cmd    *exec.Cmd
	listen string
	http   string
	output *output
	exited chan error
	sent   int // datagrams
}

// output is what a process says, readable while it goes on.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (p *process) log() string { return p.output.String() }

// told is what a process has said under a key of a line of its log.
func (p *process) told(message, key string) string {
	for line := range strings.Lines(p.log()) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == message {
			value, _ := entry[key].(string)
			return value
		}
	}
	return ""
}

// startIngest starts ingest on loopback and waits until it is ready.
func startIngest(t *testing.T, broker string, flags ...string) *process {
	t.Helper()
	p := launchIngest(t, broker, flags...)
	await(t, "ingest to be ready", func() bool { return p.get("/readyz") != "" })
	return p
}

func launchIngest(t *testing.T, broker string, flags ...string) *process {
	t.Helper()
	p := launch(t, "ingest", append([]string{"--listen", "127.0.0.1:0", "--kafka.brokers", broker,
		"--kafka.partitions.conversations", "2", "--allow", "127.0.0.0/8"}, flags...)...)
	await(t, "ingest to listen", func() bool {
		p.listen = p.told("listening", "listen")
		return p.listen != ""
	})
	return p
}

// launch starts a built program that serves HTTP, and ends it with the test. Its ports
// are of its own choice: one that we found free might be another's by then.
func launch(t *testing.T, name string, flags ...string) *process {
	t.Helper()
	p := &process{output: &output{}, exited: make(chan error, 1)}
	p.cmd = exec.Command(filepath.Join(bin, name), append([]string{"--http.addr", "127.0.0.1:0"}, flags...)...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.exited <- p.cmd.Wait() }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		err := <-p.exited
		p.exited <- err
		if t.Failed() {
			t.Logf("%s ended with %v:\n%s", name, err, p.log())
		}
	})
	await(t, name+" to serve", func() bool {
		p.http = p.told("starting", "http")
		return p.http != ""
	})
	return p
}

// stop is a clean stop.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	err := <-p.exited
	p.exited <- err
	if err != nil {
		t.Fatalf("%s did not stop in order: %v\n%s", filepath.Base(p.cmd.Path), err, p.log())
	}
}

// get is what a page says, or nothing.
func (p *process) get(path string) string {
	res, err := http.Get("http://" + p.http + path)
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

// metric sums the series whose text begins with name. Of a process that does not
// answer it is no number, which equals nothing.
func (p *process) metric(name string) (sum float64) {
	page := p.get("/metrics")
	if page == "" {
		return math.NaN()
	}
	for line := range strings.Lines(page) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == ' ' || rest[0] == '{') {
			var v float64
			_, _ = fmt.Sscan(rest[strings.LastIndexByte(rest, ' ')+1:], &v)
			sum += v
		}
	}
	return sum
}

// patience is how long a test waits for what must come: a machine that has other work
// may take many times as long as one that has none.
const patience = 5 * time.Minute

// await polls until the condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

// kafkaConfig is how the tests read what ingest wrote; the topics are made.
func kafkaConfig(t *testing.T, broker string) stage.Config {
	t.Helper()
	cfg := stage.Default()
	cfg.Brokers, cfg.Partitions.Conversations = []string{broker}, 2
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := stage.EnsureTopics(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// way leads from an address to a process.
type way struct {
	conn *net.UDPConn
	to   *process
}

func newWay(t *testing.T, from string, to *process) *way {
	t.Helper()
	target, err := net.ResolveUDPAddr("udp", to.listen)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)}, target)
	if err != nil {
		testkit.Missing(t, "the address %s: %v", from, err)
	}
	t.Cleanup(func() { conn.Close() })
	return &way{conn, to}
}

// maxUnread is how many datagrams the tests leave unread: what any kernel's buffer has
// room for, however late the process is. What is lost beyond that is nobody's fault.
const maxUnread = 32

// write sends a datagram, and waits now and then until the process has read them all.
func (w *way) write(t *testing.T, payload []byte) {
	t.Helper()
	if _, err := w.conn.Write(payload); err != nil {
		t.Fatal(err)
	}
	if w.to.sent++; w.to.sent%maxUnread == 0 {
		w.to.reads(t)
	}
}

// reads waits until ingest has read all that was sent to it.
func (p *process) reads(t *testing.T) {
	t.Helper()
	await(t, "the datagrams", func() bool { return p.metric("flowledger_ingest_datagrams_total") >= float64(p.sent) })
}

// sender is an exporter: it sends from an address of its own and remembers what
// its datagrams mean.
type sender struct {
	*way
	addr       netip.Addr
	normalizer *normalize.Normalizer
	want       normalize.Result
}

func newSender(t *testing.T, addr string, to *process) *sender {
	t.Helper()
	return &sender{way: newWay(t, addr, to), addr: netip.MustParseAddr(addr), normalizer: normalize.New(normalize.Default())}
}

func (s *sender) send(t *testing.T, payload []byte) {
	t.Helper()
	payload = exportedNow(payload)
	s.write(t, payload)
	s.normalizer.Datagram(normalize.Datagram{Exporter: s.addr, ReceivedNs: uint64(time.Now().UnixNano()), Payload: payload}, &s.want)
}

// records are how many the datagrams make.
func (s *sender) records() float64 {
	return float64(len(s.want.Flows) + len(s.want.Events) + len(s.want.Facts))
}

// exportedNow is a datagram as if its exporter had sent it now: what ingest corrects
// where an exporter's clock is wrong, and when, depends on when datagrams arrive.
func exportedNow(payload []byte) []byte {
	p := bytes.Clone(payload)
	now := uint32(time.Now().Unix())
	switch binary.BigEndian.Uint16(p) {
	case 5, 9:
		binary.BigEndian.PutUint32(p[8:], now)
	case 10:
		binary.BigEndian.PutUint32(p[4:], now)
	}
	return p
}

// datagrams are the export datagrams of a file of the shared data, per exporter.
func datagrams(t *testing.T, name string) map[netip.Addr][][]byte {
	t.Helper()
	r, err := capture.Open([]string{testkit.Data(t, name)}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	sent := map[netip.Addr][][]byte{}
	for {
		d, err := r.Next()
		if errors.Is(err, io.EOF) {
			return sent
		}
		if err != nil {
			t.Fatal(err)
		}
		sent[d.Src.Addr()] = append(sent[d.Src.Addr()], bytes.Clone(d.Payload))
	}
}

// log is what ingest's sources have written, held against the protocol while it
// is read.
type log struct {
	// ids are the flows' record ids, per exporter in the order of each partition.
	ids    map[string]map[int][]uint64
	flows  int
	events int
	dead   int
	bytes  uint64
	// reports counts what flows say, whoever decoded them.
	reports map[string]int
	// late are the flows in later ticks than that of their reception: they waited for
	// their templates.
	late int
	// sources are the last word of each, per partition.
	sources map[string]map[string]string
	// behind is the largest difference of a message's tick to its append time.
	behind time.Duration
}

type place struct {
	source, topic string
	partition     int
}

// readLog reads all that ingest has written so far: repeated messages are dropped
// by their numbers, as every reader does, and a gap, a falling tick or a record
// under another tick than that of its reception fails the test.
func readLog(t *testing.T, cfg stage.Config) *log {
	t.Helper()
	l := newLog()
	l.read(t, cfg)
	return l
}

func newLog() *log {
	return &log{ids: map[string]map[int][]uint64{}, reports: map[string]int{}, sources: map[string]map[string]string{}}
}

func (l *log) read(t *testing.T, cfg stage.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	peek := stage.NewPeek(cfg)
	defer peek.Close()
	next, tick := map[place]int64{}, map[place]eventtime.Tick{}
	for _, topic := range dispatch.Topics() {
		for p := range cfg.PartitionsOf(topic) {
			from, end, err := peek.Offsets(ctx, topic, p)
			for err == nil && from < end {
				from, err = peek.Read(ctx, topic, p, from, time.Second, func(m *stage.Message) error {
					at := place{m.Source, topic, p}
					if m.Tick < tick[at] {
						t.Errorf("%v: tick %d after %d", at, m.Tick, tick[at])
					}
					tick[at] = m.Tick
					l.take(t, m, at, next)
					return nil
				})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (l *log) take(t *testing.T, m *stage.Message, at place, next map[place]int64) {
	t.Helper()
	if m.Seq > next[at] {
		t.Errorf("%v: record %d where %d was expected", at, m.Seq, next[at])
	}
	unit := fmt.Sprintf("%s/%d", at.topic, at.partition)
	if l.sources[m.Source] == nil {
		l.sources[m.Source] = map[string]string{}
	}
	if at.topic != stage.FlowsDead {
		l.sources[m.Source][unit] = m.Bye
	}
	seen := next[at] - m.Seq
	next[at] = max(next[at], m.Seq+int64(m.Count))
	if seen >= int64(m.Count) {
		return
	}
	if m.Tick > 0 {
		l.behind = max(l.behind, (m.Time.Sub(time.Unix(0, int64(m.Tick.Ns()))) - eventtime.TickLength).Abs())
	}
	value, err := flow.Skip(m.Value, int(seen))
	if err != nil {
		t.Fatal(err)
	}
	switch at.topic {
	case stage.FlowsRaw:
		l.flowsOf(t, value, m, at.partition)
	case stage.Events:
		l.events += m.Count - int(seen)
	case stage.FlowsDead:
		l.dead++
	}
}

func (l *log) flowsOf(t *testing.T, batch []byte, m *stage.Message, partition int) {
	t.Helper()
	for {
		b, rest, err := flow.Next(batch)
		if err != nil {
			t.Fatal(err)
		}
		if b == nil {
			return
		}
		batch = rest
		var f flowv1.Flow
		if err := f.UnmarshalVT(b); err != nil {
			t.Fatal(err)
		}
		switch got := eventtime.TickOf(f.TimeReceivedNs); {
		case got > m.Tick:
			t.Errorf("a flow received in tick %d lies in tick %d", got, m.Tick)
		case got < m.Tick:
			l.late++
		}
		a, _ := netip.AddrFromSlice(f.SamplerAddress)
		if l.ids[a.String()] == nil {
			l.ids[a.String()] = map[int][]uint64{}
		}
		l.ids[a.String()][partition] = append(l.ids[a.String()][partition], f.RecordId)
		l.flows++
		if l.reports != nil {
			l.reports[reportOf(&f)]++
		}
		l.bytes += f.Bytes
	}
}

// reportOf is what tells a flow from others.
func reportOf(f *flowv1.Flow) string {
	return fmt.Sprintf("%x:%d>%x:%d %d %d/%d %d..%d", f.SrcAddr, f.SrcPort, f.DstAddr, f.DstPort, f.Proto,
		f.Bytes, f.Packets, f.TimeFlowStartNs, f.TimeFlowEndNs)
}

// holds compares the log with what the senders' datagrams mean: every record,
// once, and each exporter's in the order in which it sent them.
func (l *log) holds(t *testing.T, senders ...*sender) {
	t.Helper()
	var flows, events, dead int
	for _, s := range senders {
		s.normalizer.End(&s.want)
		want := map[string]map[int][]uint64{}
		for _, f := range s.want.Flows {
			a, _ := netip.AddrFromSlice(f.SamplerAddress)
			if want[a.String()] == nil {
				want[a.String()] = map[int][]uint64{}
			}
			p := flow.Partition(flow.ConversationHash(f), 2)
			want[a.String()][p] = append(want[a.String()][p], f.RecordId)
		}
		flows, events, dead = flows+len(s.want.Flows), events+len(s.want.Events), dead+len(s.want.Dead)
		for name, parts := range want {
			for p, ids := range parts {
				if got := l.ids[name][p]; !slices.Equal(got, ids) {
					t.Errorf("%s, partition %d: %d records, or in another order; want %d", name, p, len(got), len(ids))
				}
			}
		}
	}
	if l.flows != flows || l.events != events || l.dead != dead {
		t.Errorf("%d flows, %d events, %d dead letters; want %d, %d, %d", l.flows, l.events, l.dead, flows, events, dead)
	}
}

// signedOff expects every source to have said goodbye on every partition.
func (l *log) signedOff(t *testing.T, sources int) {
	t.Helper()
	if len(l.sources) != sources {
		t.Errorf("%d sources, want %d", len(l.sources), sources)
	}
	for source, parts := range l.sources {
		for unit, bye := range parts {
			if bye != stage.ByeStop {
				t.Errorf("%s ends %s with bye %q", source, unit, bye)
			}
		}
	}
}

// slow is what a machine may take for an answer where others work: the times of two
// programs on it agree to within that, and those of the captures are years away.
const slow = 30 * time.Second

// TestIngestOnRealKafka sends real exporters' captures over UDP: each record is in
// Kafka once, in order, under the tick of its reception; ticks go by the broker's
// clock, and SIGTERM signs off.
func TestIngestOnRealKafka(t *testing.T) {
	broker := realkafka.Test(t)
	cfg := kafkaConfig(t, broker.Addr())
	in := startIngest(t, broker.Addr())
	var senders []*sender
	files, _ := filepath.Glob(filepath.Join(testkit.Data(t, "captures"), "*.pcap"))
	for i, file := range files {
		for _, payloads := range datagrams(t, "captures/"+filepath.Base(file)) {
			s := newSender(t, fmt.Sprintf("127.0.%d.%d", i+1, len(senders)%250+1), in)
			senders = append(senders, s)
			for _, p := range payloads {
				s.send(t, p)
			}
		}
	}
	await(t, "the broker's clock", func() bool {
		return strings.Contains(in.get("/metrics"), `flowledger_stage_clock_offset_seconds{`)
	})
	if ahead := in.metric("flowledger_stage_clock_offset_seconds"); math.Abs(ahead) > slow.Seconds() || ahead == 0 {
		t.Errorf("the broker on this machine is %v s ahead", ahead)
	}
	in.stop(t)
	for _, s := range senders {
		s.normalizer.End(&s.want)
	}
	l := readLog(t, cfg)
	l.signedOff(t, 1)
	l.checkSamplers(t, senders)
	var late int
	for _, s := range senders {
		late += int(s.want.LateRecords)
	}
	if l.late > late {
		t.Errorf("%d flows lie in later ticks than they were received in, but only %d waited for their templates", l.late, late)
	}
	if l.behind > slow {
		t.Errorf("ticks are %s from the broker's clock", l.behind)
	}
}

// checkSamplers is holds for captures whose exporters share names (an sFlow agent
// calls itself what it likes): totals only.
func (l *log) checkSamplers(t *testing.T, senders []*sender) {
	t.Helper()
	var flows, events, dead int
	var volume uint64
	for _, s := range senders {
		flows, events, dead = flows+len(s.want.Flows), events+len(s.want.Events), dead+len(s.want.Dead)
		for _, f := range s.want.Flows {
			volume += f.Bytes
		}
	}
	if l.flows != flows || l.events != events || l.dead != dead || l.bytes != volume {
		t.Errorf("%d flows of %d bytes, %d events, %d dead letters; want %d of %d, %d, %d",
			l.flows, l.bytes, l.events, l.dead, flows, volume, events, dead)
	}
}

// TestIngestOverBrokerPauses lets Kafka stall, with its connections open, and then
// restarts it, while datagrams come: everything arrives, once, in order.
func TestIngestOverBrokerPauses(t *testing.T) {
	front := newFront(t)
	options := realkafka.Options{Dir: t.TempDir(), Properties: map[string]string{"advertised.listeners": "PLAINTEXT://" + front.addr()}}
	broker := realkafka.TestWith(t, options)
	front.lead(broker.Addr())
	cfg := kafkaConfig(t, front.addr())
	in := startIngest(t, front.addr())
	s := newSender(t, "127.0.0.2", in)
	payloads := oneOf(datagrams(t, "traffic/campus_mixed.pcap.gz"))
	part := len(payloads) / 5
	send := func(n int) {
		for _, p := range payloads[n*part : (n+1)*part] {
			s.send(t, p)
		}
		in.reads(t)
	}
	send(0)
	_ = syscall.Kill(broker.PID(), syscall.SIGSTOP)
	send(1)
	_ = syscall.Kill(broker.PID(), syscall.SIGCONT)
	send(2)
	front.lead("")
	broker.Stop()
	send(3)
	front.lead(realkafka.TestWith(t, options).Addr())
	send(4)
	await(t, "all to be in Kafka", func() bool { return in.metric("flowledger_stage_records_out_total") >= s.records() }) // a stop waits for Kafka, but not for ever
	in.stop(t)
	l := readLog(t, cfg)
	l.signedOff(t, 1)
	l.holds(t, s)
}

// oneOf is what the exporter sent that sent most.
func oneOf(sent map[netip.Addr][][]byte) (payloads [][]byte) {
	for _, p := range sent {
		if len(p) > len(payloads) {
			payloads = p
		}
	}
	return payloads
}

// front is an address that leads to a broker that may move: it stands for Kafka's
// in what Kafka advertises.
type front struct {
	listener net.Listener
	mu       sync.Mutex
	to       string
	open     map[net.Conn]struct{}
}

func newFront(t *testing.T) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{listener: l, open: map[net.Conn]struct{}{}}
	go f.serve()
	t.Cleanup(func() { l.Close(); f.lead("") })
	return f
}

func (f *front) addr() string { return f.listener.Addr().String() }

// lead sends new connections to an address, or nowhere, and cuts the open ones.
func (f *front) lead(to string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to = to
	for c := range f.open {
		c.Close()
	}
	clear(f.open)
}

func (f *front) serve() {
	for {
		client, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		server, err := net.Dial("tcp", f.to)
		if f.to == "" || err != nil {
			f.mu.Unlock()
			client.Close()
			continue
		}
		f.open[client], f.open[server] = struct{}{}, struct{}{}
		f.mu.Unlock()
		go pipe(client, server)
		go pipe(server, client)
	}
}

func pipe(a, b net.Conn) {
	_, _ = io.Copy(a, b)
	a.Close()
	b.Close()
}

// TestIngestSpool: Kafka is away for a minute's worth of records, and ingest is
// killed meanwhile with its spool on disk. Every record arrives, once, in order,
// under the name of the process that received it; all sign off.
func TestIngestSpool(t *testing.T) {
	front := newFront(t)
	broker := realkafka.TestWith(t, realkafka.Options{Properties: map[string]string{"advertised.listeners": "PLAINTEXT://" + front.addr()}})
	front.lead(broker.Addr())
	cfg := kafkaConfig(t, front.addr())
	flags := []string{"--spool.dir", t.TempDir(), "--decoders", "2", "--spool.after"}
	payloads := oneOf(datagrams(t, "traffic/campus_mixed.pcap.gz"))
	part := len(payloads) / 4
	in := startIngest(t, front.addr(), append(flags, "200ms")...)
	one := newSender(t, "127.0.0.2", in)
	spooled := func() float64 { return in.metric("flowledger_stage_spooled_records_total") }
	send := func(s *sender, payloads [][]byte) {
		for _, p := range payloads {
			s.send(t, p)
		}
		await(t, "the datagrams", func() bool { return in.metric("flowledger_ingest_exporter_datagrams_total") >= float64(in.sent) })
	}
	send(one, payloads[:part])
	before := one.records()
	await(t, "all to be in Kafka", func() bool { return in.metric("flowledger_stage_records_out_total") >= before })
	front.lead("")
	// What is said before the spool comes into use waits in memory, and a kill would
	// take it: the ticks have to turn over first. A slow Kafka may have brought it into
	// use before, for a while.
	await(t, "the spool to be in use", func() bool {
		return strings.Count(in.log(), "they go to the spool") > strings.Count(in.log(), "Kafka has all that was spooled")
	})
	already := spooled()
	send(one, payloads[part:3*part])
	await(t, "all to be on disk", func() bool { return spooled()-already >= one.records()-before })
	_ = in.cmd.Process.Kill()
	<-in.exited
	in.exited <- nil

	in = launchIngest(t, front.addr(), append(flags, "200ms")...)
	await(t, "the second process to receive without Kafka", func() bool { return strings.Contains(in.log(), "Kafka has not answered yet") })
	two := newSender(t, "127.0.0.3", in)
	send(two, payloads[:2*part])
	front.lead(broker.Addr())
	await(t, "the end of the spool", func() bool { return strings.Contains(in.log(), "Kafka has all that was spooled") })
	send(two, payloads[2*part:3*part])
	in.stop(t)
	startIngest(t, front.addr(), append(flags, "1m")...).stop(t) // sends what a slow Kafka had not taken by then
	l := readLog(t, cfg)
	l.signedOff(t, 3)
	l.holds(t, one, two)
}

// TestAnyReplicaDecodesAnyExporter deals one exporter's datagrams out to two
// ingesters in turn and restarts one of them midway: each learns the other's
// templates, and its own of before the restart, so no record stays undecoded.
func TestAnyReplicaDecodesAnyExporter(t *testing.T) {
	broker := realkafka.Test(t)
	cfg := kafkaConfig(t, broker.Addr())
	payloads := templateThenData(t, oneOf(datagrams(t, "traffic/campus_mixed.pcap.gz")))
	replicas := []*process{startIngest(t, broker.Addr()), startIngest(t, broker.Addr())}
	ways := []*way{newWay(t, "127.0.0.2", replicas[0]), newWay(t, "127.0.0.2", replicas[1])}
	n := normalize.New(normalize.Default())
	var want normalize.Result
	for i, p := range payloads {
		p = exportedNow(p)
		if i == len(payloads)/2 {
			replicas[1].stop(t)
			replicas[1] = startIngest(t, broker.Addr())
			ways[1] = newWay(t, "127.0.0.2", replicas[1])
		}
		ways[i%2].write(t, p)
		n.Datagram(normalize.Datagram{Exporter: netip.MustParseAddr("127.0.0.2"), ReceivedNs: uint64(time.Now().UnixNano()), Payload: p}, &want)
	}
	learnt := 0.0
	for _, r := range replicas {
		r.reads(t)
		await(t, "nothing to wait for its template", func() bool {
			return r.metric("flowledger_ingest_missing_template_sets_total") == r.metric("flowledger_ingest_late_sets_total")
		})
		learnt += r.metric("flowledger_ingest_facts_learnt_total")
		r.stop(t)
	}
	if learnt == 0 {
		t.Error("nobody has learnt anything")
	}
	l := readLog(t, cfg)
	l.signedOff(t, 3)
	reports := map[string]int{}
	for r, n := range l.reports {
		reports[r] += n
	}
	for _, f := range want.Flows {
		reports[reportOf(f)]--
	}
	wrong := 0
	for _, n := range reports {
		if n != 0 {
			wrong++
		}
	}
	if wrong > 0 || l.dead > 0 || l.flows != len(want.Flows) {
		t.Errorf("%d flows, want %d; %d differ; %d dead letters", l.flows, len(want.Flows), wrong, l.dead)
	}
}

// templateThenData leaves out all template sets but those of the first datagrams
// that have some, so that a replica gets them by chance or from the other.
func templateThenData(t *testing.T, payloads [][]byte) [][]byte {
	t.Helper()
	if len(payloads) > 600 {
		payloads = payloads[:600]
	}
	var out [][]byte
	told := map[string]bool{}
	for _, p := range payloads {
		var r normalize.Result
		n := normalize.New(normalize.Default())
		n.Datagram(normalize.Datagram{Exporter: netip.MustParseAddr("127.0.0.2"), ReceivedNs: uint64(time.Now().UnixNano()), Payload: p}, &r)
		again := false
		for _, f := range r.Facts {
			if f.Kind == flowv1.ExporterFactKind_EXPORTER_FACT_KIND_TEMPLATE {
				key := fmt.Sprintf("%d/%d", f.ObservationDomainId, f.TemplateId)
				again = again || told[key]
				told[key] = true
			}
		}
		if !again {
			out = append(out, p)
		}
	}
	if len(told) == 0 {
		t.Fatal("the exporter has no templates")
	}
	return out
}
