package normalize

import (
	"encoding/binary"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Lengths of NetFlow v5 and its like in bytes.
const (
	v1Header, v1Record = 16, 48
	// v1LongRecord is a record of v1 that four more unused bytes end.
	v1LongRecord       = v1Record + 4
	v5Header, v5Record = 24, 48
	v7Record           = v5Record + 4
)

// fixedFormats are the formats whose records are laid out once and for all, described as
// if by templates of v9: the elements of v9 are named after their fields (Cisco, NetFlow
// Services Solutions Guide, "NetFlow Export Datagram Formats").
type fixedFormats struct{ v1, v1Long, v5, v7 *template }

func newFixedFormats() fixedFormats {
	type fields = []templateField
	common := fields{
		{ieSrcIPv4, 4}, {ieDstIPv4, 4}, {ieNextHop4, 4}, {ieIngressInterface, 2}, {ieEgressInterface, 2},
		{iePacketDelta, 4}, {ieOctetDelta, 4}, {ieStartUptime, 4}, {ieEndUptime, 4}, {ieSrcPort, 2}, {ieDstPort, 2},
	}
	v1 := fields{{iePadding, 2}, {ieProtocol, 1}, {ieClassOfService, 1}, {ieTCPFlags, 1}, {iePadding, 7}}
	v5 := fields{
		{iePadding, 1}, {ieTCPFlags, 1}, {ieProtocol, 1}, {ieClassOfService, 1},
		{ieSrcAS, 2}, {ieDstAS, 2}, {ieSrcPrefix4, 1}, {ieDstPrefix4, 1}, {iePadding, 2},
	}
	bypassedRouter := fields{{iePadding, 4}}
	return fixedFormats{
		v1: fixedTemplate(common, v1), v1Long: fixedTemplate(common, v1, fields{{iePadding, 4}}),
		v5: fixedTemplate(common, v5), v7: fixedTemplate(common, v5, bypassedRouter),
	}
}

// templateField is a field of a fixed format.
type templateField struct {
	element element
	length  uint16
}

func fixedTemplate(parts ...[]templateField) *template {
	t := &template{}
	for _, fields := range parts {
		for _, f := range fields {
			t.fields = append(t.fields, field{element: f.element, length: f.length})
		}
	}
	t.plan = compile(t, nil)
	return t
}

// netflow5 reads a datagram of NetFlow v5; of v1, its forerunner, which has neither a
// sequence nor an engine; or of v7, which Catalyst switches send. The header's count is
// held against the datagram's length: the shorter of the two decides.
func (n *Normalizer) netflow5(m *message, b []byte, out *Result) {
	m.kind = flowv1.FlowType_FLOW_TYPE_NETFLOW_V5
	version, header := binary.BigEndian.Uint16(b), v5Header
	if version == 1 {
		header = v1Header
	}
	if len(b) < header {
		m.fail("truncated_header")
		return
	}
	count, records := int(binary.BigEndian.Uint16(b[2:])), b[header:]
	uptime := binary.BigEndian.Uint32(b[4:])
	m.exportNs = exportTime(binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:]))
	key, format := domainKey{kind: m.kind}, n.fixed.v5
	switch version {
	case 1:
		key.variety, format = 1, n.fixed.v1
		if len(records) == count*v1LongRecord {
			format = n.fixed.v1Long
		}
	case 5: // engine type and id: the line card that metered
		m.sequence, key.id = binary.BigEndian.Uint32(b[16:]), uint32(binary.BigEndian.Uint16(b[20:]))
		// The upper two bits are the mode, the rest is one in how many.
		m.headerSampling = oneIn(uint64(binary.BigEndian.Uint16(b[22:])&0x3fff), flowv1.SamplingKind_SAMPLING_KIND_PACKET)
	case 7:
		m.sequence, key.variety, format = binary.BigEndian.Uint32(b[16:]), 7, n.fixed.v7
	}
	if !n.enter(m, key) {
		return
	}
	if m.repeated(out) {
		return
	}
	n.setClock(m, nsPerMs, out)
	m.setUptime(uptime, 1)

	size := format.plan.min
	if fit := len(records) / size; count > fit {
		m.fail("bad_count")
		count = fit
	}
	m.setEnd = m.end - len(records) + count*size
	n.readFixed(m, format, records[:count*size], out)
	m.leave(out)
}
