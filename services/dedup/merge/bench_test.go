package merge

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// load makes ticks of reports as exporters send them: of new flows mostly, by
// one exporter or by several of the same flow.
type load struct {
	perTick, exporters int
	ipv6               bool
	tick               eventtime.Tick
	number             uint64
	flows              []*flowv1.Flow
}

func newLoad(perTick, exporters int) *load {
	l := &load{perTick: perTick, exporters: exporters, tick: eventtime.TickOf(second(0))}
	for range perTick {
		l.flows = append(l.flows, &flowv1.Flow{SrcAddr: make([]byte, 4, 16), DstAddr: make([]byte, 4, 16), SamplerAddress: make([]byte, 4)})
	}
	return l
}

// next is the next tick of reports.
func (l *load) next() (eventtime.Tick, []*flowv1.Flow) {
	l.tick++
	for i, f := range l.flows {
		n := l.number / uint64(l.exporters)
		key := n * 0x9e3779b97f4a7c15
		exporter := uint32(l.number % uint64(l.exporters))
		l.number++
		if l.ipv6 {
			f.SrcAddr, f.DstAddr = f.SrcAddr[:16], f.DstAddr[:16]
			f.SrcAddr[0], f.DstAddr[0] = 0x20, 0x20
		}
		binary.BigEndian.PutUint32(f.SrcAddr[len(f.SrcAddr)-4:], uint32(10<<24|key>>48))
		binary.BigEndian.PutUint32(f.DstAddr[len(f.DstAddr)-4:], uint32(198<<24|key>>24&0xffff))
		binary.BigEndian.PutUint32(f.SamplerAddress, 192<<24|exporter)
		f.Type, f.SamplingRate, f.SequenceNum = flowv1.FlowType_FLOW_TYPE_NETFLOW_V9, 1, uint32(n)
		f.Proto, f.SrcPort, f.DstPort, f.TcpFlags = 6, uint32(n&0xffff), 443, 27
		f.Bytes, f.Packets, f.InIf, f.OutIf, f.Etype = 1000+n, 10, 1, 2, 0x800
		f.TimeReceivedNs = l.tick.Ns() + uint64(i)
		f.TimeFlowEndNs = f.TimeReceivedNs - 15e9 - key>>32
		f.TimeFlowStartNs = f.TimeFlowEndNs - 1e9
		f.RecordId, f.ActiveTimeoutMs, f.InactiveTimeoutMs, f.ReverseObservable = l.number, 60_000, 15_000, true
		f.Authority, f.Reporters = 0, nil
	}
	return l.tick, l.flows
}

func none(*flowv1.Flow) {}

// wires is a load as it lies on the wire.
type wires struct {
	*load
	batch []byte
	read  flow.Briefs
}

// next is the next tick of reports, read.
func (l *wires) next() (eventtime.Tick, []*flow.Brief) {
	tick, flows := l.load.next()
	l.batch = l.batch[:0]
	for _, f := range flows {
		l.batch = flow.AppendDelimited(l.batch, f)
	}
	return tick, l.again()
}

// again reads the tick.
func (l *wires) again() []*flow.Brief {
	l.read.Reset()
	l.read.Add(l.batch)
	return l.read.Records
}

func noWire(*flow.Spliced) {}

// BenchmarkTick is the cost of one report of a new flow: held, decided, and
// remembered, with a million others.
func BenchmarkTick(b *testing.B) {
	for _, c := range []struct {
		name      string
		exporters int
		mend      func(*flowv1.Flow)
	}{
		{"sole", 1, nil},
		{"three-exporters", 3, nil},
		{"rare-fields", 1, func(f *flowv1.Flow) { f.SrcMac, f.PairId = 0x020000000001, 7 }},
	} {
		b.Run(c.name, func(b *testing.B) {
			cfg := Default()
			cfg.LateHorizon = 2 * time.Minute
			const perTick = 5000
			w, l := New(cfg), newLoad(perTick, c.exporters)
			for range 400 {
				tick, flows := l.next()
				w.Tick(tick, flows, none)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += perTick {
				b.StopTimer()
				tick, flows := l.next()
				if c.mend != nil {
					for _, f := range flows {
						c.mend(f)
					}
				}
				b.StartTimer()
				w.Tick(tick, flows, none)
			}
			b.ReportMetric(float64(w.Stats().Flows), "flows")
		})
	}
}

// BenchmarkTickWire is BenchmarkTick from wire forms to wire forms: reading, what
// the window does, and writing.
func BenchmarkTickWire(b *testing.B) {
	for _, exporters := range []int{1, 3} {
		b.Run(fmt.Sprint("exporters=", exporters), func(b *testing.B) {
			cfg := Default()
			cfg.LateHorizon = 2 * time.Minute
			const perTick = 5000
			w, l := New(cfg), wires{load: newLoad(perTick, exporters)}
			var out []byte
			emit := func(s *flow.Spliced) { out = flow.AppendDelimited(out, s) }
			for range 400 {
				tick, briefs := l.next()
				w.TickWire(tick, briefs, noWire)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for n := 0; n < b.N; n += perTick {
				b.StopTimer()
				tick, _ := l.next()
				out = out[:0]
				b.StartTimer()
				w.TickWire(tick, l.again(), emit)
			}
			b.ReportMetric(float64(w.Stats().Flows), "flows")
		})
	}
}

// heap is the memory in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemory holds the window to what a remembered flow and a waiting report may
// cost, all told: state, index and timers.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a million flows")
	}
	const flows = 1_000_000
	for _, c := range []struct {
		name         string
		hold         time.Duration
		ipv6         bool
		wire         bool
		bytesPerFlow float64
	}{
		{"tombstone", 500 * time.Millisecond, false, false, 48},
		{"tombstone of IPv6", 500 * time.Millisecond, true, false, 80},
		{"flow with a waiting report", 5 * time.Minute, false, false, 224},
		{"flow with a waiting report as it came", 5 * time.Minute, false, true, 272},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Default()
			cfg.Hold = c.hold
			l := wires{load: newLoad(5000, 1)}
			l.ipv6 = c.ipv6
			l.next()
			l.number = 0
			before := heap()
			w := New(cfg)
			for range flows / l.perTick {
				if c.wire {
					tick, in := l.next()
					w.TickWire(tick, in, noWire)
				} else {
					tick, in := l.load.next()
					w.Tick(tick, in, none)
				}
			}
			if c.hold < time.Second { // what the last ticks lent out is no state
				w.Tick(l.tick+10, nil, none)
				w.Tick(l.tick+11, nil, none)
			}
			w.out = outputs{}
			w.ahead = ahead{}
			got := float64(heap()-before) / flows
			s := w.Stats()
			t.Logf("%.1f bytes per %s (%d flows, %d waiting)", got, c.name, s.Flows, s.Waiting)
			if s.Flows != flows || got > c.bytesPerFlow {
				t.Errorf("%.1f bytes per %s, at most %.0f", got, c.name, c.bytesPerFlow)
			}
			runtime.KeepAlive(w)
		})
	}
}

func TestTickDoesNotAllocateInSteadyState(t *testing.T) {
	for exporters := 1; exporters <= 3; exporters += 2 {
		cfg := Default()
		cfg.LateHorizon = 2 * time.Minute
		w, l := New(cfg), newLoad(300, exporters)
		step := func() {
			tick, in := l.next()
			w.Tick(tick, in, none)
		}
		for range 1000 {
			step()
		}
		if n := testing.AllocsPerRun(300, step); n > 3 {
			t.Errorf("%d exporters: %.1f allocations per tick of 300 reports, want none", exporters, n)
		}
		wire, from := New(cfg), wires{load: newLoad(300, exporters)}
		step = func() {
			tick, in := from.next()
			wire.TickWire(tick, in, noWire)
		}
		for range 1000 {
			step()
		}
		if n := testing.AllocsPerRun(300, step); n > 3 {
			t.Errorf("%d exporters, from wire forms: %.1f allocations per tick of 300 reports, want none", exporters, n)
		}
	}
}

// BenchmarkSnapshot is the cost of a million flows going into a snapshot and out
// of it, where a tenth of them wait, and where all do: the window's part, without
// the compression and the way to the broker that internal/stage adds.
func BenchmarkSnapshot(b *testing.B) {
	const flows = 1_000_000
	for _, c := range []struct {
		name string
		hold time.Duration
	}{{"remembered", 10 * time.Second}, {"open", 5 * time.Minute}} {
		cfg := Default()
		cfg.Hold = c.hold
		l := wires{load: newLoad(5000, 1)}
		w := New(cfg)
		for range flows / l.perTick {
			tick, in := l.next()
			w.TickWire(tick, in, noWire)
		}
		snapshot := w.AppendSnapshot(nil)
		measured := func(b *testing.B, f func()) {
			before := cpu()
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(cpu()-before)/float64(b.N)/1e6, "cpu-ms/op")
		}
		b.Run("append/"+c.name, func(b *testing.B) {
			measured(b, func() { snapshot = w.AppendSnapshot(snapshot[:0]) })
			b.ReportMetric(float64(len(snapshot)), "bytes")
		})
		b.Run("restore/"+c.name, func(b *testing.B) {
			measured(b, func() {
				if err := New(cfg).Restore(snapshot); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// cpu is the CPU time used so far, which tells more than the clock where others
// are at work too.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
