package stage

import (
	"bytes"
	"testing"
)

// BenchmarkEngine is what the shell itself costs per record, in batches of 500
// records of 150 bytes, without Kafka and with a core that says nothing.
func BenchmarkEngine(b *testing.B) {
	cfg := toyConfig(1, 1)
	spec := Spec{Name: "dedup", Epoch: 1, NewCore: func(int) Core { return quietCore{} },
		Inputs: []Input{{Topic: FlowsRaw}}, Outputs: []OutputSpec{{Topic: FlowsDeduped, Ticks: true, Aligned: true}}}
	e := newEngine(cfg.planner().plan(&spec, 0), quietCore{})
	const records = 500
	m := message{header: header{end: true, tick: 1}}
	m.value = bytes.Repeat(append([]byte{150, 1}, make([]byte, 150)...), records)
	h := header{source: "ingest/a", end: true, tick: 1}
	b.SetBytes(int64(len(m.value)))
	b.ReportAllocs()
	for b.Loop() {
		m.fields = h.appendFields(m.fields[:0], []byte(h.source))
		if err := m.parse(false); err != nil {
			b.Fatal(err)
		}
		e.accept(0, &m)
		e.step(func(int, int, outgoing) {})
		h.seq, h.tick = h.seq+records, h.tick+1
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
	if e.tally.lost > 0 || e.tally.duplicates > 0 {
		b.Fatalf("%+v", e.tally)
	}
}
