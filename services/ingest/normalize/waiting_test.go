package normalize

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// after is a datagram received later.
func after(d Datagram, late time.Duration) Datagram {
	d.ReceivedNs += uint64(late)
	return d
}

// waits are what became of data sets without template.
type waits struct{ Missing, Late, Expired, LateRecords uint64 }

func waitsOf(out *Result) waits {
	return waits{out.MissingTemplateSets, out.LateSets, out.ExpiredSets, out.LateRecords}
}

func TestDataAheadOfItsTemplate(t *testing.T) {
	for _, w := range []func() *writer{v9, ipfix} {
		early := w()
		early.sequence = 41
		n, out := New(Default()), &Result{}
		n.Datagram(early.set(300, append(tupleValues(100, 2), tupleValues(200, 3)...)...).datagram(), out)
		if len(out.Flows) != 0 || len(out.Dead) != 0 || n.waiting.sets != 1 {
			t.Fatalf("%d flows, %d dead letters, %d sets wait", len(out.Flows), len(out.Dead), n.waiting.sets)
		}
		n.Datagram(after(w().template(300, tuple...).set(300, tupleValues(300, 4)...).datagram(), 59*time.Second), out)
		if d := cmp.Diff(waitsOf(out), waits{1, 1, 0, 2}); d != "" {
			t.Errorf("(-got, +want)\n%s", d)
		}
		if out.Records != (Records{Flow: 3}) || out.DataRecords != 3 || n.waiting.sets+n.waiting.bytes != 0 {
			t.Errorf("%+v of %d; %+v", out.Records, out.DataRecords, n.waiting)
		}
		ids := map[uint64]bool{}
		for i, want := range []uint64{100, 200, 300} {
			f := out.Flows[i]
			if f.Bytes != want {
				t.Errorf("flow %d: %d bytes, want %d", i, f.Bytes, want)
			}
			ids[f.RecordId] = true
		}
		if len(ids) != 3 {
			t.Errorf("identities %v", ids)
		}
		if f := out.Flows[0]; f.TimeReceivedNs != nowNs || f.SequenceNum != 41 {
			t.Errorf("a late flow is not of its own message: %v", f)
		}
	}
}

// What would have been read at once is the same when it is read late.
func TestLateIsTheSame(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{ieStartUptime, 4}, spec{ieEndUptime, 4})
	data := v9().set(300, append(tupleValues(1, 1), values(4, 3_900_000, 4, 3_950_000)...)...).datagram()
	template := v9().template(300, specs...).datagram()
	punctual, late := only(t, run(Default(), template, data)), only(t, run(Default(), data, template))
	if d := cmp.Diff(renderMessage(late), renderMessage(punctual)); d != "" {
		t.Errorf("(-late, +punctual)\n%s", d)
	}
}

// An identity depends neither on when its record was read nor on what else of the
// datagram could be.
func TestIdentitiesDoNotDependOnWaiting(t *testing.T) {
	flags := append([]spec{{ieApplicationName, variable}}, tuple...)
	templates := func() Datagram {
		return ipfix().template(300, tuple...).template(301, flags...).optionsTemplate(302, 1, spec{ieSelectorID, 4}, spec{ieSamplingInterval, 4}).datagram()
	}
	data := ipfix().set(300, append(tupleValues(100, 2), tupleValues(200, 3)...)...).
		set(301, append([]byte{1, 'x'}, tupleValues(300, 1)...)...).
		set(302, values(4, 1, 4, 10, 4, 2, 4, 20)...).set(300, tupleValues(400, 1)...).datagram()
	second := ipfix().template(301, flags...).optionsTemplate(302, 1, spec{ieSelectorID, 4}, spec{ieSamplingInterval, 4}).datagram()
	want := identities(t, run(Default(), templates(), data))
	for name, in := range map[string][]Datagram{
		"all wait":  {data, templates()},
		"some wait": {ipfix().template(300, tuple...).datagram(), data, second},
	} {
		if d := cmp.Diff(identities(t, run(Default(), in...)), want); d != "" {
			t.Errorf("%s (-got, +want)\n%s", name, d)
		}
	}
}

// identities are those of flows, by their bytes, and of samplers, by their rates. No
// two are the same.
func identities(t *testing.T, out *Result) map[string]uint64 {
	t.Helper()
	ids, seen := map[string]uint64{}, map[uint64]bool{}
	for _, f := range out.Flows {
		ids[fmt.Sprintf("flow %d", f.Bytes)] = f.RecordId
		seen[f.RecordId] = true
	}
	for _, f := range out.Facts {
		if f.Kind == flowv1.ExporterFactKind_EXPORTER_FACT_KIND_SAMPLER {
			ids[fmt.Sprintf("sampler %d", f.SamplingRate)] = f.RecordId
			seen[f.RecordId] = true
		}
	}
	if len(ids) != 6 || len(seen) != 6 {
		t.Fatalf("%v", ids)
	}
	return ids
}

func TestOptionsAheadOfTheirTemplate(t *testing.T) {
	out := run(Default(),
		v9().set(400, values(4, 1, 2, 60, 2, 15)...).datagram(),
		v9().optionsTemplate(400, 1, spec{scopeSystem, 4}, spec{ieActiveTimeout, 2}, spec{ieIdleTimeout, 2}).template(300, tuple...).datagram(),
		v9().set(300, tupleValues(1, 1)...).datagram())
	if f := only(t, out); f.ActiveTimeoutMs != 60_000 || out.OptionsRecords != 1 {
		t.Errorf("%d options records, active timeout %d", out.OptionsRecords, f.ActiveTimeoutMs)
	}
}

func TestTemplateThatDoesNotCome(t *testing.T) {
	n, out := New(Default()), &Result{}
	w := ipfix()
	w.sequence = 7
	n.Datagram(w.set(999, 1, 2, 3, 4).set(300, tupleValues(1, 1)...).datagram(), out)
	n.Datagram(after(ipfix().template(301, tuple...).datagram(), 59*time.Second), out)
	if len(out.Dead) != 0 {
		t.Fatalf("buried early: %v", out.Dead)
	}
	n.Advance(nowNs+uint64(time.Minute), out)
	if d := cmp.Diff(waitsOf(out), waits{Missing: 2, Expired: 2}); d != "" || len(out.Dead) != 2 || out.BadDatagrams != 0 {
		t.Fatalf("(-got, +want)\n%s%v", d, out.Dead)
	}
	letter := out.Dead[0]
	if letter.Reason != reasonTemplateMissing || letter.ReceivedNs != nowNs || letter.Exporter != exporterAddr {
		t.Errorf("%+v", letter)
	}
	// The letters are messages that can be read once somebody has the template.
	again := run(Default(), ipfix().template(300, tuple...).datagram(),
		Datagram{Exporter: exporterAddr, ReceivedNs: nowNs, Payload: out.Dead[1].Bytes})
	if f := only(t, again); f.SequenceNum != 7 || again.BadDatagrams != 0 {
		t.Errorf("%v", f)
	}
	// Nothing is read twice.
	n.Datagram(after(ipfix().template(300, tuple...).datagram(), time.Minute), out)
	if len(out.Flows) != 0 || n.waiting.sets+n.waiting.bytes != 0 || len(n.waiting.queue) != 0 {
		t.Errorf("%d flows, %+v", len(out.Flows), n.waiting)
	}
}

func TestWaitingEndsWithTheInput(t *testing.T) {
	n, out := New(Default()), &Result{}
	n.Datagram(v9().set(300, tupleValues(1, 1)...).datagram(), out)
	n.End(out)
	if d := cmp.Diff(waitsOf(out), waits{Missing: 1, Expired: 1}); d != "" || len(out.Dead) != 1 {
		t.Errorf("(-got, +want)\n%s", d)
	}
}

func TestWaitingIsBounded(t *testing.T) {
	cfg := Default()
	cfg.MaxWaitingBytes, cfg.MaxTotalWaitingBytes = 20_000, 30_000
	n, out := New(cfg), &Result{}
	body := bytes.Repeat([]byte{1}, 1000)
	for host := byte(1); host <= 3; host++ {
		for range 100 {
			d := v9().set(300, body...).datagram()
			d.Exporter = exporterAddr.Next()
			if host > 1 {
				d.Exporter = d.Exporter.Next()
			}
			n.Datagram(d, out)
		}
	}
	if n.waiting.bytes > 30_000 || n.waiting.bytes < 28_000 {
		t.Errorf("%d bytes wait, want nearly 30,000", n.waiting.bytes)
	}
	if out.MissingTemplateSets != uint64(n.waiting.sets)+out.ExpiredSets {
		t.Errorf("%+v, %d wait", waitsOf(out), n.waiting.sets)
	}
	// What finds no room is buried with its datagram.
	refused := len(out.Dead)
	if uint64(refused) != out.ExpiredSets || len(out.Dead[0].Bytes) <= len(body) || out.Dead[0].Reason != reasonTemplateMissing {
		t.Errorf("%d dead letters of %d sets", refused, out.ExpiredSets)
	}
	n.End(out)
	if n.waiting.sets+n.waiting.bytes != 0 || out.ExpiredSets != 300 {
		t.Errorf("%+v, %+v", n.waiting, waitsOf(out))
	}
}

// An exporter that is forgotten while its data waits does not upset the count.
func TestWaitingOfTheForgotten(t *testing.T) {
	cfg := Default()
	cfg.MaxExporters = 1
	n, out := New(cfg), &Result{}
	n.Datagram(v9().set(300, tupleValues(1, 1)...).datagram(), out)
	other := after(v9().template(300, tuple...).datagram(), 59*time.Second+time.Duration(passingNs))
	other.Exporter = exporterAddr.Next()
	n.Datagram(other, out)
	if d := cmp.Diff(waitsOf(out), waits{Missing: 1, Expired: 1}); d != "" || n.waiting.bytes != 0 {
		t.Errorf("%d bytes (-got, +want)\n%s", n.waiting.bytes, d)
	}
}

// In captures, as anywhere, every set that had no template is read late, or
// buried, or waits.
func TestCapturesWait(t *testing.T) {
	needShared(t)
	for _, want := range expectations(t) {
		n, out := New(Default()), &Result{}
		for _, d := range datagrams(t, shared+"/captures/"+want.file) {
			n.Datagram(d, out)
		}
		n.End(out)
		if out.MissingTemplateSets != out.LateSets+out.ExpiredSets || out.MissingTemplateSets != want.missing {
			t.Errorf("%s: %+v, want %d missing", want.file, waitsOf(out), want.missing)
		}
	}
}

func templateFacts(out *Result) (ids []uint32) {
	for _, f := range out.Facts {
		if f.Kind == flowv1.ExporterFactKind_EXPORTER_FACT_KIND_TEMPLATE {
			ids = append(ids, f.TemplateId)
		}
	}
	return ids
}
