package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/spool"
)

func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = false
}

// spooling is a source with a spool, on a network that a test can cut.
type spooling struct {
	*Source
	t      *testing.T
	net    *network
	reg    *prometheus.Registry
	cancel context.CancelFunc
	done   chan error
	tick   eventtime.Tick
	name   string
	said   []string
}

func startSpooling(t *testing.T, cfg Config, name string, o SpoolOptions) *spooling {
	t.Helper()
	s := &spooling{t: t, net: &network{}, reg: prometheus.NewRegistry(), done: make(chan error, 1), tick: 100, name: name}
	cfg.dial, cfg.QueueBytes = s.net.dial, 1<<20
	if o.After == 0 {
		o.After = 50 * time.Millisecond
	}
	var err error
	s.Source, err = NewSource(cfg, "ingest/"+name, []string{Events, DNS}, SourceOptions{Block: true, Spool: o}, s.reg, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.done <- s.Run(ctx) }()
	if err := s.EndTick(0); err != nil {
		t.Fatal(err)
	}
	return s
}

// say appends records of about a size, in one tick.
func (s *spooling) say(count, size int) {
	s.t.Helper()
	for range count {
		r := fmt.Sprintf("%s/%d/%s", s.name, len(s.said), strings.Repeat(".", size))
		if err := s.Append(0, 0, text(r)); err != nil {
			s.t.Fatal(err)
		}
		s.said = append(s.said, r)
	}
	s.tick++
	if err := s.EndTick(s.tick); err != nil {
		s.t.Fatal(err)
	}
}

// sayUntil says little in every tick until the condition holds.
func (s *spooling) sayUntil(what string, holds func() bool) {
	s.t.Helper()
	deadline := time.After(patience)
	every := time.NewTicker(5 * time.Millisecond)
	defer every.Stop()
	for !holds() {
		s.say(1, 10)
		select {
		case <-deadline:
			s.t.Fatalf("waited in vain for %s", what)
		case <-every.C:
		}
	}
}

func (s *spooling) stop() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Close(ctx, ByeStop); err != nil {
		s.t.Fatal(err)
	}
	if err := <-s.done; err != nil {
		s.t.Fatal(err)
	}
	s.cancel()
}

// heir sends what a source left in the spool: one that stops does not wait for a Kafka
// that is as slow as this machine may be.
func heir(t *testing.T, cfg Config, o SpoolOptions) {
	t.Helper()
	o.After = patience
	startSpooling(t, cfg, "heir", o).stop()
}

// heard reads what a reader makes of one partition: records by source, without
// repetitions; how many were lost; and who has signed off.
type heard struct {
	records []string
	lost    int64
	byes    []string
	reg     map[string]int64
}

func hear(t *testing.T, cfg Config, topic string) *heard {
	t.Helper()
	h := &heard{reg: map[string]int64{}}
	ticks := map[string]eventtime.Tick{}
	for _, raw := range readLogs(t, cfg, topic)[topic][0] {
		m := message{fields: raw.fields, value: raw.value}
		if err := m.parse(false); err != nil {
			t.Fatal(err)
		}
		next := h.reg[m.source]
		if m.bye != "" && !slices.Contains(h.byes, m.source) { // repeating it is harmless
			h.byes = append(h.byes, m.source)
		}
		if m.seq > next {
			h.lost += m.seq - next
			next = m.seq
		}
		skip := next - m.seq
		h.reg[m.source] = max(next, m.seq+int64(m.count))
		if skip > int64(m.count) || skip == int64(m.count) && m.count > 0 {
			continue
		}
		if m.tick < ticks[m.source] {
			t.Errorf("%s: tick %d after %d", m.source, m.tick, ticks[m.source])
		}
		ticks[m.source] = m.tick
		h.records = append(h.records, texts(t, m.value)[skip:]...)
	}
	return h
}

// TestSpoolWhileKafkaIsAway: what Kafka does not take waits on disk and arrives
// when it is back, once, in order, and so does what comes meanwhile.
func TestSpoolWhileKafkaIsAway(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	o := SpoolOptions{Dir: t.TempDir(), MaxBytes: 1 << 30}
	s := startSpooling(t, cfg, "one", o)
	s.say(10, 100)
	s.sayUntil("an answer", func() bool { return s.Connected(s.started) })
	s.net.kill()
	s.sayUntil("the spool", func() bool { return s.spooler.spool.Bytes() > 0 })
	for range 20 {
		s.say(100, 5000)
	}
	s.net.heal()
	s.sayUntil("the end of the spool", func() bool { return s.spooler.spool.Empty() })
	s.say(10, 100)
	s.stop()
	heir(t, cfg, o)
	h := hear(t, cfg, Events)
	if diff := cmp.Diff(h.records, s.said); diff != "" {
		t.Errorf("(-got, +want)\n%.2000s", diff)
	}
	if diff := cmp.Diff(h.byes, []string{"ingest/one", "ingest/heir"}); diff != "" || h.lost != 0 {
		t.Errorf("%d lost; byes (-got, +want)\n%s", h.lost, diff)
	}
	if diff := cmp.Diff(hear(t, cfg, DNS).byes, []string{"ingest/one", "ingest/heir"}); diff != "" {
		t.Errorf("byes where nothing was said (-got, +want)\n%s", diff)
	}
}

// TestDetourIsNotOverBeforeKafkaAnswers: though nothing is said, and so nothing spooled,
// the spool stays in use, and what tells of ticks does not pile up in memory.
func TestDetourIsNotOverBeforeKafkaAnswers(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	s, err := NewSource(cfg, "ingest/one", []string{Events, DNS}, SourceOptions{Spool: SpoolOptions{Dir: t.TempDir(), MaxBytes: 1 << 30}}, nil, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	var queued int64
	for tick := range eventtime.Tick(3) {
		if err := s.EndTick(tick); err != nil {
			t.Fatal(err)
		}
		if queued == 0 {
			queued = s.QueuedBytes()
		}
		if tick == 0 {
			continue // the announcement waits for nobody
		}
		if err := s.spooler.drain(ended); err == nil || !s.spooler.on || s.QueuedBytes() != queued {
			t.Fatalf("tick %d: drained (%v), the spool is in use: %v, %d bytes are queued, %d were", tick, err, s.spooler.on, s.QueuedBytes(), queued)
		}
	}
	if err := s.Run(ended); err != nil {
		t.Error(err)
	}
}

// TestSpooledIsNotWritten: what waits on disk is not in Kafka, and its origin must
// not be forgotten before it is.
func TestSpooledIsNotWritten(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	s := startSpooling(t, cfg, "one", SpoolOptions{Dir: t.TempDir(), MaxBytes: 1 << 30})
	s.sayUntil("an answer", func() bool { return s.Connected(s.started) })
	s.net.kill()
	s.sayUntil("the spool", func() bool { return s.spooler.spool.Bytes() > 0 })
	for range 40 {
		s.say(100, 5000)
	}
	last := s.said[len(s.said)-1]
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	written := make(chan error, 1)
	go func() { written <- s.Written(ctx) }()
	s.net.heal()
	s.sayUntil("everything to be written", func() bool { return len(written) > 0 })
	if err := <-written; err != nil || !slices.Contains(hear(t, cfg, Events).records, last) {
		t.Errorf("said to be written (%v) before it is", err)
	}
	s.stop()
}

// loseKafka leaves some of what is said in memory, and some in the spool.
func (s *spooling) loseKafka() {
	s.sayUntil("an answer", func() bool { return s.Connected(s.started) })
	s.net.kill()
	s.say(500, 1000) // waits in memory
	s.sayUntil("the spool", func() bool { return s.spooler.spool.Bytes() > 0 })
	s.say(500, 1000)
}

// TestSpoolOutlivesTheProcess: a source that is stopped while Kafka is away leaves
// everything, what waited in memory too; the next one sends it under the old name,
// with its goodbye, before its own.
func TestSpoolOutlivesTheProcess(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	o := SpoolOptions{Dir: t.TempDir(), MaxBytes: 1 << 30}
	one := startSpooling(t, cfg, "one", o)
	one.loseKafka()
	one.stop()

	o.After = time.Minute
	two := startSpooling(t, cfg, "two", o)
	two.say(10, 10)
	two.stop()
	h := hear(t, cfg, Events)
	if diff := cmp.Diff(h.records, append(one.said, two.said...)); diff != "" {
		t.Errorf("(-got, +want)\n%.2000s", diff)
	}
	if diff := cmp.Diff(h.byes, []string{"ingest/one", "ingest/two"}); diff != "" || h.lost != 0 {
		t.Errorf("%d lost; byes (-got, +want)\n%s", h.lost, diff)
	}
	if diff := cmp.Diff(hear(t, cfg, DNS).byes, []string{"ingest/one", "ingest/two"}); diff != "" {
		t.Errorf("byes where nothing was said (-got, +want)\n%s", diff)
	}
}

// TestSpoolOutlivesAKill: once Kafka is known to be away, what waited in memory is on
// disk, too; of a process that has no time for its goodbye, nothing is lost.
func TestSpoolOutlivesAKill(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	o := SpoolOptions{Dir: t.TempDir(), MaxBytes: 1 << 30}
	one := startSpooling(t, cfg, "one", o)
	one.loseKafka()
	from := o.Dir
	o.Dir = t.TempDir()
	if err := os.CopyFS(o.Dir, os.DirFS(from)); err != nil { // as a kill leaves it
		t.Fatal(err)
	}
	said := slices.Clone(one.said)
	one.stop()

	o.After = time.Minute
	two := startSpooling(t, cfg, "two", o)
	two.say(10, 10)
	two.stop()
	h := hear(t, cfg, Events)
	if diff := cmp.Diff(h.records, append(said, two.said...)); diff != "" || h.lost != 0 {
		t.Errorf("%d lost (-got, +want)\n%.2000s", h.lost, diff)
	}
}

// TestFullSpoolDropsTheOldest: what is dropped is counted, and is what readers miss.
func TestFullSpoolDropsTheOldest(t *testing.T) {
	cfg := newBroker(t)
	ensure(t, cfg)
	o := SpoolOptions{Dir: t.TempDir(), MaxBytes: spool.MinBytes}
	s := startSpooling(t, cfg, "one", o)
	s.sayUntil("an answer", func() bool { return s.Connected(s.started) })
	s.net.kill()
	s.sayUntil("the spool", func() bool { return s.spooler.spool.Bytes() > 0 })
	for range 20 {
		s.say(100, 5000)
		if b := s.spooler.spool.Bytes(); b > spool.MinBytes {
			t.Fatalf("the spool holds %d bytes", b)
		}
	}
	s.net.heal()
	s.sayUntil("the end of the spool", func() bool { return s.spooler.spool.Empty() })
	s.stop()
	heir(t, cfg, o)
	h := hear(t, cfg, Events)
	lost, err := testutil.GatherAndCount(s.reg, "flowledger_stage_spool_lost_records_total")
	if err != nil || lost != 1 {
		t.Fatalf("%d series, %v", lost, err)
	}
	if got := valueOf(t, s.reg, "flowledger_stage_spool_lost_records_total"); int64(got) != h.lost || h.lost == 0 {
		t.Errorf("%v counted as lost, readers miss %d", got, h.lost)
	}
	if len(h.records)+int(h.lost) != len(s.said) {
		t.Errorf("%d arrived and %d are lost of %d", len(h.records), h.lost, len(s.said))
	}
	if last := len(h.records) - 1; h.records[last] != s.said[len(s.said)-1] {
		t.Error("the newest was dropped")
	}
}

func valueOf(t *testing.T, reg *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return 0
}

func TestSpooledMessagesComeBack(t *testing.T) {
	want := []spooled{
		{topic: Events, partition: 3, outgoing: outgoing{header: header{seq: 7, tick: 9, end: true}, value: []byte("batch"), count: 2}},
		{topic: FlowsDead, outgoing: outgoing{header: header{seq: 1 << 40, tick: 9}, key: []byte("key"), value: []byte{}, count: 1,
			fields: []field{{"reason", []byte("no_template")}, {"x", []byte{}}}}},
		{topic: DNS, outgoing: outgoing{header: header{tick: 10, end: true, bye: ByeStop}, value: []byte{}}},
		{topic: DNS, outgoing: outgoing{header: header{bye: ByeEndOfInput}, value: []byte{}, key: []byte{}}},
	}
	var frame []byte
	for i := range want {
		frame = want[i].append(frame)
	}
	var got []spooled
	for rest := frame; len(rest) > 0; {
		var m spooled
		var err error
		if m, rest, err = nextSpooled(rest); err != nil {
			t.Fatal(err)
		}
		got = append(got, m)
	}
	if diff := cmp.Diff(fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want)); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
}

func FuzzSpooled(f *testing.F) {
	m := spooled{topic: Events, partition: 1, outgoing: outgoing{header: header{seq: 7, tick: 9, end: true}, key: []byte("k"),
		value: []byte("batch"), count: 2, fields: []field{{"reason", []byte("x")}}}}
	f.Add(m.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, rest, err := nextSpooled(b)
		if err != nil {
			if !errors.Is(err, errSpooled) {
				t.Fatal(err)
			}
			return
		}
		again, end, err := nextSpooled(append(m.append(nil), rest...))
		if err != nil || len(end) != len(rest) || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", m) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}
