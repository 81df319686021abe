package normalize

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// datagramOf is an exporter's datagram in a domain.
func datagramOf(exporter int, domain uint32, at time.Duration, w *writer) Datagram {
	w.domain = domain
	d := after(w.datagram(), at)
	d.Exporter = netip.AddrFrom4([4]byte{10, byte(exporter >> 16), byte(exporter >> 8), byte(exporter)})
	return d
}

// samplerTable is options that tell of samplers.
func samplerTable(first, samplers uint64) *writer {
	var body []byte
	for i := range samplers {
		body = append(body, values(4, 1, 4, first+i, 4, 100+i)...)
	}
	return v9().optionsTemplate(400, 1, spec{1, 4}, spec{ieSamplerID, 4}, spec{ieSamplerInterval, 4}).set(400, body...)
}

// TestOptionsAreBounded by exporter, whatever its domains, and in total; but all may tell
// of a few, and what is forgotten makes room.
func TestOptionsAreBounded(t *testing.T) {
	cfg := Default()
	cfg.MaxOptionsEntries, cfg.MaxTotalOptionsEntries, cfg.MaxExporters = 1000, 1500, 10
	n, out := New(cfg), &Result{}
	refused := uint64(0)
	for exporter := range 3 {
		for domain := range uint32(20) {
			n.Datagram(datagramOf(exporter, domain, 0, samplerTable(1, 90)), out)
			refused += out.RefusedOptions
			out.Reset()
		}
	}
	if want := uint64(3*20*90 - 1000 - 500 - granted); refused != want {
		t.Errorf("%d samplers refused, want %d", refused, want)
	}
	for exporter, want := range []int{1000, 500, granted} {
		addr := datagramOf(exporter, 0, 0, v9()).Exporter
		if got := n.exporters[addr].samplers; got != want {
			t.Errorf("exporter %d: %d samplers, want %d", exporter, got, want)
		}
	}
	d := datagramOf(2, 0, 0, v9().template(300, append(append([]spec(nil), tuple...), spec{ieSamplerID, 1})...).
		set(300, append(tupleValues(1, 1), 7)...))
	n.Datagram(d, out)
	if f := only(t, out); f.SamplingRate != 106 || f.SamplingKind != flowv1.SamplingKind_SAMPLING_KIND_PACKET {
		t.Errorf("one in %d %v", f.SamplingRate, f.SamplingKind)
	}
	for exporter := 3; exporter <= 10; exporter++ {
		n.Datagram(datagramOf(exporter, 0, 2*time.Hour, v9()), out)
	}
	if n.options.used != 0 || len(n.exporters) > 10 {
		t.Errorf("%d samplers of %d exporters are left", n.options.used, len(n.exporters))
	}
}

// TestFloodsLeaveRoomForOthers: whoever fills what all share with domains, templates and
// their fields, an exporter that comes later has its few.
func TestFloodsLeaveRoomForOthers(t *testing.T) {
	cfg := Default()
	cfg.MaxTotalDomains, cfg.MaxTemplates, cfg.MaxTotalFields = 40, 100, 500
	n, out := New(cfg), &Result{}
	for exporter := range 3 {
		for domain := range uint32(50) {
			w := v9()
			for id := range uint16(10) {
				w.template(300+id, tuple...)
			}
			n.Datagram(datagramOf(exporter, domain, 0, w), out)
		}
	}
	if n.domains > 40+2*grantedDomains || n.templates > 100+2*grantedTemplates || n.fields > 500+2*granted || out.RefusedTemplates == 0 || len(out.Dead) == 0 {
		t.Fatalf("%d domains, %d templates of %d fields; %d templates and %d datagrams refused", n.domains, n.templates, n.fields, out.RefusedTemplates, len(out.Dead))
	}
	*out = Result{}
	for domain := range uint32(grantedDomains) {
		w := v9()
		for id := range uint16(grantedTemplates / grantedDomains) {
			w.template(300+id, tuple...).set(300+id, tupleValues(1, 1)...)
		}
		n.Datagram(datagramOf(9, domain, 0, w), out)
	}
	if len(out.Flows) != grantedTemplates || len(out.Dead) != 0 {
		t.Errorf("%d flows, %v, %d templates refused", len(out.Flows), out.Dead, out.RefusedTemplates)
	}
	w := v9().template(300, tuple...)
	n.Datagram(datagramOf(9, grantedDomains, 0, w), out)
	if len(out.Dead) != 1 || out.Dead[0].Reason != "too_many_domains" {
		t.Errorf("beyond what is its own: %v", out.Dead)
	}
}

// TestFactsAreBounded by exporter and minute: what is not told is used all the same, and
// told when it comes again.
func TestFactsAreBounded(t *testing.T) {
	cfg := Default()
	cfg.MaxFactsPerMinute = 100
	n, out := New(cfg), &Result{}
	for i, want := range []int{90, 10, 0} {
		n.Datagram(datagramOf(0, 0, time.Duration(i)*time.Second, samplerTable(1+uint64(i)*90, 90)), out)
		told := slices.DeleteFunc(out.Facts, func(f *flowv1.ExporterFact) bool { return f.Kind != flowv1.ExporterFactKind_EXPORTER_FACT_KIND_SAMPLER })
		if len(told) != want || out.UntoldOptions != uint64(90-want) || out.OptionsRecords != 90 {
			t.Errorf("datagram %d: %d of %d told, %d not", i, len(told), out.OptionsRecords, out.UntoldOptions)
		}
		out.Reset()
	}
	if e := n.exporters[datagramOf(0, 0, 0, v9()).Exporter]; e.samplers != 270 || e.notices != 101 {
		t.Errorf("%d samplers and %d facts are kept, want 270, and 100 and a template", e.samplers, e.notices)
	}
	n.Datagram(datagramOf(1, 0, 3*time.Second, samplerTable(1, 90)), out)
	n.Datagram(datagramOf(0, 0, time.Minute, samplerTable(181, 90)), out)
	if out.UntoldOptions != 0 {
		t.Errorf("%d are not told of another exporter and minute", out.UntoldOptions)
	}
}

// TestFactsToldAgainAreBounded together: one exporter leaves room for others'.
func TestFactsToldAgainAreBounded(t *testing.T) {
	cfg := Default()
	cfg.MaxOptionsEntries, cfg.MaxFacts, cfg.MaxExporters = 700, 600, 10
	n, out := New(cfg), &Result{}
	for exporter := range 2 {
		for domain := range uint32(20) {
			n.Datagram(datagramOf(exporter, domain, 0, samplerTable(1, 90)), out)
			out.Reset()
		}
	}
	for exporter, want := range []int{600, granted} {
		if got := n.exporters[datagramOf(exporter, 0, 0, v9()).Exporter].notices; got != want {
			t.Errorf("exporter %d: %d facts, want %d", exporter, got, want)
		}
	}
	for exporter := 2; exporter <= 10; exporter++ {
		n.Datagram(datagramOf(exporter, 0, 2*time.Hour, v9()), out)
	}
	if n.notices.used != 0 {
		t.Errorf("%d facts of those that are gone are left", n.notices.used)
	}
}

// TestFirewallsAreBounded together: each keeps its latest connections.
func TestFirewallsAreBounded(t *testing.T) {
	cfg := Default()
	cfg.MaxFirewallConns, cfg.MaxTotalFirewallConns = 5000, 6000
	n := New(cfg)
	var all [20]recent[connKey, connCount]
	for i := range all {
		all[i] = newRecent[connKey, connCount](cfg.MaxFirewallConns, &n.connections)
		for id := range uint64(4000) {
			all[i].put(connKey{id: id}, connCount{bytes: id})
			if id > granted {
				if c, ok := all[i].get(connKey{id: id - granted/2}); !ok || c.bytes != id-granted/2 {
					t.Fatalf("firewall %d has forgotten a connection of a moment ago", i)
				}
			}
		}
	}
	kept := 0
	for i := range all {
		kept += len(all[i].young) + len(all[i].old)
	}
	if kept != n.connections.used || kept > cfg.MaxTotalFirewallConns+2*granted*len(all) {
		t.Errorf("%d connections are kept, counted %d", kept, n.connections.used)
	}
	for i := range all {
		all[i].forget()
	}
	if n.connections.used != 0 {
		t.Errorf("%d are left", n.connections.used)
	}
}
