package normalize

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

var exporterAddr = netip.MustParseAddr("192.0.2.1")

// nowNs is when test datagrams are received: 2023-11-14T22:13:20Z.
const nowNs = 1_700_000_000 * nsPerS

// spec is a field of a test's template: an element, and its length.
type spec struct {
	e      element
	length uint16
}

// writer writes export messages.
type writer struct {
	version  uint16
	uptime   uint32
	seconds  uint32
	sequence uint32
	domain   uint32
	sets     []byte
}

func (w *writer) set(id uint16, body ...byte) *writer {
	w.sets = binary.BigEndian.AppendUint16(w.sets, id)
	w.sets = binary.BigEndian.AppendUint16(w.sets, uint16(4+len(body)))
	w.sets = append(w.sets, body...)
	return w
}

func appendSpecs(b []byte, specs []spec) []byte {
	for _, s := range specs {
		id := s.e.id()
		if s.e.pen() != 0 {
			id |= 0x8000
		}
		b = binary.BigEndian.AppendUint16(b, id)
		b = binary.BigEndian.AppendUint16(b, s.length)
		if s.e.pen() != 0 {
			b = binary.BigEndian.AppendUint32(b, s.e.pen())
		}
	}
	return b
}

func (w *writer) template(id uint16, specs ...spec) *writer {
	b := binary.BigEndian.AppendUint16(nil, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(specs)))
	set := uint16(2)
	if w.version == 9 {
		set = 0
	}
	return w.set(set, appendSpecs(b, specs)...)
}

func (w *writer) optionsTemplate(id uint16, scopes int, specs ...spec) *writer {
	b := binary.BigEndian.AppendUint16(nil, id)
	if w.version == 9 {
		b = binary.BigEndian.AppendUint16(b, uint16(4*scopes))
		b = binary.BigEndian.AppendUint16(b, uint16(4*(len(specs)-scopes)))
		return w.set(1, appendSpecs(b, specs)...)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(specs)))
	b = binary.BigEndian.AppendUint16(b, uint16(scopes))
	return w.set(3, appendSpecs(b, specs)...)
}

func (w *writer) datagram() Datagram {
	b := binary.BigEndian.AppendUint16(nil, w.version)
	if w.seconds == 0 {
		w.seconds = nowNs / nsPerS
	}
	if w.version == 9 {
		b = binary.BigEndian.AppendUint16(b, 1)
		b = binary.BigEndian.AppendUint32(b, w.uptime)
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(ipfixHeader+len(w.sets)))
	}
	b = binary.BigEndian.AppendUint32(b, w.seconds)
	b = binary.BigEndian.AppendUint32(b, w.sequence)
	b = binary.BigEndian.AppendUint32(b, w.domain)
	return Datagram{Exporter: exporterAddr, Port: 2055, ReceivedNs: nowNs, Payload: append(b, w.sets...)}
}

func v9() *writer    { return &writer{version: 9, uptime: 4_000_000} }
func ipfix() *writer { return &writer{version: 10} }

// values joins numbers of the given lengths, as in values(4, 0x0a000001, 2, 80).
func values(lengthsAndNumbers ...uint64) []byte {
	var out []byte
	for i := 0; i < len(lengthsAndNumbers); i += 2 {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], lengthsAndNumbers[i+1])
		out = append(out, b[8-lengthsAndNumbers[i]:]...)
	}
	return out
}

// tuple is a key and volume: what makes a record a flow.
var tuple = []spec{{ieSrcIPv4, 4}, {ieDstIPv4, 4}, {ieSrcPort, 2}, {ieDstPort, 2}, {ieProtocol, 1}, {ieOctetDelta, 4}, {iePacketDelta, 4}}

func tupleValues(octets, packets uint64) []byte {
	return values(4, 0x0a000001, 4, 0x0a000002, 2, 1234, 2, 80, 1, 6, 4, octets, 4, packets)
}

func run(cfg Config, in ...Datagram) *Result { return normalized(cfg, in) }

// only is the single flow of a result.
func only(t *testing.T, out *Result) *flowv1.Flow {
	t.Helper()
	if len(out.Flows) != 1 {
		t.Fatalf("%d flows, want 1 (dead: %v)", len(out.Flows), out.Dead)
	}
	return out.Flows[0]
}

func TestUnknownTemplateLosesNoOtherSet(t *testing.T) {
	out := run(Default(), v9().template(300, tuple...).set(999, 1, 2, 3, 4).set(300, tupleValues(100, 2)...).datagram())
	f := only(t, out)
	if f.Bytes != 100 || out.MissingTemplateSets != 1 || out.BadDatagrams != 0 {
		t.Errorf("flow %v, %d sets without template, %d bad", f, out.MissingTemplateSets, out.BadDatagrams)
	}
}

func TestTemplatesDoNotDependOnThePort(t *testing.T) {
	data := v9().set(300, tupleValues(100, 2)...).datagram()
	data.Port++
	only(t, run(Default(), v9().template(300, tuple...).datagram(), data))
}

func TestTemplatesBelongToTheirDomain(t *testing.T) {
	data := v9()
	data.domain = 5
	out := run(Default(), v9().template(300, tuple...).datagram(), data.set(300, tupleValues(1, 1)...).datagram())
	if out.MissingTemplateSets != 1 || len(out.Flows) != 0 {
		t.Errorf("a template of one domain was used for another")
	}
}

func TestWithdrawalsAreIgnored(t *testing.T) {
	out := run(Default(),
		ipfix().template(300, tuple...).datagram(),
		ipfix().template(300).set(3, 1, 45, 0, 0).set(300, tupleValues(100, 2)...).datagram())
	only(t, out)
	if out.BadDatagrams != 0 {
		t.Errorf("%d bad datagrams: %v", out.BadDatagrams, out.Dead)
	}
}

func TestTemplatesOfLengthZeroAreRefused(t *testing.T) {
	for _, w := range []*writer{
		v9().template(300, spec{ieSrcIPv4, 0}).set(300, 1, 2, 3, 4),
		ipfix().template(300).set(300, 1, 2, 3, 4),
		ipfix().optionsTemplate(300, 1, spec{ieFlowID, 0}).set(300, 1, 2, 3, 4),
	} {
		out := run(Default(), w.datagram())
		if out.MissingTemplateSets != 1 || out.DataRecords+out.OptionsRecords != 0 || out.BadDatagrams != 0 {
			t.Errorf("%+v", out)
		}
	}
}

func TestReusedTemplateID(t *testing.T) {
	swapped := append([]spec(nil), tuple...)
	swapped[0], swapped[1] = swapped[1], swapped[0]
	out := run(Default(),
		v9().template(300, tuple...).set(300, tupleValues(1, 1)...).datagram(),
		v9().template(300, swapped...).set(300, tupleValues(1, 1)...).datagram())
	if len(out.Flows) != 2 || !bytes.Equal(out.Flows[0].SrcAddr, out.Flows[1].DstAddr) {
		t.Errorf("the second layout was not used: %v", out.Flows)
	}
	if len(out.Facts) != 2 {
		t.Errorf("%d template facts, want 2", len(out.Facts))
	}
	again := run(Default(), v9().template(300, tuple...).datagram(), v9().template(300, tuple...).datagram())
	if len(again.Facts) != 1 {
		t.Errorf("an unchanged template made %d facts, want 1", len(again.Facts))
	}
}

func TestReducedSizes(t *testing.T) {
	specs := append([]spec(nil), tuple[:5]...)
	specs = append(specs, spec{ieOctetDelta, 3}, spec{iePacketDelta, 5})
	body := append(tupleValues(0, 0)[:13], values(3, 0x010203, 5, 0x0102030405)...)
	f := only(t, run(Default(), ipfix().template(300, specs...).set(300, body...).datagram()))
	if f.Bytes != 0x010203 || f.Packets != 0x0102030405 {
		t.Errorf("bytes %x packets %x", f.Bytes, f.Packets)
	}
}

func TestVariableLength(t *testing.T) {
	specs := append([]spec{{ieApplicationName, variable}}, tuple...)
	long := bytes.Repeat([]byte("x"), 300)
	body := append([]byte{4}, "http"...)
	body = append(body, tupleValues(10, 1)...)
	body = append(body, 255, 1, 44)
	body = append(body, long...)
	body = append(body, tupleValues(20, 1)...)
	out := run(Default(), ipfix().template(300, specs...).set(300, body...).datagram())
	if len(out.Flows) != 2 || out.Flows[0].Application != "http" || out.Flows[1].Application != string(long) || out.Flows[1].Bytes != 20 {
		t.Errorf("%v", out.Flows)
	}
	// A length that goes beyond the set is a dead record.
	out = run(Default(), ipfix().template(300, specs...).set(300, append([]byte{200}, tupleValues(1, 1)...)...).datagram())
	if out.Records.Dead != 1 || out.DataRecords != 1 || len(out.Dead) != 1 || out.Dead[0].Reason != "bad_field_length" {
		t.Errorf("%+v %v", out.Records, out.Dead)
	}
}

func TestSeveralMessagesInADatagram(t *testing.T) {
	d := ipfix().template(300, tuple...).set(300, tupleValues(1, 1)...).datagram()
	d.Payload = append(d.Payload, ipfix().set(300, tupleValues(2, 1)...).datagram().Payload...)
	out := run(Default(), d)
	if len(out.Flows) != 2 || out.BadDatagrams != 0 || out.Flows[0].RecordId == out.Flows[1].RecordId {
		t.Errorf("%v", out.Flows)
	}
}

func TestBadInput(t *testing.T) {
	f := func(payload []byte, reason string, flows int) {
		t.Helper()
		out := run(Default(), v9().template(300, tuple...).datagram(), Datagram{Exporter: exporterAddr, ReceivedNs: nowNs, Payload: payload})
		if out.BadDatagrams != 1 || len(out.Dead) != 1 || out.Dead[0].Reason != reason || len(out.Flows) != flows {
			t.Errorf("%s: %d bad, dead %v, %d flows, want %d", reason, out.BadDatagrams, out.Dead, len(out.Flows), flows)
		}
		if len(out.Dead) == 1 && !bytes.Equal(out.Dead[0].Bytes, payload) {
			t.Errorf("%s: the dead letter is not what came", reason)
		}
	}
	good := v9().set(300, tupleValues(1, 1)...).datagram().Payload
	f(nil, "truncated_header", 0)
	f([]byte{0, 9, 0, 1, 0}, "truncated_header", 0)
	f([]byte{0, 6, 0, 1, 0}, "unknown_version", 0)
	f(append(append([]byte(nil), good...), 1, 44, 0, 3, 9, 9), "bad_set_length", 1)
	f(append(append([]byte(nil), good...), 1, 44, 1, 0, 9, 9), "truncated_set", 1)
	f(append(append([]byte(nil), good...), 0, 200, 0, 8, 1, 1, 1, 1), "reserved_set_id", 1)
	f(v9().set(0, 1, 44, 0, 9, 0, 8).datagram().Payload, "bad_template_set", 0)
	f(values(2, 10, 2, 9, 4, 0, 4, 0, 4, 0), "bad_message_length", 0)
	f(values(2, 10, 2, 99, 4, 0, 4, 0, 4, 0), "truncated_message", 0)
	f(values(4, 5, 4, 7, 4, 0, 4, 0, 4, 0), "bad_agent_address", 0)
	f(values(2, 5, 2, 1, 4, 0, 4, 0), "truncated_header", 0)
}

func TestPaddingIsNoFault(t *testing.T) {
	d := v9().template(300, tuple...).set(300, append(tupleValues(1, 1), 0, 0, 0)...).datagram()
	d.Payload = append(d.Payload, make([]byte, 40)...)
	out := run(Default(), d)
	if only(t, out); out.BadDatagrams != 0 {
		t.Errorf("padding is %v", out.Dead)
	}
}

func TestTemplateBounds(t *testing.T) {
	cfg := Default()
	cfg.MaxExporterTemplates, cfg.MaxDomains, cfg.MaxExporters, cfg.MaxFields = 2, 1, 1, 8
	w := v9()
	for id := uint16(300); id < 310; id++ {
		w.template(id, tuple...)
	}
	n, out := New(cfg), &Result{}
	n.Datagram(w.datagram(), out)
	n.Datagram(v9().template(300, append(append([]spec(nil), tuple...), tuple...)...).datagram(), out)
	if n.templates != 2 || out.RefusedTemplates != 9 {
		t.Errorf("%d templates kept, %d refused", n.templates, out.RefusedTemplates)
	}
	other := v9()
	other.domain = 9
	n.Datagram(other.datagram(), out)
	stranger := v9().datagram()
	stranger.Exporter = netip.MustParseAddr("2001:db8::1")
	n.Datagram(stranger, out)
	if len(out.Dead) != 2 || out.Dead[0].Reason != "too_many_domains" || out.Dead[1].Reason != "too_many_exporters" {
		t.Errorf("%v", out.Dead)
	}
	// After an hour of silence there is room for another.
	stranger.ReceivedNs += silentNs
	n.Datagram(stranger, out)
	if len(out.Dead) != 2 || n.templates != 0 {
		t.Errorf("the silent exporter was not forgotten: %d templates", n.templates)
	}
}

func TestResultOwnsItsMemory(t *testing.T) {
	d := v9().template(300, tuple...).set(300, tupleValues(100, 2)...).datagram()
	out := run(Default(), d)
	want := renderResult(out)
	for i := range d.Payload {
		d.Payload[i] = 0xff
	}
	if diff := cmp.Diff(string(renderResult(out)), string(want)); diff != "" {
		t.Errorf("the result changes with the payload (-got, +want)\n%s", diff)
	}
}

func TestSameInputSameOutput(t *testing.T) {
	needShared(t)
	paths, _ := filepath.Glob(filepath.Join(shared, "captures", "*.pcap"))
	var all []Datagram
	for _, p := range paths {
		all = append(all, datagrams(t, p)...)
	}
	want := renderResult(normalized(Default(), all))
	// Results that are reset after each datagram hold the same.
	n, out := New(Default()), &Result{}
	var flows, events []byte
	for _, d := range all {
		n.Datagram(d, out)
		for _, line := range bytes.SplitAfter(renderResult(out), []byte("\n")) {
			switch {
			case bytes.HasPrefix(line, []byte(`{"flow"`)):
				flows = append(flows, line...)
			case bytes.HasPrefix(line, []byte(`{"event"`)):
				events = append(events, line...)
			}
		}
		out.Reset()
	}
	if !bytes.HasPrefix(want, append(flows, events...)) {
		t.Error("a result that is reset holds something else than one that grows")
	}
}

func TestAllocations(t *testing.T) {
	for _, encode := range []bool{false, true} {
		allocations(t, encode)
	}
}

func allocations(t *testing.T, encode bool) {
	n, out := New(Default()), &Result{Encode: encode}
	warm := Datagram{Exporter: exporterAddr, ReceivedNs: nowNs, Payload: v9Datagram(1, 0, true)}
	d := Datagram{Exporter: exporterAddr, ReceivedNs: nowNs, Payload: v9Datagram(2, 0, false)}
	n.Datagram(warm, out)
	n.Datagram(d, out)
	number := uint32(2)
	again := func() {
		out.Reset()
		number++
		n.Datagram(numbered(d, number), out)
		if n := len(out.Flows) + len(out.Encoded); n != 24 {
			t.Fatalf("%d flows", n)
		}
	}
	for range 2 * maxRemembered {
		again() // until all that grows has grown
	}
	if got := testing.AllocsPerRun(100, again); got != 0 {
		t.Errorf("%.1f allocations per datagram of 24 records, want none", got)
	}
}
