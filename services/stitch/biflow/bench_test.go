package biflow

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"testing"
	"time"
	"unsafe"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// load makes ticks of flows as dedup sends them: both directions of new
// conversations, and now and then a segment of one that is open.
type load struct {
	perTick, exporters int
	ipv6               bool
	// flags are those of all flows; whole connections close after the linger.
	flags  uint32
	tick   eventtime.Tick
	number uint64
	flows  []*flowv1.Flow
}

func newLoad(perTick int) *load {
	l := &load{perTick: perTick, exporters: 3, tick: eventtime.TickOf(second(0))}
	for range perTick {
		l.flows = append(l.flows, &flowv1.Flow{SrcAddr: make([]byte, 4, 16), DstAddr: make([]byte, 4, 16), SamplerAddress: make([]byte, 4)})
	}
	return l
}

// next is the next tick of flows. One in ten belongs to an old conversation.
func (l *load) next() (eventtime.Tick, []*flowv1.Flow) {
	l.tick++
	for i, f := range l.flows {
		n := l.number / 2
		if n%10 == 9 {
			n -= min(n/2, 20_000)
		}
		key := n * 0x9e3779b97f4a7c15
		client, server := f.SrcAddr, f.DstAddr
		f.SrcPort, f.DstPort = uint32(1024+n%60_000), 443
		if l.number%2 == 1 {
			client, server = f.DstAddr, f.SrcAddr
			f.SrcPort, f.DstPort = f.DstPort, f.SrcPort
		}
		if l.ipv6 {
			f.SrcAddr, f.DstAddr = f.SrcAddr[:16], f.DstAddr[:16]
			client, server = client[:16], server[:16]
			client[0], server[0] = 0x20, 0x20
		}
		binary.BigEndian.PutUint32(client[len(client)-4:], uint32(10<<24|key>>48))
		binary.BigEndian.PutUint32(server[len(server)-4:], uint32(198<<24|key>>24&0xffff))
		binary.BigEndian.PutUint32(f.SamplerAddress, 192<<24|uint32(n)%uint32(l.exporters))
		f.Type, f.SamplingRate, f.Proto, f.TcpFlags = flowv1.FlowType_FLOW_TYPE_NETFLOW_V9, 1, 6, l.flags
		f.Bytes, f.Packets = 1000+n, 10
		f.TimeReceivedNs = l.tick.Ns() + uint64(i)
		f.TimeFlowEndNs = f.TimeReceivedNs - 15e9
		f.TimeFlowStartNs = f.TimeFlowEndNs - 1e9 + l.number%2*5e6
		f.RecordId, f.ActiveTimeoutMs, f.InactiveTimeoutMs, f.ReverseObservable = l.number, 60_000, 15_000, true
		l.number++
	}
	return l.tick, l.flows
}

func nowhere(*flowv1.Biflow) {}

// BenchmarkTick is the cost of a flow: placed, added up, told of, and closed in the
// end, among some hundred thousand conversations that are open.
func BenchmarkTick(b *testing.B) {
	const perTick = 5000
	t, l := New(Default()), newLoad(perTick)
	l.flags = syn | ack | fin
	for range 300 {
		tick, flows := l.next()
		t.Tick(tick, flows, nowhere)
	}
	before := t.Stats().Versions
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for ; n < b.N; n += perTick {
		b.StopTimer()
		tick, flows := l.next()
		b.StartTimer()
		t.Tick(tick, flows, nowhere)
	}
	b.ReportMetric(float64(t.Stats().Open), "open")
	b.ReportMetric(float64(t.Stats().Versions-before)/float64(n), "versions/flow")
}

// heap is the memory in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestSizes: what there is one of per conversation, and per flow of a tick, fills
// cache lines of 64 bytes.
func TestSizes(t *testing.T) {
	if got := unsafe.Sizeof(conv{}); got != 128 {
		t.Errorf("a conversation takes %d bytes, want 128", got)
	}
	if got := unsafe.Sizeof(segment{}); got != 128 {
		t.Errorf("a segment takes %d bytes, want 128", got)
	}
}

// fill opens a million conversations of both directions.
func fill(t *Table, l *load) {
	for t.Stats().Open < 1_000_000 {
		tick, flows := l.next()
		t.Tick(tick, flows, nowhere)
	}
}

// patient is a configuration under which a million conversations stay open.
func patient() Config {
	cfg := Default()
	cfg.TCPIdle, cfg.UDPIdle = 2*time.Hour, 2*time.Hour
	return cfg
}

// TestMemory holds the table to what an open conversation may cost, all told:
// state, index and timers.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a million conversations")
	}
	for _, c := range []struct {
		name  string
		ipv6  bool
		bytes float64
	}{
		{"conversation", false, 160},
		{"conversation of IPv6", true, 192},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLoad(5000)
			l.ipv6 = c.ipv6
			before := heap()
			tb := New(patient())
			fill(tb, l)
			got := float64(heap()-before) / float64(tb.Stats().Open)
			t.Logf("%.1f bytes per open %s of %d", got, c.name, tb.Stats().Open)
			if got > c.bytes {
				t.Errorf("%.1f bytes per open %s, at most %.0f", got, c.name, c.bytes)
			}
			runtime.KeepAlive(tb)
		})
	}
}

func TestTickDoesNotAllocateInSteadyState(t *testing.T) {
	cfg := Default()
	cfg.UpdateEvery = 5 * time.Second
	tb, l := New(cfg), newLoad(300)
	l.flags = syn | ack | fin
	step := func() {
		tick, flows := l.next()
		tb.Tick(tick, flows, nowhere)
	}
	for range 1000 {
		step()
	}
	if n := testing.AllocsPerRun(300, step); n > 1 {
		t.Errorf("%.1f allocations per tick of 300 flows, want none", n)
	}
}

// TestSnapshotAllocatesOnce: the memory of a snapshot is there at once.
func TestSnapshotAllocatesOnce(t *testing.T) {
	table, l := New(patient()), newLoad(100)
	for range 100 {
		tick, flows := l.next()
		table.Tick(tick, flows, nowhere)
	}
	if n := testing.AllocsPerRun(10, func() { table.AppendSnapshot(nil) }); n > 2 {
		t.Errorf("%.1f allocations for a snapshot of %d conversations, want that of its memory and little else", n, table.Stats().Open)
	}
}

// BenchmarkSnapshot is the cost of a million open conversations going into a
// snapshot and out of it.
func BenchmarkSnapshot(b *testing.B) {
	t := New(patient())
	fill(t, newLoad(5000))
	open := t.Stats().Open
	snapshot := t.AppendSnapshot(nil)
	b.Run(fmt.Sprint("append/", open), func(b *testing.B) {
		for b.Loop() {
			snapshot = t.AppendSnapshot(snapshot[:0])
		}
		b.ReportMetric(float64(len(snapshot)), "bytes")
	})
	b.Run(fmt.Sprint("restore/", open), func(b *testing.B) {
		for b.Loop() {
			if err := New(patient()).Restore(snapshot); err != nil {
				b.Fatal(err)
			}
		}
	})
}
