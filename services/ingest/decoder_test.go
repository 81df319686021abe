package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/dispatch"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// diary is a source that writes down what it is told.
type diary struct {
	said  []string
	flows int
	fails error
}

func (d *diary) Partitions(int) int { return 1 }

func (d *diary) Append(topic, _ int, m flow.Message) error {
	if e, ok := m.(*flow.Encoded); ok {
		f := &flowv1.Flow{}
		if err := f.UnmarshalVT(e.Bytes); err != nil {
			return err
		}
		d.flows++
		d.said = append(d.said, fmt.Sprintf("flow of tick %d", eventtime.TickOf(f.TimeReceivedNs)))
	}
	return d.fails
}

func (d *diary) AppendMessage(topic, _ int, _, value []byte, headers ...stage.Header) error {
	d.said = append(d.said, fmt.Sprintf("%s %q %s", dispatch.Topics()[topic], value, headers[0].Value))
	return d.fails
}

func (d *diary) OpenTick(eventtime.Tick) {}

func (d *diary) EndTick(t eventtime.Tick) error {
	d.said = append(d.said, fmt.Sprintf("end of tick %d", t))
	return d.fails
}

// bench is a decoder on a clock that the test sets.
type bench struct {
	*decoder
	hands
	diary
}

func newBench(tick eventtime.Tick) *bench {
	b := &bench{}
	b.ns = tick.Ns()
	m := newMetrics(prometheus.NewRegistry(), 10)
	q := newQueue(&budget{limit: 1 << 20}, b.read)
	b.decoder = newDecoder(q, normalize.Default(), &b.diary, newTicks(1, tick, &b.diary, m), 0, nil, m)
	return b
}

// netflow5 is a NetFlow v5 datagram of n flows.
func netflow5(n int, sequence uint32) []byte {
	p := make([]byte, 24+48*n)
	binary.BigEndian.PutUint16(p, 5)
	binary.BigEndian.PutUint16(p[2:], uint16(n))
	binary.BigEndian.PutUint32(p[4:], 600_000) // uptime, ms
	binary.BigEndian.PutUint32(p[8:], 1_700_000_000)
	binary.BigEndian.PutUint32(p[16:], sequence)
	for i := range n {
		r := p[24+48*i:]
		copy(r, []byte{10, 0, byte(sequence), byte(i)})
		copy(r[4:], []byte{10, 1, 0, 1})
		binary.BigEndian.PutUint32(r[16:], 10) // packets
		binary.BigEndian.PutUint32(r[20:], 1000)
		binary.BigEndian.PutUint32(r[24:], 590_000) // first, ms of uptime
		binary.BigEndian.PutUint32(r[28:], 599_000)
		binary.BigEndian.PutUint16(r[32:], uint16(1024+i))
		binary.BigEndian.PutUint16(r[34:], 443)
		r[38] = 6
	}
	return p
}

func (b *bench) step(t *testing.T) {
	t.Helper()
	if err := b.decoder.step(); err != nil {
		t.Fatal(err)
	}
}

func TestTicksAreThoseOfReception(t *testing.T) {
	b := newBench(100)
	b.queue.put(sender, netflow5(1, 1))
	b.step(t)
	b.ns = eventtime.Tick(101).Ns()
	b.queue.put(sender, netflow5(1, 2))
	b.ns = eventtime.Tick(104).Ns()
	b.queue.put(sender, netflow5(1, 3))
	b.ns -= uint64(10 * time.Second) // somebody sets the clock
	b.queue.put(sender, netflow5(1, 4))
	b.step(t)
	b.ns = eventtime.Tick(106).Ns()
	b.step(t)
	want := []string{
		"flow of tick 100", "end of tick 100", "flow of tick 101", "end of tick 103",
		"flow of tick 104", "flow of tick 104", "end of tick 105",
	}
	if diff := cmp.Diff(b.said, want); diff != "" {
		t.Errorf("(-got, +want)\n%s", diff)
	}
}

func TestBadInputIsBuriedAndCounted(t *testing.T) {
	b := newBench(100)
	b.queue.put(sender, []byte("GET / HTTP/1.1"))
	b.queue.put(sender, netflow5(2, 1))
	b.step(t)
	if b.flows != 2 || len(b.said) != 3 {
		t.Errorf("the good datagram suffered: %v", b.said)
	}
	if n := testutil.CollectAndCount(b.metrics.dead); n != 1 {
		t.Errorf("%d reasons counted, want 1", n)
	}
	if got := testutil.ToFloat64(b.metrics.dataRecords); got != 2 {
		t.Errorf("data_records_total is %v, want 2", got)
	}
}

func TestSourceErrorsEndTheDecoder(t *testing.T) {
	b := newBench(100)
	b.fails = errors.New("no broker")
	b.queue.put(sender, netflow5(1, 1))
	if err := b.decoder.step(); !errors.Is(err, b.fails) {
		t.Errorf("got %v", err)
	}
}

func TestManyDatagramsAreHandedOverInPieces(t *testing.T) {
	b := newBench(100)
	for i := range 3*resultDatagrams + 1 {
		b.queue.put(sender, netflow5(1, uint32(i)))
	}
	b.step(t)
	if b.flows != 3*resultDatagrams+1 {
		t.Errorf("%d flows, want %d", b.flows, 3*resultDatagrams+1)
	}
	if got := testutil.ToFloat64(b.metrics.exporterDatagrams.vec.WithLabelValues("192.0.2.1")); got != 3*resultDatagrams+1 {
		t.Errorf("exporter_datagrams_total is %v", got)
	}
}

func TestLabelsAreBounded(t *testing.T) {
	m := newMetrics(prometheus.NewRegistry(), 2)
	for i := range 5 {
		m.exporterDatagrams.add(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), 1)
	}
	m.exporterDatagrams.add(netip.AddrFrom4([4]byte{192, 0, 2, 1}), 1)
	for label, want := range map[string]float64{"192.0.2.0": 1, "192.0.2.1": 2, others: 3} {
		if got := testutil.ToFloat64(m.exporterDatagrams.vec.WithLabelValues(label)); got != want {
			t.Errorf("%s: %v, want %v", label, got, want)
		}
	}
	if n := testutil.CollectAndCount(m.exporterDatagrams.vec); n != 3 {
		t.Errorf("%d labels, want 3", n)
	}
}
