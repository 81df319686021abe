package normalize

import (
	"bytes"
	"runtime"
	"testing"
)

// TestCostIsBounded sends the largest datagrams that are made to cost much, and
// holds the memory they take against their size.
func TestCostIsBounded(t *testing.T) {
	const size = 65000
	fill := func(set func(*writer)) Datagram {
		w := ipfix()
		for len(w.sets) < size {
			set(w)
		}
		return w.datagram()
	}
	f := func(name string, perByte uint64, d Datagram) {
		t.Helper()
		n, out := New(Default()), &Result{}
		n.Datagram(ipfix().template(300, spec{ieFlowEndReason, 1}).template(301, spec{ieVLAN, 2}, spec{ieOctetDelta, 1}).datagram(), out)
		n.Datagram(d, out)
		out.Reset()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n.Datagram(d, out)
		runtime.ReadMemStats(&after)
		if got := (after.TotalAlloc - before.TotalAlloc) / uint64(len(d.Payload)); got > perByte {
			t.Errorf("%s: %d bytes of memory per byte of the datagram, want at most %d", name, got, perByte)
		}
	}
	claims := values(2, 400, 2, 0xffff)
	f("templates that claim 65,535 fields", 10, fill(func(w *writer) { w.set(2, claims...) }))
	f("options templates that claim 65,535 scopes", 10, fill(func(w *writer) { w.set(3, values(2, 400, 2, 0xffff, 2, 0xffff)...) }))
	id := uint16(400)
	f("templates of one field", 100, fill(func(w *writer) { id++; w.template(id, spec{element(id % 467), 1}) }))
	f("events of one byte", 400, fill(func(w *writer) { w.set(300, make([]byte, 30000)...) }))
	f("empty sets", 10, fill(func(w *writer) { w.set(300) }))
	f("sets without template", 200, fill(func(w *writer) { id++; w.set(id, 1) }))
	list := joined([]byte{3}, values(2, 300), bytes.Repeat([]byte{1}, 1000))
	f("lists of many records", 100, fill(func(w *writer) {
		if len(w.sets) == 0 {
			w.template(500, spec{ieSubTemplateList, variable})
		}
		w.set(500, long(list...)...)
	}))
	wide := make([]spec, 1000)
	for i := range wide {
		wide[i] = spec{ieVLAN, 1}
	}
	f("records of one element a thousand times", 400, fill(func(w *writer) {
		if len(w.sets) == 0 {
			w.template(500, wide...)
		}
		w.set(500, make([]byte, 10_000)...)
	}))
}
