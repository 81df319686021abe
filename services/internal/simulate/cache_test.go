package simulate

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/flowledger/flowledger/services/internal/flow"
)

func testKey(n int) flow.Key {
	return flow.Key{Src: flow.Endpoint{Addr: officeAddr(1, n), Port: 40000}, Dst: server(webServer, 443), Proto: 6}
}

// meter runs packets through a cache and collects its records.
func meter(cfg cacheConfig, runs []Run, keys []flow.Key) (out []Record, at []int64) {
	c := newCache(cfg, stream(1, "test", 0))
	take := func(t int64) {
		for r, when := c.expire(t); r != nil; r, when = c.expire(t) {
			out, at = append(out, *r), append(at, when)
		}
	}
	for i := range runs {
		take(runs[i].At)
		c.observe(keys[i], 0, &runs[i], 1, 2)
	}
	take(never)
	return out, at
}

func TestCacheEnds(t *testing.T) {
	second := int64(time.Second)
	cfg := cacheConfig{active: 60 * second, inactive: 15 * second}
	run := func(at int64, flags uint8) Run { return Run{At: epoch + at, Packets: 1, Bytes: 60, Flags: flags} }
	tests := []struct {
		name    string
		runs    []Run
		reasons []uint8
		at      []int64
	}{
		{"idle", []Run{run(0, syn), run(5*second, ack)}, []uint8{endIdle}, []int64{20 * second}},
		{"two by a gap", []Run{run(0, ack), run(16*second, ack)}, []uint8{endIdle, endIdle}, []int64{15 * second, 31 * second}},
		{"fin", []Run{run(0, syn), run(second, fin|ack), run(second+1e6, ack)}, []uint8{endOfFlow}, []int64{second + finLinger}},
		{"reset", []Run{run(0, rst)}, []uint8{endOfFlow}, []int64{finLinger}},
		{"active", []Run{run(0, ack), run(14*second, ack), run(28*second, ack), run(42*second, ack), run(56*second, ack), run(61*second, ack)},
			[]uint8{endActive, endIdle}, []int64{60 * second, 76 * second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys := make([]flow.Key, len(tt.runs))
			got, at := meter(cfg, tt.runs, keys)
			if len(got) != len(tt.reasons) {
				t.Fatalf("%d records, want %d: %+v", len(got), len(tt.reasons), got)
			}
			for i := range got {
				if got[i].Reason != tt.reasons[i] || at[i]-epoch != tt.at[i] {
					t.Errorf("record %d: reason %d at %v, want %d at %v", i, got[i].Reason,
						time.Duration(at[i]-epoch), tt.reasons[i], time.Duration(tt.at[i]))
				}
			}
		})
	}
}

// TestCacheLosesNothing: for any packets, the records add up to them, none is
// longer than the active timeout, no gap within one is longer than the
// inactive timeout, and they leave in order of time.
func TestCacheLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := cacheConfig{active: rapid.Int64Range(1, 100).Draw(t, "active") * 1e9, inactive: rapid.Int64Range(1, 20).Draw(t, "inactive") * 1e9}
		n := rapid.IntRange(1, 80).Draw(t, "runs")
		runs, keys := make([]Run, n), make([]flow.Key, n)
		now, packets, bytes := epoch, uint64(0), uint64(0)
		for i := range runs {
			now += rapid.Int64Range(0, 12e9).Draw(t, "gap")
			p := rapid.Uint32Range(1, 9).Draw(t, "packets")
			runs[i] = Run{At: now, Packets: p, Bytes: uint64(p) * 60, Flags: rapid.SampledFrom([]uint8{0, ack, syn, fin | ack, rst}).Draw(t, "flags")}
			keys[i] = testKey(rapid.IntRange(1, 3).Draw(t, "key"))
			packets += uint64(p)
			bytes += runs[i].Bytes
		}
		got, at := meter(cfg, runs, keys)
		for i, r := range got {
			packets -= r.Packets
			bytes -= r.Bytes
			if r.End-r.Start > cfg.active || r.End < r.Start || at[i] < r.End {
				t.Errorf("record %+v, exported at %d, active timeout %d", r, at[i], cfg.active)
			}
			if i > 0 && at[i] < at[i-1] {
				t.Errorf("record %d was exported before the one before it", i)
			}
		}
		if packets != 0 || bytes != 0 {
			t.Errorf("%d packets and %d bytes are missing", int64(packets), int64(bytes))
		}
	})
}

// TestSampling: one in ten packets, about.
func TestSampling(t *testing.T) {
	cfg := cacheConfig{active: 60e9, inactive: 15e9, sampling: 10}
	got, _ := meter(cfg, []Run{{At: epoch, Packets: 100_000, Bytes: 100_000 * 500}}, []flow.Key{testKey(1)})
	if len(got) != 1 || got[0].Packets < 9_500 || got[0].Packets > 10_500 || got[0].Bytes/got[0].Packets != 500 {
		t.Errorf("got %+v", got)
	}
}
