package normalize

import (
	"encoding/binary"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Lengths of NetFlow v5 in bytes.
const (
	v5Header = 24
	v5Record = 48
)

// v5Template describes the fixed record of NetFlow v5 as if it were a template
// of v9: the elements of v9 are named after its fields.
func v5Template() *template {
	t := &template{}
	for _, f := range []struct {
		element element
		length  uint16
	}{
		{ieSrcIPv4, 4}, {ieDstIPv4, 4}, {ieNextHop4, 4}, {ieIngressInterface, 2}, {ieEgressInterface, 2},
		{iePacketDelta, 4}, {ieOctetDelta, 4}, {ieStartUptime, 4}, {ieEndUptime, 4},
		{ieSrcPort, 2}, {ieDstPort, 2}, {iePadding, 1}, {ieTCPFlags, 1}, {ieProtocol, 1}, {ieClassOfService, 1},
		{ieSrcAS, 2}, {ieDstAS, 2}, {ieSrcPrefix4, 1}, {ieDstPrefix4, 1}, {iePadding, 2},
	} {
		t.fields = append(t.fields, field{element: f.element, length: f.length})
	}
	t.plan = compile(t, nil)
	return t
}

// netflow5 reads a NetFlow v5 datagram. The header's count is held against the
// datagram's length: the shorter of the two decides.
func (n *Normalizer) netflow5(m *message, b []byte, out *Result) {
	m.kind = flowv1.FlowType_FLOW_TYPE_NETFLOW_V5
	if len(b) < v5Header {
		m.fail("truncated_header")
		return
	}
	count := int(binary.BigEndian.Uint16(b[2:]))
	uptime := binary.BigEndian.Uint32(b[4:])
	seconds, nanos := binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:])
	m.sequence = binary.BigEndian.Uint32(b[16:])
	m.exportNs = exportTime(seconds, nanos)
	// Engine type and id: the line card that metered.
	engine := uint32(binary.BigEndian.Uint16(b[20:]))
	if !n.enter(m, domainKey{kind: m.kind, id: engine}) {
		return
	}
	if m.repeated(out) {
		return
	}
	n.setClock(m, nsPerMs, out)
	m.setUptime(uptime, 1)
	// The upper two bits are the mode, the rest is one in how many.
	m.headerSampling = oneIn(uint64(binary.BigEndian.Uint16(b[22:])&0x3fff), flowv1.SamplingKind_SAMPLING_KIND_PACKET)

	records := b[v5Header:]
	if fit := len(records) / v5Record; count > fit {
		m.fail("bad_count")
		count = fit
	}
	m.setEnd = m.end - len(records) + count*v5Record
	n.readFixed(m, n.v5, records[:count*v5Record], out)
	m.leave(out)
}
