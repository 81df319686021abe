package capture

import (
	"encoding/binary"
	"slices"
)

// exportPorts are where flow exports usually go; there, the version alone
// decides, so that damaged datagrams come through and are counted.
var exportPorts = []uint16{2055, 2056, 4432, 4739, 6343, 9025, 9555, 9991, 9995, 9996}

// wants tells whether a datagram is one that was asked for.
func (o *Options) wants(d *Datagram) bool {
	if len(o.Ports) > 0 {
		return slices.Contains(o.Ports, d.Dst.Port())
	}
	if slices.Contains(exportPorts, d.Dst.Port()) {
		return hasExportVersion(d.Payload)
	}
	return looksLikeExport(d.Payload, d.Truncated)
}

// hasExportVersion tells whether a payload begins with the version of an export
// protocol: NetFlow 1 to 9, IPFIX (10), sFlow 2, 4 and 5 (in 32 bits).
func hasExportVersion(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	switch v := binary.BigEndian.Uint16(b); v {
	case 0:
		v := binary.BigEndian.Uint16(b[2:])
		return v == 2 || v == 4 || v == 5
	case 1, 5, 6, 7, 8, 9, 10:
		return true
	}
	return false
}

// looksLikeExport wants more of a payload than its version: what follows must
// make sense too. Of a truncated one only the front can be looked at.
func looksLikeExport(b []byte, truncated bool) bool {
	if !hasExportVersion(b) || len(b) < 16 {
		return false
	}
	left := len(b)
	if truncated {
		left = maxPacket
	}
	second := int(binary.BigEndian.Uint16(b[2:]))
	switch binary.BigEndian.Uint16(b) {
	case 0: // the type of the agent's address
		agent := binary.BigEndian.Uint32(b[4:])
		return len(b) >= 28 && (agent == 1 || agent == 2)
	case 9: // RFC 3954 §5.1: a header of 20 bytes, then flow sets
		return len(b) >= 24 && looksLikeSet(b[20:], left-20, 0, 1)
	case 10: // RFC 7011 §3.1: the length of the message, a header of 16 bytes, sets
		return second >= 16 && second <= left && (second == 16 || looksLikeSet(b[16:], left-16, 2, 3))
	}
	return second >= 1 && second <= 64 && len(b) >= 24 // a number of records
}

// looksLikeSet tells whether b begins as a set of templates or of data.
func looksLikeSet(b []byte, left int, templates, options uint16) bool {
	if len(b) < 4 {
		return false
	}
	id, length := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
	return (id == templates || id == options || id >= 256) && length >= 4 && length <= left
}
