package normalize

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestTemplatesExpire(t *testing.T) {
	f := func(name string, age time.Duration, wantFlow bool, templates ...time.Duration) {
		t.Helper()
		n, out := New(Default()), &Result{}
		for _, at := range templates {
			n.Datagram(after(ipfix().template(300, tuple...).datagram(), at), out)
		}
		last := templates[len(templates)-1]
		n.Datagram(after(ipfix().set(300, tupleValues(1, 1)...).datagram(), last+age), out)
		if got := len(out.Flows) == 1; got != wantFlow || got == (out.MissingTemplateSets == 1) {
			t.Errorf("%s: decoded %v, want %v; %+v", name, got, wantFlow, waitsOf(out))
		}
	}
	f("young", 30*time.Minute, true, 0)
	f("old", 30*time.Minute+1, false, 0)
	f("sent again each hour", 2*time.Hour, true, 0, time.Hour)
	f("sent again each hour, then not", 3*time.Hour+1, false, 0, time.Hour)
	f("sent again each minute", 29*time.Minute, true, 0, time.Minute)
	f("sent again each minute, then not", 31*time.Minute, false, 0, time.Minute)
	f("the longest interval counts", 89*time.Minute, true, 0, 30*time.Minute, 31*time.Minute)
	f("a year later", 24*time.Hour+1, false, 0, 365*24*time.Hour)
}

// Data that comes between the expiry of a template and its refresh waits.
func TestExpiredThenRefreshed(t *testing.T) {
	n, out := New(Default()), &Result{}
	n.Datagram(ipfix().template(300, tuple...).datagram(), out)
	n.Datagram(after(ipfix().set(300, tupleValues(1, 1)...).datagram(), 31*time.Minute), out)
	n.Datagram(after(ipfix().template(300, tuple...).datagram(), 31*time.Minute+5*time.Second), out)
	if only(t, out); out.LateSets != 1 {
		t.Errorf("%+v", waitsOf(out))
	}
}

func TestExpiredTemplatesMakeRoom(t *testing.T) {
	cfg := Default()
	cfg.MaxExporterTemplates = 4
	n, out := New(cfg), &Result{}
	for id := uint16(300); id < 304; id++ {
		n.Datagram(ipfix().template(id, tuple...).datagram(), out)
	}
	n.Datagram(after(ipfix().template(310, tuple...).datagram(), 30*time.Minute), out)
	if out.RefusedTemplates != 1 {
		t.Fatalf("%d refused, want 1", out.RefusedTemplates)
	}
	n.Datagram(after(ipfix().template(310, tuple...).set(310, tupleValues(1, 1)...).datagram(), 30*time.Minute+1), out)
	if only(t, out); out.RefusedTemplates != 1 || n.templates != 1 || n.fields != len(tuple) {
		t.Errorf("%d refused; %d templates of %d fields kept", out.RefusedTemplates, n.templates, n.fields)
	}
}

// TestRefusalsCostNothing: while none of an exporter's templates can have expired, they are
// not looked through for one that makes room, however many it sends.
func TestRefusalsCostNothing(t *testing.T) {
	cfg := Default()
	cfg.MaxExporterTemplates = 4
	n, out := New(cfg), &Result{}
	for id := uint16(300); id < 305; id++ {
		n.Datagram(ipfix().template(id, tuple...).datagram(), out)
	}
	d := n.exporters[exporterAddr].lastDomain
	d.templates[300].lifetime.untilNs = 0 // only looking would tell
	for id := uint16(305); id < 310; id++ {
		n.Datagram(after(ipfix().template(id, tuple...).datagram(), time.Minute), out)
	}
	if out.RefusedTemplates != 6 || d.templates[300] == nil {
		t.Errorf("%d refused, want 6", out.RefusedTemplates)
	}
}

// An expired template that makes room for its own successor is given up once.
func TestExpiredTemplateIsRedefined(t *testing.T) {
	cfg := Default()
	cfg.MaxExporterFields = len(tuple)
	n, out := New(cfg), &Result{}
	n.Datagram(ipfix().template(300, tuple[:len(tuple)-1]...).datagram(), out)
	n.Datagram(after(ipfix().template(300, tuple...).datagram(), 31*time.Minute), out)
	n.Datagram(after(ipfix().template(300, append(slices.Clone(tuple[1:]), spec{ieTCPFlags, 1})...).datagram(), 62*time.Minute), out)
	if n.templates != 1 || n.fields != len(tuple) || out.RefusedTemplates != 0 {
		t.Errorf("%d templates of %d fields, %d refused", n.templates, n.fields, out.RefusedTemplates)
	}
	n.Datagram(after(ipfix().template(300, append(slices.Clone(tuple), spec{ieTCPFlags, 1})...).datagram(), 93*time.Minute), out)
	if n.templates != 0 || n.fields != 0 || out.RefusedTemplates != 1 {
		t.Errorf("%d templates of %d fields, %d refused", n.templates, n.fields, out.RefusedTemplates)
	}
}

// TestFloodOfDefinitions redefines templates without end: what is kept and told
// stays bounded, and counted right.
func TestFloodOfDefinitions(t *testing.T) {
	cfg := Default()
	cfg.MaxExporterFields = 2000
	n, out := New(cfg), &Result{}
	facts := 0
	for i := range 20_000 {
		fields := make([]spec, 1+i%50)
		for j := range fields {
			fields[j] = spec{element(1 + (i+j)%400), 4}
		}
		n.Datagram(ipfix().template(uint16(300+i%300), fields...).datagram(), out)
		facts += len(out.Facts)
		out.Reset()
	}
	e := n.exporters[exporterAddr]
	fields := 0
	for _, d := range e.domains {
		for tm := range d.allTemplates() {
			fields += len(tm.fields)
		}
	}
	if n.fields != fields || e.fields != fields || fields > 2000 {
		t.Errorf("%d and %d fields, there are %d", n.fields, e.fields, fields)
	}
	if facts != announcements {
		t.Errorf("%d facts, want %d", facts, announcements)
	}
	if n.notices.used > 300 || len(n.noticeList) > 2*n.notices.used+1024 {
		t.Errorf("%d notices in a list of %d", n.notices.used, len(n.noticeList))
	}
	// What stands is told with the next round.
	n.Advance(nowNs+60*nsPerS, out)
	if got := len(templateFacts(out)); got == 0 || got > e.templates {
		t.Errorf("%d facts of %d templates", got, e.templates)
	}
}

func TestForgedAddressesKeepNobodyOut(t *testing.T) {
	cfg := Default()
	cfg.MaxExporters = 8
	n, out := New(cfg), &Result{}
	at := time.Duration(0)
	for ; at < 2*time.Minute; at += 10 * time.Second { // one of ours
		n.Datagram(after(v9().template(300, tuple...).datagram(), at), out)
	}
	for i := range byte(100) {
		d := after(v9().datagram(), at)
		d.Exporter = netip.AddrFrom4([4]byte{203, 0, 113, i})
		n.Datagram(d, out)
	}
	if len(n.exporters) != 8 {
		t.Fatalf("%d exporters", len(n.exporters))
	}
	d := after(v9().template(300, tuple...).set(300, tupleValues(1, 1)...).datagram(), at+time.Minute)
	d.Exporter = netip.MustParseAddr("192.0.2.77")
	n.Datagram(d, out)
	n.Datagram(after(v9().set(300, tupleValues(1, 1)...).datagram(), at+time.Minute), out)
	if len(out.Flows) != 2 || len(n.exporters) != 2 {
		t.Errorf("%d flows, %d exporters", len(out.Flows), len(n.exporters))
	}
}

func TestSessions(t *testing.T) {
	in := func(session uint64, w *writer) Datagram {
		d := w.datagram()
		d.Session = session
		return d
	}
	n, out := New(Default()), &Result{}
	flows := func(d Datagram) int {
		before := len(out.Flows)
		n.Datagram(d, out)
		return len(out.Flows) - before
	}
	data := func(v uint64) *writer { return ipfix().set(300, tupleValues(v, 1)...) }
	n.Datagram(in(1, ipfix().template(300, tuple...).template(301, tuple...)), out)
	if flows(in(1, data(1))) != 1 {
		t.Error("a session's template was not used")
	}
	if len(out.Facts) != 0 {
		t.Errorf("a session's template was told to others: %v", out.Facts)
	}
	if flows(in(2, data(2))) != 0 || flows(in(0, data(3))) != 0 {
		t.Error("a template was used beyond its session")
	}
	if flows(after(in(1, data(4)), 48*time.Hour)) != 1 {
		t.Error("a session's template expired")
	}
	n.Datagram(in(1, ipfix().set(2, values(2, 300, 2, 0)...)), out)
	if flows(in(1, data(5))) != 0 {
		t.Error("a template was used after its withdrawal")
	}
	if flows(in(1, ipfix().set(301, tupleValues(6, 1)...))) != 1 {
		t.Error("another template was withdrawn too")
	}
	n.Datagram(in(1, ipfix().set(2, values(2, 2, 2, 0)...)), out)
	if flows(in(1, ipfix().set(301, tupleValues(7, 1)...))) != 0 {
		t.Error("a template was used after the withdrawal of all")
	}
	n.Datagram(in(3, ipfix().template(300, tuple...)), out)
	n.Datagram(Datagram{Exporter: exporterAddr, Session: 3}, &Result{})
	if flows(in(3, data(8))) != 0 || n.templates != 0 {
		t.Error("a template outlived its session")
	}
}
