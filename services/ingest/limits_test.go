package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"github.com/flowledger/flowledger/services/ingest/normalize"
)

func refusedOf(m *metrics, why refusal, source string) float64 {
	return testutil.ToFloat64(m.refused[why].vec.WithLabelValues(source))
}

// guarded is a gate on a clock that the test sets.
type guarded struct {
	*gate
	hands
	metrics *metrics
}

func newGuarded(cfg limitsConfig, newcomers int) *guarded {
	g := &guarded{metrics: newMetrics(prometheus.NewRegistry(), 8)}
	g.ns = uint64(time.Hour)
	g.gate = newGate(Default().Allow, cfg, newcomers, g.metrics, prometheus.NewRegistry())
	g.gate.clock = g.read
	return g
}

func (g *guarded) pass(d time.Duration) { g.ns += uint64(d) }

// TestMeterIsATokenBucket holds the meter against a bucket of tokens: whatever
// comes whenever, over any stretch of time no more fits than the rate times that
// time, the burst, and one datagram.
func TestMeterIsATokenBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rate{rapid.Uint64Range(1, 1e9).Draw(t, "rate"), rapid.Uint64Range(1e8, 6e10).Draw(t, "burst")}
		var m meter
		now, begin := uint64(time.Hour), uint64(time.Hour)
		tokens := float64(r.perSecond) * float64(r.burstNs) / 1e9
		size, taken, largest := tokens, 0.0, 0.0
		for range rapid.IntRange(1, 100).Draw(t, "datagrams") {
			wait := rapid.Uint64Range(0, 1e9).Draw(t, "wait")
			now += wait
			tokens = min(size, tokens+float64(wait)*float64(r.perSecond)/1e9)
			n := rapid.Uint64Range(1, maxDatagram).Draw(t, "size")
			largest = max(largest, float64(n))
			fits := m.take(r, n, now)
			if fits {
				tokens -= float64(n)
				taken += float64(n)
			}
			// Rounding costs at most a nanosecond per datagram: near the edge both are right.
			if slack := 101 * (float64(r.perSecond)/1e9 + 1); !fits && tokens > slack || fits && tokens+float64(n) < -slack {
				t.Fatalf("fits is %v with %v tokens", fits, tokens)
			}
			if limit := float64(r.perSecond)*float64(now-begin+r.burstNs)/1e9 + largest; taken > limit+1 {
				t.Fatalf("took %v, more than %v", taken, limit)
			}
		}
	})
}

func TestRateOfASource(t *testing.T) {
	cfg := defaultLimits()
	cfg.DatagramsPerSecond, cfg.Burst = 10, time.Second
	g := newGuarded(cfg, 10)
	loud, quiet := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	passed := func(n int) (ok int) {
		for range n {
			if g.admit(loud, 100) {
				ok++
			}
		}
		return ok
	}
	if n := passed(100); n != 11 {
		t.Errorf("%d of a burst passed, want the burst's 10 and one", n)
	}
	g.pass(time.Second)
	if n := passed(100); n != 10 {
		t.Errorf("%d passed a second later, want 10", n)
	}
	if !g.admit(quiet, 100) {
		t.Error("another source suffers")
	}
	if n := refusedOf(g.metrics, tooFast, "192.0.2.1"); n != 179 {
		t.Errorf("%v refusals counted, want 179", n)
	}
}

func TestBytesOfASource(t *testing.T) {
	cfg := defaultLimits()
	cfg.BytesPerSecond, cfg.Burst = 100_000, time.Second
	g := newGuarded(cfg, 10)
	bytes := 0
	for range 40 * 60 {
		if g.admit(netip.MustParseAddr("192.0.2.1"), 50_000) {
			bytes += 50_000
		}
		g.pass(25 * time.Millisecond)
	}
	if bytes < 6_000_000 || bytes > 6_200_000 {
		t.Errorf("%d bytes passed in a minute, at 100000 a second", bytes)
	}
}

// TestPaceSlowsDown: what comes by streams is let in, and the wait makes up for it.
func TestPaceSlowsDown(t *testing.T) {
	cfg := defaultLimits()
	cfg.DatagramsPerSecond, cfg.Burst = 10, time.Second
	g := newGuarded(cfg, 10)
	from, begin := netip.MustParseAddr("192.0.2.1"), g.ns
	for range 100 {
		g.pass(g.pace(from, 100))
	}
	if took := time.Duration(g.ns - begin); took != 9*time.Second {
		t.Errorf("100 messages took %s, want 9s after a burst of 10", took)
	}
}

func TestNewcomersAreLetInSlowly(t *testing.T) {
	cfg := defaultLimits()
	cfg.NewSourcesPerSecond = 5
	g := newGuarded(cfg, 20)
	known := netip.MustParseAddr("2001:db8::1")
	if !g.admit(known, 1) {
		t.Fatal("the first was refused")
	}
	passed := 0
	for i := range uint32(10_000) {
		if g.admit(address(i), 1) {
			passed++
		}
		if !g.admit(known, 1) {
			t.Fatal("a known source suffers from the flood")
		}
		g.pass(time.Millisecond)
	}
	if passed < 19+49 || passed > 21+50 {
		t.Errorf("%d newcomers in 10 s, want 20 and 5 per second", passed)
	}
}

func TestIdleSourcesMakeRoom(t *testing.T) {
	cfg := defaultLimits()
	cfg.NewSourcesPerSecond, cfg.DatagramsPerSecond, cfg.MaxSources = 0, 1000, 64
	g := newGuarded(cfg, 1)
	fill := func(first uint32) (passed int) {
		for i := range uint32(1000) {
			if g.admit(address(first+i), 1) {
				passed++
			}
		}
		return passed
	}
	if n := fill(0); n != 64 {
		t.Errorf("%d sources in a table of 64", n)
	}
	if n := fill(1000); n != 0 {
		t.Errorf("%d took places that are in use", n)
	}
	g.pass(time.Minute)
	if n := fill(1000); n != 64 || g.sources.length() != 64 {
		t.Errorf("%d took the places of the silent, in a table of %d", n, g.sources.length())
	}
	if n := g.sources.evicted.Load(); n != 64 {
		t.Errorf("%d evictions counted", n)
	}
}

// address is the i-th of many.
func address(i uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{10 + byte(i>>24), byte(i >> 16), byte(i >> 8), byte(i)})
}

// TestTopSourcesKeepTheirNames: of a flood of forged addresses with real senders
// among it, the real ones are named at the end, the sum is what was added, and
// there are no more names than allowed.
func TestTopSourcesKeepTheirNames(t *testing.T) {
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "refused"}, []string{"source"})
	c := newTopCounter(vec, 16)
	random := rand.New(rand.NewPCG(1, 2))
	senders, sum := map[netip.Addr]int{}, 0
	for i := range uint32(200_000) {
		from := address(i)
		if i > 1000 && i%4 == 0 {
			from = netip.AddrFrom4([4]byte{192, 0, 2, byte(random.IntN(5))})
			senders[from]++
		}
		c.add(from)
		sum++
	}
	for from, sent := range senders {
		s := c.named[from]
		if s == nil || s.weight < uint64(sent)*9/10 {
			t.Errorf("%s has sent %d and is known for %+v", from, sent, s)
		}
	}
	got := 0.0
	series := collect(t, vec)
	for _, n := range series {
		got += n
	}
	if int(got) != sum || len(series) > 17 {
		t.Errorf("%v of %d counted, under %d names", got, sum, len(series))
	}
}

// collect is the value of each series.
func collect(t *testing.T, vec *prometheus.CounterVec) map[string]float64 {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(vec)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			series[fmt.Sprint(m.GetLabel())] = m.GetCounter().GetValue()
		}
	}
	return series
}

// TestFloodFromForgedAddresses sends from a million addresses, then from a million
// others, for two minutes of the clock: all the state behind the gate, and the
// metrics, take no more memory after the second than after the first, a known
// exporter's flows all come through, and every datagram is accounted for.
func TestFloodFromForgedAddresses(t *testing.T) {
	const forged = 1_000_000
	cfg := Default()
	g := newGuarded(cfg.Limits, cfg.Normalize.MaxExporters/2)
	n := normalize.New(cfg.Normalize)
	var result normalize.Result
	known, knownFlows, wantFlows := netip.MustParseAddr("2001:db8::1"), uint64(0), uint64(0)
	admitted, buried, payload := 0, 0, netflow5(1, 0)
	send := func(from netip.Addr, p []byte) uint64 {
		if !g.admit(from, len(p)) {
			return 0
		}
		g.metrics.exporterDatagrams.add(from, 1)
		n.Datagram(normalize.Datagram{Exporter: from, Port: 4000, ReceivedNs: g.ns, Payload: p}, &result)
		admitted++
		flows := result.Records.Flow
		buried += len(result.Dead)
		result.Reset()
		return flows
	}
	flood := func(first uint32) {
		for i := range uint32(forged) {
			if i%1000 == 0 {
				knownFlows += send(known, netflow5(1, uint32(wantFlows)))
				wantFlows++
			}
			send(address(first+i), payload)
			g.pass(60 * time.Microsecond)
		}
	}
	begin := heap()
	flood(0)
	once := heap()
	flood(forged)
	twice := heap()
	t.Logf("heap: %d KiB before, %d KiB after a million addresses, %d KiB after two; %d admitted, %d sources known",
		begin>>10, once>>10, twice>>10, admitted, g.sources.length())
	if once > begin+64<<20 || twice > once+8<<20 {
		t.Error("the memory is not bounded")
	}
	if knownFlows != wantFlows {
		t.Errorf("%d of the known exporter's %d flows came through", knownFlows, wantFlows)
	}
	refused := 0.0
	for _, v := range collect(t, g.metrics.refused[tooManyNew].vec) {
		refused += v
	}
	if sent := 2*forged + int(wantFlows); int(refused)+admitted != sent || buried != 0 {
		t.Errorf("%v refused and %d admitted of %d, of which %d found no room", refused, admitted, sent, buried)
	}
	runtime.KeepAlive(n)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestGateDoesNotAllocate(t *testing.T) {
	g := newGuarded(defaultLimits(), 10)
	from := netip.MustParseAddr("192.0.2.1")
	if n := testing.AllocsPerRun(100, func() { g.admit(from, 1400) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGate(b *testing.B) {
	cfg := Default()
	m := newMetrics(prometheus.NewRegistry(), 8)
	b.Run("known", func(b *testing.B) {
		g := newGate(cfg.Allow, cfg.Limits, 1000, m, prometheus.NewRegistry())
		for i := range b.N {
			g.admit(address(uint32(i%500)), 1400)
		}
	})
	b.Run("forged", func(b *testing.B) {
		g := newGate(cfg.Allow, cfg.Limits, 1000, m, prometheus.NewRegistry())
		for i := range b.N {
			g.admit(address(uint32(i)), 1400)
		}
	})
}
