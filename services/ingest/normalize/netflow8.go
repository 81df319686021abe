package normalize

import (
	"encoding/binary"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// v8Header is the length of NetFlow v8's header in bytes.
const v8Header = 28

// aggregation is one of v8's forms: what a router added up before it exported.
type aggregation struct {
	name     string
	template *template
}

// v8Field is a field of an aggregate, under the element's IANA name; those that are
// no information element have a name of their own.
type v8Field struct {
	element element
	length  uint16
	name    string
}

// v8Counts begin most aggregates.
var v8Counts = []v8Field{
	{ieFlowCount, 4, "deltaFlowCount"}, {iePacketDelta, 4, "packetDeltaCount"}, {ieOctetDelta, 4, "octetDeltaCount"},
	{ieStartUptime, 4, "flowStartSysUpTime"}, {ieEndUptime, 4, "flowEndSysUpTime"},
}

// Fields of aggregates.
var (
	v8SrcAS     = v8Field{ieSrcAS, 2, "bgpSourceAsNumber"}
	v8DstAS     = v8Field{ieDstAS, 2, "bgpDestinationAsNumber"}
	v8Input     = v8Field{ieIngressInterface, 2, "ingressInterface"}
	v8Output    = v8Field{ieEgressInterface, 2, "egressInterface"}
	v8SrcPort   = v8Field{ieSrcPort, 2, "sourceTransportPort"}
	v8DstPort   = v8Field{ieDstPort, 2, "destinationTransportPort"}
	v8SrcPrefix = v8Field{ieSrcIPv4Prefix, 4, "sourceIPv4Prefix"}
	v8DstPrefix = v8Field{ieDstIPv4Prefix, 4, "destinationIPv4Prefix"}
	v8SrcMask   = v8Field{ieSrcPrefix4, 1, "sourceIPv4PrefixLength"}
	v8DstMask   = v8Field{ieDstPrefix4, 1, "destinationIPv4PrefixLength"}
	v8Src       = v8Field{ieSrcIPv4, 4, "sourceIPv4Address"}
	v8Dst       = v8Field{ieDstIPv4, 4, "destinationIPv4Address"}
	v8Proto     = v8Field{ieProtocol, 1, "protocolIdentifier"}
	v8Tos       = v8Field{ieClassOfService, 1, "ipClassOfService"}
	v8MarkedTos = v8Field{iePostClassOfService, 1, "postIpClassOfService"}
	v8Pad1      = v8Field{iePadding, 1, "paddingOctets"}
	v8Pad2      = v8Field{iePadding, 2, "paddingOctets"}
	// The Catalyst's: packets beyond those counted, and the router it stands in for.
	v8Extra    = v8Field{0, 4, "extraPackets"}
	v8Bypassed = v8Field{0, 4, "bypassedRouterIPv4Address"}
)

// v8Packets are the counts of the Catalyst's aggregates, which come after the key.
var v8Packets = v8Counts[1:]

// v8Aggregations are the forms by the header's number of the scheme.
func v8Aggregations() []aggregation {
	form := func(name string, parts ...[]v8Field) aggregation { return aggregation{name, v8Template(parts...)} }
	f := func(fields ...v8Field) []v8Field { return fields }
	return []aggregation{
		{},
		form("AS", v8Counts, f(v8SrcAS, v8DstAS, v8Input, v8Output)),
		form("ProtocolPort", v8Counts, f(v8Proto, v8Pad1, v8Pad2, v8SrcPort, v8DstPort)),
		form("SourcePrefix", v8Counts, f(v8SrcPrefix, v8SrcMask, v8Pad1, v8SrcAS, v8Input, v8Pad2)),
		form("DestinationPrefix", v8Counts, f(v8DstPrefix, v8DstMask, v8Pad1, v8DstAS, v8Output, v8Pad2)),
		form("Prefix", v8Counts, f(v8SrcPrefix, v8DstPrefix, v8DstMask, v8SrcMask, v8Pad2, v8SrcAS, v8DstAS, v8Input, v8Output)),
		form("Destination", f(v8Dst), v8Packets, f(v8Output, v8Tos, v8MarkedTos, v8Extra, v8Bypassed)),
		form("SourceDestination", f(v8Dst, v8Src), v8Packets, f(v8Output, v8Input, v8Tos, v8MarkedTos, v8Pad2, v8Extra, v8Bypassed)),
		form("FullFlow", f(v8Dst, v8Src, v8DstPort, v8SrcPort), v8Packets, f(v8Output, v8Input, v8Tos, v8Proto, v8MarkedTos, v8Pad1, v8Extra, v8Bypassed)),
		form("ASToS", v8Counts, f(v8SrcAS, v8DstAS, v8Input, v8Output, v8Tos, v8Pad1, v8Pad2)),
		form("ProtocolPortToS", v8Counts, f(v8Proto, v8Tos, v8Pad2, v8SrcPort, v8DstPort, v8Input, v8Output)),
		form("SourcePrefixToS", v8Counts, f(v8SrcPrefix, v8SrcMask, v8Tos, v8SrcAS, v8Input, v8Pad2)),
		form("DestinationPrefixToS", v8Counts, f(v8DstPrefix, v8DstMask, v8Tos, v8DstAS, v8Output, v8Pad2)),
		form("PrefixToS", v8Counts, f(v8SrcPrefix, v8DstPrefix, v8DstMask, v8SrcMask, v8Tos, v8Pad1, v8SrcAS, v8DstAS, v8Input, v8Output)),
		form("PrefixPort", v8Counts, f(v8SrcPrefix, v8DstPrefix, v8DstMask, v8SrcMask, v8Tos, v8Proto, v8SrcPort, v8DstPort, v8Input, v8Output)),
	}
}

// v8Template describes an aggregate as if it were a template of v9.
func v8Template(parts ...[]v8Field) *template {
	t := &template{}
	for _, fields := range parts {
		for _, f := range fields {
			t.fields = append(t.fields, field{element: f.element, length: f.length, name: f.name, form: formOf(f.name)})
		}
	}
	t.plan = compile(t, nil)
	t.plan.labels = labels{} // the sum of many flows is none, even by a full key
	t.plan.event = flowv1.EventKind_EVENT_KIND_AGGREGATE
	return t
}

// netflow8 reads a NetFlow v8 datagram (cflowd and NetStream v8 are the same): the
// router added flows up, so there are no conversations in it. Each aggregate is an
// event.
func (n *Normalizer) netflow8(m *message, b []byte, out *Result) {
	if len(b) < v8Header {
		m.fail("truncated_header")
		return
	}
	count := int(binary.BigEndian.Uint16(b[2:]))
	uptime := binary.BigEndian.Uint32(b[4:])
	m.exportNs = exportTime(binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:]))
	m.sequence = binary.BigEndian.Uint32(b[16:])
	scheme := int(b[22])
	// Each scheme of an engine has its own count of flows.
	if !n.enter(m, domainKey{kind: m.kind, id: uint32(binary.BigEndian.Uint16(b[20:])), variety: b[22]}) {
		return
	}
	if m.repeated(out) {
		return
	}
	n.setClock(m, nsPerMs, out)
	m.setUptime(uptime, 1)
	if scheme == 0 || scheme >= len(n.v8) {
		m.fail("unknown_aggregation")
		return
	}
	a := &n.v8[scheme]
	records, size := b[v8Header:], a.template.plan.min
	if fit := len(records) / size; count > fit {
		m.fail("bad_count")
		count = fit
	}
	for ; count > 0; count-- {
		m.at(m.end - len(records))
		n.aggregate(m, a, records[:size], out)
		records = records[size:]
	}
	m.leave(out)
}

// aggregate makes an event of an aggregate, as of the last of its packets.
func (n *Normalizer) aggregate(m *message, a *aggregation, data []byte, out *Result) {
	m.records++
	out.DataRecords++
	out.Records.Event++
	n.event(m, a.template, data, nil, out)
	e := out.Events[len(out.Events)-1]
	setAttribute(&e.Attributes, "exportVersion", "8")
	setAttribute(&e.Attributes, "aggregation", a.name)
	last := &a.template.fields[a.template.plan.endField]
	e.TimeEventNs = m.corrected(m.uptimeNs(m.bootMs+int64(m.uptime), uint32(uintOf(data[last.offset:last.offset+int(last.length)]))))
}
