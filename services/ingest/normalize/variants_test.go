package normalize

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Two processes of one host (ports 1 and 2) have the same domain and the same template
// id, for other layouts.
func TestEachPortHasItsTemplates(t *testing.T) {
	swapped := append([]spec(nil), tuple...)
	swapped[0], swapped[1] = swapped[1], swapped[0]
	from := func(port uint16, at time.Duration, w *writer) Datagram {
		d := after(w.datagram(), at)
		d.Port = port
		return d
	}
	data := func() *writer { return v9().set(300, tupleValues(1, 1)...) }
	// source is who sent the flow that a datagram holds; empty where its template is missing.
	source := func(n *Normalizer, d Datagram) string {
		t.Helper()
		var out Result
		if n.Datagram(d, &out); len(out.Flows) == 0 {
			return ""
		}
		return string(out.Flows[0].SrcAddr)
	}
	first, second := string(tupleValues(1, 1)[:4]), string(tupleValues(1, 1)[4:8])
	check := func(n *Normalizer, port uint16, at time.Duration, want string) {
		t.Helper()
		if got := source(n, from(port, at, data())); got != want {
			t.Errorf("port %d after %s: flow from %x, want %x", port, at, got, want)
		}
	}
	n, heard := New(Default()), &Result{}
	n.Datagram(from(1, 0, v9().template(300, tuple...)), heard)
	check(n, 3, 1*time.Second, first)
	n.Datagram(from(2, 2*time.Second, v9().template(300, swapped...)), heard)
	check(n, 1, 3*time.Second, first)
	check(n, 2, 3*time.Second, second)
	check(n, 3, 3*time.Second, second) // whose data come from elsewhere: the latest

	for at := 60 * time.Second; at < 5*time.Minute; at += time.Minute { // both are sent again
		n.Datagram(from(1, at, v9().template(300, tuple...)), heard)
		check(n, 2, at, second)
		n.Datagram(from(2, at, v9().template(300, swapped...)), heard)
		check(n, 1, at, first)
	}
	if n.templates != 2 || n.fields != 2*len(tuple) {
		t.Errorf("%d templates of %d fields", n.templates, n.fields)
	}

	// The others know both, whichever of the facts they hear last.
	n.Advance(nowNs+uint64(6*time.Minute), heard)
	other := New(Default())
	tell(t, other, heard.Facts)
	check(other, 1, 6*time.Minute, first)
	check(other, 2, 6*time.Minute, second)

	// A process changes its mind: that is nobody else's concern.
	n.Datagram(from(1, 7*time.Minute, v9().template(300, swapped...)), heard)
	check(n, 1, 7*time.Minute, second)
	check(n, 2, 7*time.Minute, second)
	n.Datagram(from(1, 8*time.Minute, v9().template(300, tuple...)), heard)
	check(n, 1, 8*time.Minute, first)
	check(n, 2, 8*time.Minute, second)
	check(n, 1, 50*time.Minute, "") // both have expired
	check(n, 2, 50*time.Minute, "")
	n.Datagram(from(4, 49*time.Hour, v9().template(301, tuple...)), heard)
	for at := range 8 {
		n.Advance(nowNs+uint64(49*time.Hour)+uint64(at), heard)
	}
	if n.templates != 1 || n.fields != len(tuple) {
		t.Errorf("%d templates of %d fields are left", n.templates, n.fields)
	}
}

// TestDataWaitsForItsPortsTemplate, as far as it can be told that another port's is not
// its own: two processes of one host are heard of for the first time.
func TestDataWaitsForItsPortsTemplate(t *testing.T) {
	longer := append(append([]spec(nil), tuple...), spec{ieTCPFlags, 2}, spec{ieIngressInterface, 4}, spec{ieEgressInterface, 4})
	text := append(append([]spec(nil), longer...), spec{ieApplicationName, variable})
	longValues := append(tupleValues(7, 1), values(2, 0x1b, 4, 3, 4, 4)...)
	textValues := append(append([]byte(nil), longValues...), 2, 'o', 'k')
	at := time.Duration(0)
	from := func(port uint16, w *writer) Datagram {
		at += time.Second
		d := after(w.datagram(), at)
		d.Port = port
		return d
	}
	short := func(port uint16, records int) Datagram {
		return from(port, ipfix().set(300, bytes.Repeat(tupleValues(5, 1), records)...))
	}
	long := func(port uint16, records int) Datagram {
		return from(port, ipfix().set(300, bytes.Repeat(longValues, records)...))
	}
	f := func(name string, want map[uint64]int, missing uint64, in ...Datagram) {
		t.Helper()
		out, got := run(Default(), in...), map[uint64]int{}
		for _, f := range out.Flows {
			got[f.Bytes]++
		}
		if d := cmp.Diff(got, want); d != "" || out.MissingTemplateSets != missing || out.LateSets != missing {
			t.Errorf("%s: %d sets waited, %d were read late, want %d; flows by bytes (-got, +want)\n%s", name, out.MissingTemplateSets, out.LateSets, missing, d)
		}
		at = 0
	}
	f("both wait", map[uint64]int{5: 3, 7: 2}, 3,
		long(2, 1), short(1, 3), from(1, ipfix().template(300, tuple...)), long(2, 1), from(2, ipfix().template(300, longer...)))
	f("the other is known", map[uint64]int{5: 1, 7: 1}, 1,
		from(1, ipfix().template(300, tuple...)), long(2, 1), short(1, 1), from(2, ipfix().template(300, longer...)))
	f("the other has fields of variable length", map[uint64]int{7: 2}, 1,
		from(1, ipfix().template(300, text...)), long(2, 1), from(1, ipfix().set(300, textValues...)), from(2, ipfix().template(300, longer...)))
	f("one fits by chance, others did not", map[uint64]int{7: 23}, 3,
		long(2, 1), long(2, 1), from(1, ipfix().template(300, tuple...)), long(2, len(tupleValues(5, 1))), from(2, ipfix().template(300, longer...)))
	f("a port of templates, another of data", map[uint64]int{5: 4, 7: 2}, 2,
		short(2, 1), short(2, 3), from(1, ipfix().template(300, tuple...)), from(1, ipfix().template(300, longer...)), long(2, 2))
	f("and of data that is padded by what is at hand", map[uint64]int{5: 2}, 1,
		from(2, ipfix().set(300, append(tupleValues(5, 1), 1, 2, 3)...)), from(1, ipfix().template(300, tuple...)),
		from(2, ipfix().set(300, append(tupleValues(5, 1), make([]byte, 7)...)...)))
	f("and whose layout changes behind its data", map[uint64]int{5: 1, 7: 2}, 1,
		from(1, ipfix().template(300, tuple...)), short(2, 1), long(2, 1), from(1, ipfix().template(300, longer...)), long(2, 1))

	out := run(Default(), from(1, ipfix().template(300, tuple...)), long(2, 1), from(1, ipfix()), after(from(1, ipfix()), time.Hour))
	if len(out.Flows) != 0 || out.ExpiredSets != 1 || len(out.Dead) != 1 || out.Dead[0].Reason != reasonTemplateMissing {
		t.Errorf("its own does not come: %v %v", out.Flows, out.Dead)
	}
}

// TestPortsComeAndGo: a process has another port after each restart. Those of before do
// not take the place of those that are there, however many there were.
func TestPortsComeAndGo(t *testing.T) {
	swapped := append([]spec(nil), tuple...)
	swapped[0], swapped[1] = swapped[1], swapped[0]
	n, out := New(Default()), &Result{}
	hear := func(port uint16, hours int, w *writer) {
		d := after(w.datagram(), time.Duration(hours)*time.Hour)
		d.Port = port
		n.Datagram(d, out)
	}
	for i := range 3 * maxVariants {
		layout := tuple
		if i%2 > 0 {
			layout = swapped
		}
		hear(uint16(1000+i), i/8, v9().template(300, layout...))
	}
	if kept := len(n.exporters[exporterAddr].lastDomain.variants); kept > maxVariants {
		t.Errorf("%d templates of single ports are kept", kept)
	}
	out.Reset()
	hear(1, 30, v9().template(300, tuple...))
	hear(2, 30, v9().template(300, swapped...))
	hear(1, 30, v9().set(300, tupleValues(1, 1)...))
	hear(2, 30, v9().set(300, tupleValues(2, 1)...))
	if len(out.Flows) != 2 || string(out.Flows[0].SrcAddr) != string(out.Flows[1].DstAddr) {
		t.Errorf("got %v", out.Flows)
	}
}
