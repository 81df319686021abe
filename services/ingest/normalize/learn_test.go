package normalize

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// tell has a normalizer learn facts as they come from their topic.
func tell(t *testing.T, n *Normalizer, facts []*flowv1.ExporterFact) {
	t.Helper()
	for _, f := range facts {
		b, err := proto.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var g flowv1.ExporterFact
		if err := proto.Unmarshal(b, &g); err != nil {
			t.Fatal(err)
		}
		n.Learn(&g)
		proto.Reset(&g)
	}
}

// flowsOf writes the flows of a result, without their identities and, where it
// is an estimate that takes several datagrams to settle, the time.
func flowsOf(out *Result, settled bool) string {
	var b strings.Builder
	for _, f := range out.Flows {
		c := proto.Clone(f).(*flowv1.Flow)
		c.RecordId, c.PairId, c.ReverseObservable = 0, 0, false
		if !settled && c.TimeQuality != flowv1.TimeQuality_TIME_QUALITY_ABSOLUTE {
			c.TimeFlowStartNs, c.TimeFlowEndNs = 0, 0
		}
		fmt.Fprintln(&b, renderMessage(c))
	}
	return b.String()
}

// TestRestartLosesNothing hears all captures, tells the facts to a normalizer
// that is new, and has it hear the captures again without their templates.
func TestRestartLosesNothing(t *testing.T) {
	needShared(t)
	paths, _ := filepath.Glob(filepath.Join(shared, "captures", "*.pcap"))
	for _, path := range paths {
		base := filepath.Base(path)
		if base == "options_reassigned.pcap" || base == "yaf.pcap" || base == "v9_nbar262.pcap" {
			continue // template ids used again for other layouts: only the last survive
		}
		in := datagrams(t, path)
		first := New(Default())
		heard := &Result{}
		for _, d := range in {
			first.Datagram(d, heard)
		}
		third, again := New(Default()), &Result{}
		tell(t, third, heard.Facts) // so that samplers are known from the start here too
		for _, d := range in {
			third.Datagram(d, again)
		}
		second, got := New(Default()), &Result{}
		tell(t, second, heard.Facts)
		for _, d := range in {
			d.Payload = withoutTemplates(d.Payload)
			second.Datagram(d, got)
		}
		if d := cmp.Diff(strings.Split(flowsOf(got, false), "\n"), strings.Split(flowsOf(again, false), "\n")); d != "" {
			t.Errorf("%s (-got, +want)\n%s", base, d)
		}
		if len(templateFacts(got)) != 0 {
			t.Errorf("%s: templates were sent after all", base)
		}
	}
}

// withoutTemplates gives template sets an id that says nothing.
func withoutTemplates(b []byte) []byte {
	if len(b) < 20 {
		return b
	}
	b = append([]byte(nil), b...)
	at := ipfixHeader
	switch version := int(b[0])<<8 | int(b[1]); version {
	case 9:
		at = v9Header
	case 10:
	default:
		return b
	}
	for at+4 <= len(b) {
		id, length := int(b[at])<<8|int(b[at+1]), int(b[at+2])<<8|int(b[at+3])
		if id < 4 {
			b[at], b[at+1] = 0, 200
		}
		if length < 4 {
			break
		}
		at += length
	}
	return b
}

// Two replicas behind alternating datagrams of one exporter.
func TestReplicasShareTemplates(t *testing.T) {
	a, b, outA, outB := New(Default()), New(Default()), &Result{}, &Result{}
	b.Datagram(v9().set(300, tupleValues(1, 1)...).datagram(), outB)
	a.Datagram(v9().template(300, tuple...).datagram(), outA)
	tell(t, b, outA.Facts)
	b.Advance(nowNs, outB)
	if only(t, outB); outB.LateSets != 1 {
		t.Errorf("%+v", waitsOf(outB))
	}
	b.Datagram(v9().set(300, tupleValues(2, 1)...).datagram(), outB)
	if len(outB.Flows) != 2 {
		t.Errorf("%d flows", len(outB.Flows))
	}
	// The next datagram does it too, without Advance.
	b.Datagram(v9().set(301, tupleValues(1, 1)...).datagram(), outB)
	outA.Reset()
	a.Datagram(v9().template(301, tuple...).datagram(), outA)
	tell(t, b, outA.Facts)
	b.Datagram(v9().datagram(), outB)
	if len(outB.Flows) != 3 {
		t.Errorf("%d flows", len(outB.Flows))
	}
}

func TestNewerTemplateCounts(t *testing.T) {
	swapped := append([]spec(nil), tuple...)
	swapped[0], swapped[1] = swapped[1], swapped[0]
	old := run(Default(), v9().template(300, tuple...).datagram()).Facts
	young := run(Default(), after(v9().template(300, swapped...).datagram(), time.Second)).Facts
	for name, facts := range map[string][]*flowv1.ExporterFact{"in order": {old[0], young[0]}, "out of order": {young[0], old[0]}} {
		n, out := New(Default()), &Result{}
		tell(t, n, facts)
		n.Datagram(after(v9().set(300, tupleValues(1, 1)...).datagram(), time.Minute), out)
		if f := only(t, out); f.SrcAddr[3] != 2 {
			t.Errorf("%s: the older layout was used", name)
		}
	}
}

func TestLearntTemplatesExpire(t *testing.T) {
	n, out := New(Default()), &Result{}
	tell(t, n, run(Default(), ipfix().template(300, tuple...).datagram()).Facts)
	n.Datagram(after(ipfix().set(300, tupleValues(1, 1)...).datagram(), 31*time.Minute), out)
	if len(out.Flows) != 0 {
		t.Error("an expired template was used")
	}
	// The interval of the refreshes is told too.
	first, told := New(Default()), &Result{}
	first.Datagram(ipfix().template(300, tuple...).datagram(), told)
	first.Datagram(after(ipfix().template(300, tuple...).datagram(), time.Hour), told)
	told.Reset()
	first.Advance(nowNs+uint64(time.Hour), told)
	second := New(Default())
	tell(t, second, told.Facts)
	second.Datagram(after(ipfix().set(300, tupleValues(1, 1)...).datagram(), 3*time.Hour), out)
	only(t, out)
}

func TestRepublish(t *testing.T) {
	at := func(m time.Duration) uint64 { return nowNs + uint64(m*time.Minute) }
	options := v9().template(300, tuple...).
		optionsTemplate(400, 1, spec{scopeInterface, 4}, spec{ieSamplerID, 1}, spec{ieSamplerInterval, 2}).
		set(400, values(4, 3, 1, 9, 2, 500)...).
		optionsTemplate(401, 1, spec{scopeSystem, 4}, spec{ieExportedFlows, 4}).set(401, values(4, 1, 4, 77)...)
	n, out := New(Default()), &Result{}
	kinds := func(now uint64) string {
		n.Advance(now, out)
		var s []string
		for _, f := range out.Facts {
			s = append(s, strings.ToLower(strings.TrimPrefix(f.Kind.String(), "EXPORTER_FACT_KIND_")))
		}
		out.Reset()
		return strings.Join(s, " ")
	}
	f := func(now uint64, want string) {
		t.Helper()
		if got := kinds(now); got != want {
			t.Errorf("after %v: %q, want %q", time.Duration(now-nowNs), got, want)
		}
	}
	n.Datagram(options.datagram(), out)
	f(at(0), "template template sampler template statistics")
	f(at(4), "")
	f(at(5), "template template sampler template")
	f(at(9), "")
	// What another has told is not told again.
	heard := &Result{}
	New(Default()).Datagram(options.datagram(), heard)
	tell(t, n, heard.Facts[:1])
	f(at(10), "template sampler template")
	f(at(14), "template")
	f(at(30), "template template sampler template")
	// Templates that have expired are not told; what was said of the sampler is, for a day.
	f(at(36), "sampler")
	f(at(24*60), "sampler")
	f(at(24*60+6), "")
	f(at(26*60), "")
	if n.notices.used != 0 || len(n.noticeList) != 0 || n.templates != 0 {
		t.Errorf("%d notices in a list of %d, %d templates", n.notices.used, len(n.noticeList), n.templates)
	}
}

// TestToldAgainIsLearnt holds that what is told again says all that was said first.
func TestToldAgainIsLearnt(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{ieSamplerID, 1}, spec{ieStartUptime, 4}, spec{ieEndUptime, 4}, spec{ieApplicationID, 4}, spec{ieIngressInterface, 4})
	w := ipfix().template(300, specs...).
		optionsTemplate(400, 1, spec{ieObservationPoint, 4}, spec{ieSamplerID, 1}, spec{ieSamplerInterval, 2}).set(400, values(4, 1, 1, 9, 2, 500)...).
		optionsTemplate(401, 1, spec{ieIngressInterface, 4}, spec{ieFlowSelector, 2}, spec{ieSamplingInterval, 4}).set(401, values(4, 7, 2, 1, 4, 30)...).
		optionsTemplate(402, 1, spec{ieObservationPoint, 4}, spec{ieSystemInit, 8}).set(402, values(4, 1, 8, nowNs/nsPerMs-100_000)...).
		optionsTemplate(403, 1, spec{ieApplicationID, 4}, spec{ieApplicationName, 6}).set(403, append(values(4, 0x0d000050), "webex\x00"...)...).
		optionsTemplate(404, 1, spec{ieObservationPoint, 4}, spec{ieActiveTimeout, 2}, spec{ieIdleTimeout, 2}).set(404, values(4, 1, 2, 60, 2, 15)...)
	data := ipfix().
		set(300, append(tupleValues(1, 1), values(1, 9, 4, 50_000, 4, 60_000, 4, 0x0d000050, 4, 1)...)...).
		set(300, append(tupleValues(1, 1), values(1, 0, 4, 50_000, 4, 60_000, 4, 0, 4, 7)...)...).datagram()
	first, out := New(Default()), &Result{}
	first.Datagram(w.datagram(), out)
	out.Reset()
	first.Datagram(data, out)
	want := flowsOf(out, true)
	if f := out.Flows[0]; f.SamplingRate != 500 || f.Application != "webex" || f.TimeFlowStartNs != nowNs-50*nsPerS || f.ActiveTimeoutMs != 60_000 {
		t.Fatalf("%v", f)
	}
	if f := out.Flows[1]; f.SamplingRate != 30 || f.SamplingKind != flowv1.SamplingKind_SAMPLING_KIND_FLOW {
		t.Fatalf("%v", f)
	}
	for generation := range 3 { // each learns from what the one before tells again
		out.Reset()
		first.Advance(first.nowNs+uint64(5*time.Minute), out)
		if len(out.Facts) != 11 {
			t.Errorf("generation %d: %d facts", generation, len(out.Facts))
		}
		first = New(Default())
		tell(t, first, out.Facts)
		got := &Result{}
		first.Datagram(data, got)
		if d := cmp.Diff(strings.Split(flowsOf(got, true), "\n"), strings.Split(want, "\n")); d != "" {
			t.Errorf("generation %d (-got, +want)\n%s", generation, d)
		}
	}
}

func TestLearnNonsense(t *testing.T) {
	n, out := New(Default()), &Result{}
	template := flowv1.ExporterFactKind_EXPORTER_FACT_KIND_TEMPLATE
	for _, f := range []*flowv1.ExporterFact{
		{}, {SamplerAddress: []byte{1}}, {SamplerAddress: []byte{192, 0, 2, 1}},
		{SamplerAddress: []byte{192, 0, 2, 1}, Type: flowv1.FlowType_FLOW_TYPE_IPFIX, Kind: template},
		{SamplerAddress: []byte{192, 0, 2, 1}, Type: flowv1.FlowType_FLOW_TYPE_IPFIX, Kind: template, Template: []byte{1, 44, 0, 9, 0, 8, 0, 4}},
		{SamplerAddress: []byte{192, 0, 2, 1}, Type: flowv1.FlowType_FLOW_TYPE_IPFIX, Kind: template, Template: []byte{1, 44, 0, 0}},
		{SamplerAddress: []byte{192, 0, 2, 1}, Type: flowv1.FlowType_FLOW_TYPE_NETFLOW_V9, Kind: template, Template: []byte{0, 2, 0, 1, 0, 8, 0, 4}},
		{SamplerAddress: []byte{192, 0, 2, 1}, Type: flowv1.FlowType_FLOW_TYPE_NETFLOW_V9, Kind: template, Template: []byte{1, 44, 0, 1, 0, 8, 0, 0}},
	} {
		n.Learn(f)
	}
	n.Advance(nowNs, out)
	if n.templates != 0 || len(out.Facts) != 0 {
		t.Errorf("%d templates, facts %v", n.templates, out.Facts)
	}
}

// FuzzLearn holds that no fact upsets what is counted.
func FuzzLearn(f *testing.F) {
	for _, fact := range run(Default(), v9().template(300, tuple...).optionsTemplate(301, 1, spec{scopeSystem, 4}, spec{ieSamplingInterval, 4}).set(301, values(4, 1, 4, 100)...).datagram()).Facts {
		b, _ := proto.Marshal(fact)
		f.Add(b, true)
	}
	for _, payload := range capturedPayloads(f) {
		for _, fact := range run(Default(), Datagram{Exporter: exporterAddr, ReceivedNs: nowNs, Payload: payload}).Facts {
			b, _ := proto.Marshal(fact)
			f.Add(b, len(b)%2 == 0)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, before bool) {
		var fact flowv1.ExporterFact
		if proto.Unmarshal(b, &fact) != nil {
			return
		}
		n, out := New(Default()), &Result{}
		data := v9().set(300, tupleValues(1, 1)...).datagram()
		if before {
			n.Datagram(data, out)
		}
		n.Learn(&fact)
		n.Learn(&fact)
		n.Datagram(data, out)
		n.Advance(n.nowNs+uint64(time.Hour), out)
		n.End(out)
		if out.MissingTemplateSets != out.LateSets+out.ExpiredSets || n.waiting.bytes != 0 {
			t.Fatalf("%+v, %d bytes wait", waitsOf(out), n.waiting.bytes)
		}
		for _, g := range out.Facts {
			if _, err := proto.Marshal(g); err != nil {
				t.Fatal(err)
			}
		}
	})
}
