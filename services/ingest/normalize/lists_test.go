package normalize

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// long is a value of variable length.
func long(b ...byte) []byte {
	return append([]byte{255, byte(len(b) >> 8), byte(len(b))}, b...)
}

func joined(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// yafTCP is the template of YAF's TCP information.
var yafTCP = []spec{{184, 4}, {ieCERTInitialFlags, 1}, {ieCERTUnionFlags, 1}, {ieCERTReverseInitial, 1}, {ieCERTReverseUnion, 1}}

func TestFlagsInAList(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{reverse(ieOctetDelta), 4}, spec{reverse(iePacketDelta), 4}, spec{ieSubTemplateMultiList, variable})
	tcp := values(4, 1, 1, 0x02, 1, 0x1a, 1, 0x12, 1, 0x1b)
	list := joined([]byte{3}, values(2, 999, 2, 6, 2, 7), values(2, 301, 2, uint64(4+len(tcp))), tcp)
	body := joined(tupleValues(100, 2), values(4, 50, 4, 1), long(list...))
	out := run(Default(), ipfix().template(301, yafTCP...).template(300, specs...).set(300, body...).datagram())
	if len(out.Flows) != 2 {
		t.Fatalf("%d flows: %v", len(out.Flows), out.Dead)
	}
	for i, want := range [][2]uint32{{0x02, 0x1a}, {0x12, 0x1b}} {
		f := out.Flows[i]
		if got := [2]uint32{f.InitialTcpFlags, f.TcpFlags}; got != [2]uint32{want[0], want[0] | want[1]} || f.Bytes != uint64(100-50*i) {
			t.Errorf("flow %d: flags %#x, %d bytes, want %#x", i, got, f.Bytes, want)
		}
	}
}

// A list adds to a flow, but changes neither its key nor its volume nor its times.
func TestListsOnlyDecorate(t *testing.T) {
	inner := append(append([]spec(nil), tuple...), spec{ieStartMillis, 8}, spec{ieEndMillis, 8}, spec{ieSrcMAC, 6})
	innerBody := joined(values(4, 0x01010101, 4, 0x02020202, 2, 1, 2, 2, 1, 17, 4, 9999, 4, 99, 8, 1, 8, 2, 6, 0x010203040506))
	specs := append(append([]spec(nil), tuple...), spec{ieStartMillis, 8}, spec{ieEndMillis, 8}, spec{ieSubTemplateList, variable})
	outer := append(tupleValues(100, 2), values(8, nowNs/nsPerMs-5, 8, nowNs/nsPerMs)...)
	with := joined(outer, long(joined([]byte{255}, values(2, 301), innerBody, innerBody)...))
	without := joined(outer, []byte{0})
	flowWith := func(body []byte) *flowv1.Flow {
		return only(t, run(Default(), ipfix().template(301, inner...).template(300, specs...).set(300, body...).datagram()))
	}
	got, want := flowWith(with), flowWith(without)
	if got.SrcMac != 0x010203040506 {
		t.Errorf("MAC %x", got.SrcMac)
	}
	got.SrcMac, got.RecordId = 0, want.RecordId
	if d := cmp.Diff(renderMessage(got), renderMessage(want)); d != "" {
		t.Errorf("(-with the list, +without)\n%s", d)
	}
}

func TestBasicLists(t *testing.T) {
	specs := append(append([]spec(nil), tuple...), spec{ieBGPDestinationCommunities, variable}, spec{ieBasicList, variable})
	body := joined(tupleValues(1, 1),
		long(joined([]byte{3}, values(2, uint64(ieBGPCommunity), 2, 4, 4, 64500<<16|1, 4, 64500<<16|2))...),
		long(joined([]byte{3}, values(2, uint64(ieEgressInterface), 2, 4, 4, 7, 4, 8))...))
	f := only(t, run(Default(), ipfix().template(300, specs...).set(300, body...).datagram()))
	if d := cmp.Diff(f.BgpCommunities, []uint32{64500<<16 | 1, 64500<<16 | 2}); d != "" || f.OutIf != 7 {
		t.Errorf("interface %d, communities (-got, +want)\n%s", f.OutIf, d)
	}
}

func TestListsOfEvents(t *testing.T) {
	attributes := func(list []byte, e element, more ...spec) map[string]string {
		t.Helper()
		w := ipfix().template(301, append([]spec{{ieVLAN, 2}, {ieUserName, variable}}, more...)...).
			template(302, spec{ieSubTemplateList, variable}).
			template(300, spec{ieFlowEndReason, 1}, spec{e, variable})
		out := run(Default(), w.set(300, joined([]byte{1}, long(list...))...).datagram())
		if len(out.Events) != 1 {
			t.Fatalf("%+v %v", out.Records, out.Dead)
		}
		a := out.Events[0].Attributes
		delete(a, "flowEndReason")
		return a
	}
	f := func(name string, got, want map[string]string) {
		t.Helper()
		if d := cmp.Diff(got, want); d != "" {
			t.Errorf("%s (-got, +want)\n%s", name, d)
		}
	}
	two := joined(values(2, 301), []byte{0, 5, 3}, []byte("bob"), []byte{0, 6, 3}, []byte("eve"))
	want := map[string]string{"vlanId": "5", "userName": "bob", "vlanId.2": "6", "userName.2": "eve"}
	f("records of variable length", attributes(joined([]byte{3}, two), ieSubTemplateList), want)
	f("a list in a list", attributes(joined([]byte{3}, values(2, 302), long(joined([]byte{3}, two)...)), ieSubTemplateList), want)
	f("values", attributes(joined([]byte{3}, values(2, uint64(ieSrcIPv4), 2, 4, 4, 0x0a000001, 4, 0x0a000002)), ieBasicList),
		map[string]string{"sourceIPv4Address": "10.0.0.1,10.0.0.2"})
	f("values of variable length", attributes(joined([]byte{3}, values(2, uint64(ieUserName), 2, variable), []byte{1, 'a', 2, 'b', 'c'}), ieBasicList),
		map[string]string{"userName": "a,bc"})
	f("enterprise values", attributes(joined([]byte{3}, values(2, 0x8000|14, 2, 1, 4, penCERT, 1, 2)), ieBasicList),
		map[string]string{"initialTCPFlags": "2"})
	f("empty", attributes([]byte{255}, ieBasicList), map[string]string{"basicList": "ff"})
	// What cannot be read is kept as it came.
	f("unknown template", attributes(joined([]byte{3}, values(2, 999, 4, 1)), ieSubTemplateList), map[string]string{"subTemplateList": "0303e700000001"})
	f("values cut short", attributes(joined([]byte{3}, values(2, uint64(ieSrcIPv4), 2, 4, 4, 0x0a000001, 4, 0x0a000002, 2, 1)), ieBasicList),
		map[string]string{"sourceIPv4Address": "10.0.0.1,10.0.0.2", "basicList": "03000800040a0000010a0000020001"})
	f("values of no length", attributes(joined([]byte{3}, values(2, uint64(ieSrcIPv4), 2, 0, 4, 1, 4, 1)), ieBasicList),
		map[string]string{"basicList": "03000800000000000100000001"})
	f("a length of records that is none", attributes(joined([]byte{3}, values(2, 301, 2, 1, 4, 0)), ieSubTemplateMultiList),
		map[string]string{"subTemplateMultiList": "03012d000100000000"})
}

func TestListsAreBounded(t *testing.T) {
	w := ipfix().template(301, spec{ieVLAN, 1}).template(300, spec{ieSubTemplateList, variable})
	list := joined([]byte{3}, values(2, 301), bytes.Repeat([]byte{1}, 10_000))
	out := run(Default(), w.set(300, long(list...)...).datagram())
	a := out.Events[0].Attributes
	if len(a) != maxListAttributes+1 || len(a["subTemplateList"]) != 2*len(list) {
		t.Errorf("%d attributes, the list as %d digits", len(a), len(a["subTemplateList"]))
	}
	// Lists in lists, deeper than one would.
	inner := []byte{3, 1, 44}
	for range 20 {
		inner = joined([]byte{3, 1, 44}, long(inner...))
	}
	out = run(Default(), ipfix().template(300, spec{ieSubTemplateList, variable}).set(300, long(inner...)...).datagram())
	if len(out.Events) != 1 || !strings.HasPrefix(out.Events[0].Attributes["subTemplateList"], "03012cff") {
		t.Errorf("%v", out.Events)
	}
}

func TestRepeatedElementsHaveNumbers(t *testing.T) {
	specs := []spec{{ieVLAN, 2}, {ieSrcMAC, 6}, {ieVLAN, 2}, {ieVLAN, 2}}
	out := run(Default(), ipfix().template(300, specs...).set(300, values(2, 5, 6, 1, 2, 6, 2, 7)...).datagram())
	a := out.Events[0].Attributes
	if a["vlanId"] != "5" || a["vlanId.2"] != "6" || a["vlanId.3"] != "7" {
		t.Errorf("%v", a)
	}
}

func TestTypeInformation(t *testing.T) {
	const pen = 99999
	e := func(id uint16) element { return elementOf(pen, id) }
	describe := func(w *writer, id, dataType uint64, name string) *writer {
		return w.set(400, joined(values(4, pen, 2, id, 1, dataType), []byte{byte(len(name))}, []byte(name))...)
	}
	options := ipfix().optionsTemplate(400, 2, spec{ieEnterprise, 4}, spec{ieElementID, 2}, spec{ieElementDataType, 1}, spec{ieElementName, variable})
	describe(options, 1, 13, "sensorLabel")
	describe(options, 2, 6, "signalStrength")
	describe(options, 3, 18, "gateway")
	describe(options, 4, 11, "encrypted")
	describe(options, 5, 10, "loss")
	describe(options, 6, 0, "token")
	template := ipfix().template(300, spec{ieFlowEndReason, 1}, spec{e(1), 4}, spec{e(2), 2}, spec{e(3), 4}, spec{e(4), 1}, spec{e(5), 8}, spec{e(6), 2}, spec{e(6), 2}, spec{e(7), 1})
	data := ipfix().set(300, joined([]byte{1}, []byte("ab\x00\x00"), values(2, 0xffb0, 4, 0x0a000001, 1, 1, 8, 0x3fe0000000000000, 2, 0xbeef, 2, 0xcafe, 1, 9))...)
	want := map[string]string{
		"flowEndReason": "1", "sensorLabel": "ab", "signalStrength": "-80", "gateway": "10.0.0.1", "encrypted": "true",
		"loss": "0.5", "token": "beef", "token.2": "cafe", "element99999/7": "9",
	}
	told := run(Default(), options.datagram())
	for name, in := range map[string][]Datagram{
		"before the template": {options.datagram(), template.datagram(), data.datagram()},
		"after the template":  {template.datagram(), options.datagram(), data.datagram()},
	} {
		out := run(Default(), in...)
		if d := cmp.Diff(out.Events[0].Attributes, want); d != "" {
			t.Errorf("%s (-got, +want)\n%s", name, d)
		}
	}
	n, out := New(Default()), &Result{}
	tell(t, n, told.Facts)
	n.Datagram(template.datagram(), out)
	n.Datagram(data.datagram(), out)
	if d := cmp.Diff(out.Events[0].Attributes, want); d != "" {
		t.Errorf("told by others (-got, +want)\n%s", d)
	}
	// What we know stays as we know it.
	known := ipfix().optionsTemplate(400, 2, spec{ieEnterprise, 4}, spec{ieElementID, 2}, spec{ieElementDataType, 1}, spec{ieElementName, variable})
	known.set(400, joined(values(4, penCERT, 2, 14, 1, 13), []byte{3}, []byte("bad"))...)
	known.set(400, joined(values(4, 0, 2, 58, 1, 13), []byte{3}, []byte("bad"))...)
	out = run(Default(), known.datagram(), ipfix().template(300, spec{ieVLAN, 2}, spec{ieCERTInitialFlags, 1}).set(300, values(2, 5, 1, 2)...).datagram())
	if a := out.Events[0].Attributes; a["vlanId"] != "5" || a["initialTCPFlags"] != "2" {
		t.Errorf("%v", a)
	}
}

// TestNamesAreTakenWhenUsed: a name that an exporter tells costs nothing until a record
// has the element, however many templates there are and however often it is told.
func TestNamesAreTakenWhenUsed(t *testing.T) {
	n, out := New(Default()), &Result{}
	el := elementOf(9999, 7)
	for id := uint16(300); id < 310; id++ {
		n.Datagram(ipfix().template(id, spec{ieSrcMAC, 6}, spec{el, 4}, spec{el, 4}).datagram(), out)
	}
	options := func() *writer {
		return ipfix().optionsTemplate(400, 2, spec{ieEnterprise, 4}, spec{ieElementID, 2}, spec{ieElementName, variable})
	}
	for i := range 100 {
		name := "level" + itoa(i)
		n.Datagram(after(options().set(400, joined(values(4, 9999, 2, 7, 1, uint64(len(name))), []byte(name))...).datagram(), time.Duration(i)*time.Second), out)
	}
	d := n.exporters[exporterAddr].lastDomain
	for id, tm := range d.templates {
		if id != 400 && tm.fields[1].name != "element9999/7" {
			t.Errorf("template %d has %q before it was used", id, tm.fields[1].name)
		}
	}
	out.Reset()
	n.Datagram(after(ipfix().set(305, values(6, 0x0200_0000_0001, 4, 5, 4, 6)...).datagram(), 2*time.Minute), out)
	if a := out.Events[0].Attributes; a["level99"] != "5" || a["level99.2"] != "6" {
		t.Errorf("%v", a)
	}
}
