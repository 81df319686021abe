package normalize

import (
	"encoding/binary"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Lengths of headers in bytes.
const (
	v9Header    = 20
	ipfixHeader = 16
	setHeader   = 4
)

// netflow9 reads a NetFlow v9 message (RFC 3954). Its sets are read as far as
// the datagram goes: the header's count of records is too small with some exporters.
func (n *Normalizer) netflow9(m *message, b []byte, out *Result) {
	m.kind = flowv1.FlowType_FLOW_TYPE_NETFLOW_V9
	if len(b) < v9Header {
		m.fail("truncated_header")
		return
	}
	uptime := binary.BigEndian.Uint32(b[4:])
	seconds := binary.BigEndian.Uint32(b[8:])
	m.sequence = binary.BigEndian.Uint32(b[12:])
	m.exportNs = exportTime(seconds, 0)
	m.header = b[:v9Header]
	if !n.enter(m, domainKey{kind: m.kind, id: binary.BigEndian.Uint32(b[16:])}) {
		return
	}
	if m.repeated(out) {
		return
	}
	n.setClock(m, nsPerS, out)
	if m.dom.uptimeUnit.observe(uptime, m.exportMs()) {
		m.exp.uptimeSeconds = true
	}
	m.setUptime(uptime, 1000)
	n.sets(m, b[v9Header:], out)
	m.leave(out)
}

// exportTime is a header's time of day. Exporters that have no clock leave it zero.
func exportTime(seconds, nanos uint32) uint64 {
	if seconds == 0 {
		return 0
	}
	return uint64(seconds)*nsPerS + uint64(nanos)
}

// setUptime takes in the header's uptime, beside its time of day, which was cut to
// multiples of resolutionMs.
func (m *message) setUptime(uptime uint32, resolutionMs int64) {
	if m.exp.uptimeSeconds {
		uptime *= 1000
	}
	m.hasUptime, m.uptime = true, uptime
	m.bootMs = m.dom.boot.observe(m.exportMs(), int64(uptime), resolutionMs)
}

// ipfix reads the IPFIX messages of a datagram (RFC 7011 §3.1).
func (n *Normalizer) ipfix(m *message, b []byte, out *Result) {
	m.kind = flowv1.FlowType_FLOW_TYPE_IPFIX
	whole := len(b)
	for first := true; len(b) > 0 && !zero(b); {
		if len(b) < ipfixHeader {
			m.fail("truncated_header")
			return
		}
		if binary.BigEndian.Uint16(b) != 10 {
			m.fail("bad_message_length")
			return
		}
		length := int(binary.BigEndian.Uint16(b[2:]))
		if length < ipfixHeader {
			m.fail("bad_message_length")
			return
		}
		if length > len(b) {
			m.fail("truncated_message")
			length = len(b)
		}
		m.end = whole - len(b) + length
		m.at(m.end - length)
		m.exportNs = exportTime(binary.BigEndian.Uint32(b[4:]), 0)
		m.sequence = binary.BigEndian.Uint32(b[8:])
		m.header = b[:ipfixHeader]
		if !n.enter(m, domainKey{kind: m.kind, id: binary.BigEndian.Uint32(b[12:])}) {
			return
		}
		if first && m.repeated(out) {
			return
		}
		n.setClock(m, nsPerS, out)
		n.sets(m, b[ipfixHeader:length], out)
		m.leave(out)
		b, first = b[length:], false
	}
}

// sets walks the sets of a v9 or IPFIX message. A set that cannot be read does
// not keep the others from being read.
func (n *Normalizer) sets(m *message, b []byte, out *Result) {
	templates, options := uint16(2), uint16(3)
	if m.kind == flowv1.FlowType_FLOW_TYPE_NETFLOW_V9 {
		templates, options = 0, 1
	}
	for len(b) >= setHeader {
		id, length := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if length < setHeader {
			if !zero(b) { // else the message is padded
				m.fail("bad_set_length")
			}
			return
		}
		if length > len(b) {
			m.fail("truncated_set")
			length = len(b)
		}
		set := b[setHeader:length]
		b = b[length:]
		m.setEnd = m.end - len(b)
		switch {
		case id == templates:
			n.templateSet(m, set, false, out)
		case id == options:
			n.templateSet(m, set, true, out)
		case id < 256:
			m.fail("reserved_set_id")
		default:
			n.dataSet(m, id, set, out)
		}
	}
	if !zero(b) {
		m.fail("truncated_set")
	}
}

// dataSet reads the records of a data set by its template.
func (n *Normalizer) dataSet(m *message, id uint16, set []byte, out *Result) {
	t := m.dom.templateOf(id, m.port, m.receivedNs)
	if t == nil || !n.fits(m, t, set) {
		if len(set) == 0 {
			return
		}
		m.uncounted = true
		n.wait(m, id, set, out)
		return
	}
	n.readSet(m, t, set, out)
}

// readSet reads the records of a data set by this template.
func (n *Normalizer) readSet(m *message, t *template, set []byte, out *Result) {
	if t.plan.fixed {
		n.inferBoot(m, t, set)
		n.readFixed(m, t, set, out)
		return
	}
	for len(set) >= t.plan.min {
		var size int
		n.spans, size = measure(n.spans[:0], t, set)
		if size < 0 {
			if !zero(set) { // else it is padding
				n.buryRecord(m, "bad_field_length", set, t, out)
			}
			return
		}
		m.at(m.setEnd - len(set))
		n.record(m, t, set[:size], n.spans, out)
		set = set[size:]
	}
}

// readFixed reads records that are all of one length. The set ends where the message's
// setEnd is.
func (n *Normalizer) readFixed(m *message, t *template, set []byte, out *Result) {
	direct := out.Encode && n.beginDirect(m, t.plan.direct)
	for size := t.plan.min; len(set) >= size; set = set[size:] {
		m.at(m.setEnd - len(set))
		if !direct || !n.directRecord(m, t.plan.direct, set[:size], out) {
			n.record(m, t, set[:size], nil, out)
		}
	}
}

// buryRecord counts a record that cannot be read.
func (n *Normalizer) buryRecord(m *message, reason string, b []byte, t *template, out *Result) {
	if t != nil && t.options {
		out.OptionsRecords++
	} else {
		out.DataRecords++
		out.Records.Dead++
	}
	m.uncounted = true
	out.bury(reason, m, b, n.cfg.MaxDeadBytes)
}

// span is where a field lies in a record.
type span struct{ from, to int32 }

// measure finds the fields of a record that has fields of variable length
// (RFC 7011 §7) and appends where they are to spans. It returns the record's
// length too, or -1 where the record does not end within b.
func measure(spans []span, t *template, b []byte) ([]span, int) {
	at := 0
	for i := range t.fields {
		length := int(t.fields[i].length)
		if length == variable {
			if at >= len(b) {
				return spans, -1
			}
			length = int(b[at])
			at++
			if length == 255 {
				if at+2 > len(b) {
					return spans, -1
				}
				length = int(binary.BigEndian.Uint16(b[at:]))
				at += 2
			}
		}
		if at+length > len(b) {
			return spans, -1
		}
		spans = append(spans, span{int32(at), int32(at + length)})
		at += length
	}
	return spans, at
}

// inferBoot looks at the ends of all flows of a set, where they are relative to a
// boot time that the exporter does not tell.
func (n *Normalizer) inferBoot(m *message, t *template, set []byte) {
	i := t.plan.endField
	if i < 0 || m.hasUptime || m.dom.systemInit != 0 || t.plan.systemInit {
		return
	}
	f := &t.fields[i]
	latest, found := uint32(0), false
	for size := t.plan.min; len(set) >= size; set = set[size:] {
		end := uint32(uintOf(set[f.offset : f.offset+int(f.length)]))
		if !found || int32(end-latest) > 0 {
			latest, found = end, true
		}
	}
	if found {
		m.dom.inferred.observe(m.exportMs(), latest)
	}
}

// record turns one record into what its template's plan says.
func (n *Normalizer) record(m *message, t *template, data []byte, bounds []span, out *Result) {
	m.records++
	if t.options {
		out.OptionsRecords++
		n.optionsRecord(m, t, data, bounds, out)
		return
	}
	out.DataRecords++
	switch {
	case t.plan.labels.flow:
		n.flowRecord(m, t, data, bounds, out)
	case t.plan.labels.packet && n.packetRecord(m, t, data, bounds, out):
		out.Records.Flow++
	default:
		n.event(m, t, data, bounds, out)
		out.Records.Event++
	}
}
