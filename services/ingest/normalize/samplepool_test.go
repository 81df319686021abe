package normalize

import (
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// pooledSample is a flow sample with the counts of its source.
func pooledSample(source, rate uint64, c poolCount) []byte {
	b := values(4, sampleFlow, 4, uint64(c.samples), 4, source, 4, rate, 4, uint64(c.pool), 4, uint64(c.drops), 4, 3, 4, 4, 4, 1)
	return append(b, rawHeader(headerIPv4, 60, tcp4)...)
}

// TestEffectiveRate: an agent that says one in 100 but samples one in 250, since it lost
// samples; some of them, and of the datagrams, are lost or late on the way as well.
func TestEffectiveRate(t *testing.T) {
	n, out := New(Default()), &Result{}
	number := uint32(0)
	send := func(seconds uint64, samples ...[]byte) {
		d := sflowDatagram(samples...)
		number++
		d.Payload[19] = byte(number) // the datagram's number
		d.Payload[18] = byte(number >> 8)
		d.ReceivedNs += seconds * nsPerS
		n.Datagram(d, out)
	}
	for i := uint32(0); i <= 400; i++ {
		c := poolCount{samples: 1000 + i, pool: 1<<32 - 5000 + 250*i, drops: 3 * i / 2}
		switch {
		case i%7 == 3: // lost
		case i%10 == 5: // the next comes first
			send(uint64(i), pooledSample(28, 100, poolCount{c.samples + 1, c.pool + 250, c.drops + 1}))
			send(uint64(i), pooledSample(28, 100, c))
		default:
			send(uint64(i), pooledSample(28, 100, c), pooledSample(1<<24|29, 100, poolCount{samples: i, pool: 100 * i}))
		}
	}
	var told, exact int
	for _, f := range out.Facts {
		if f.Kind != flowv1.ExporterFactKind_EXPORTER_FACT_KIND_SAMPLER || f.SamplingRate != 100 {
			t.Fatalf("%v", f)
		}
		switch effective := f.Attributes[effectiveAttribute]; {
		case f.Id == 28 && effective == "250" && f.Attributes["sourceIdType"] == "0":
			told++
		case f.Id == 29 && effective == "100" && f.Attributes["sourceIdType"] == "1":
			exact++
		default:
			t.Errorf("source %d: %v", f.Id, f.Attributes)
		}
	}
	if told != 1 || exact != 1 || out.DroppedSamples < 590 || out.DroppedSamples > 600 {
		t.Errorf("told %d and %d times, %d samples dropped", told, exact, out.DroppedSamples)
	}
	for _, f := range out.Flows {
		if f.SamplingRate != 100 || f.SamplingKind != flowv1.SamplingKind_SAMPLING_KIND_PACKET || f.Packets != 1 {
			t.Fatalf("the flow has not the rate that was stated: %v", f)
		}
	}
}

// TestPoolBeginsAnew: after a restart of the agent, and where only the pool was set back.
func TestPoolBeginsAnew(t *testing.T) {
	var p samplePool
	at := uint64(nowNs)
	feed := func(from poolCount, n uint32) (measured poolCount, enough bool) {
		for i := range n {
			at += nsPerS
			c := poolCount{from.samples + i, from.pool + 50*i, from.drops}
			if m, ok, _ := p.observe(c, at); ok {
				measured, enough = m, ok
			}
		}
		return measured, enough
	}
	feed(poolCount{samples: 900_000, pool: 4_000_000_000, drops: 7}, 200)
	if m, ok := feed(poolCount{samples: 1, pool: 50}, 299); ok {
		t.Errorf("measured over a restart: %+v", m)
	}
	if m, ok := feed(poolCount{samples: 300, pool: 15_000}, 2); !ok || m.effective() != 50 || m.drops != 0 {
		t.Errorf("after it: %+v, %v", m, ok)
	}
	feed(poolCount{samples: 302, pool: 0}, 10)
	if m, ok := feed(poolCount{samples: 312, pool: 500}, 300); !ok || m.effective() != 50 {
		t.Errorf("after the pool was set back: %+v, %v", m, ok)
	}
}

// TestPoolsAreBounded: per exporter, over all its agents, until these are forgotten.
func TestPoolsAreBounded(t *testing.T) {
	cfg := Default()
	cfg.MaxOptionsEntries = 3
	n, out := New(cfg), &Result{}
	for source := range uint64(5) {
		for agent := range byte(2) {
			d := sflowDatagram(pooledSample(source, 1, poolCount{samples: 1}))
			d.Payload[11] += agent
			n.Datagram(d, out)
		}
	}
	e := n.exporters[exporterAddr]
	kept := 0
	for _, d := range e.domains {
		kept += len(d.pools)
	}
	if kept != 3 || e.pools != 3 || len(e.domains) != 2 {
		t.Errorf("%d sources kept, %d counted, of %d agents", kept, e.pools, len(e.domains))
	}
	for _, d := range e.domains {
		n.forgetDomain(d)
	}
	if e.pools != 0 {
		t.Errorf("%d sources counted of no agent", e.pools)
	}
}
