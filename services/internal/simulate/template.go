package simulate

import "encoding/binary"

// Template ids of both NetFlow v9 and IPFIX.
const (
	templateV4       = 256
	templateV6       = 257
	templateSampling = 258 // options: sampling and timeouts of the exporter
	templateNames    = 259 // options: interface names
)

// Elements that v9 (RFC 3954 section 8) and IPFIX (IANA) number alike.
const (
	elBytes      = 1
	elPackets    = 2
	elProto      = 4
	elTOS        = 5
	elFlags      = 6
	elSrcPort    = 7
	elSrc4       = 8
	elIn         = 10
	elDstPort    = 11
	elDst4       = 12
	elOut        = 14
	elLastUp     = 21
	elFirstUp    = 22
	elSrc6       = 27
	elDst6       = 28
	elICMP       = 32
	elInterval   = 34
	elAlgorithm  = 35
	elActive     = 36
	elInactive   = 37
	elDirection  = 61
	elIfName     = 82
	elEndReason  = 136
	elICMP6      = 139
	elProcess    = 144
	elStartMilli = 152
	elEndMilli   = 153
	elPostSrc4   = 225
	elPostDst4   = 226
	elPostSport  = 227
	elPostDport  = 228
)

// reverse marks, of an enterprise, the element of the way back that is numbered alike
// (RFC 5103 section 6.1).
const (
	reverse    = 1 << 15
	reversePEN = 29305
)

// nameLength is the fixed length of an interface name, padded with zeros.
const nameLength = 16

// natFields are the tuple after translation: 12 octets, IPv4 only.
var natFields = []field{{elPostSrc4, 4}, {elPostDst4, 4}, {elPostSport, 2}, {elPostDport, 2}}

// appendPost appends the values of natFields.
func appendPost(b []byte, r *Record) []byte {
	b = append(b, r.Post.Src.Addr[12:]...)
	b = append(b, r.Post.Dst.Addr[12:]...)
	b = binary.BigEndian.AppendUint16(b, r.Post.Src.Port)
	return binary.BigEndian.AppendUint16(b, r.Post.Dst.Port)
}

// field is one field of a template: element and length in octets.
type field struct{ id, length uint16 }

// appendTemplate appends a template record (RFC 3954 section 5.2, RFC 7011 section 3.4.1).
func appendTemplate(b []byte, id uint16, fields []field) []byte {
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(fields)))
	return appendFields(b, fields)
}

func appendFields(b []byte, fields []field) []byte {
	for _, f := range fields {
		b = binary.BigEndian.AppendUint16(b, f.id)
		b = binary.BigEndian.AppendUint16(b, f.length)
		if f.id&reverse != 0 {
			b = binary.BigEndian.AppendUint32(b, reversePEN)
		}
	}
	return b
}

// beginSet opens a set: its length follows with endSet.
func beginSet(b []byte, id uint16) (_ []byte, at int) {
	at = len(b)
	b = binary.BigEndian.AppendUint16(b, id)
	return append(b, 0, 0), at
}

// endSet pads a set to four octets and writes its length.
func endSet(b []byte, at int) []byte {
	for (len(b)-at)%4 != 0 {
		b = append(b, 0)
	}
	binary.BigEndian.PutUint16(b[at+2:], uint16(len(b)-at))
	return b
}

// appendSampling appends the options of how the exporter meters: interval (1
// says that every packet is seen), algorithm, timeouts in seconds.
func appendSampling(b []byte, cfg *ExporterConfig) []byte {
	b = binary.BigEndian.AppendUint32(b, max(1, cfg.Sampling))
	b = append(b, samplingAlgorithm(cfg))
	b = binary.BigEndian.AppendUint16(b, seconds(int64(cfg.Active)))
	return binary.BigEndian.AppendUint16(b, seconds(int64(cfg.Inactive)))
}

// samplingAlgorithm is 2 (random) for a sampling exporter, else 1 (deterministic).
func samplingAlgorithm(cfg *ExporterConfig) byte {
	if cfg.Sampling > 1 {
		return 2
	}
	return 1
}

// seconds rounds a timeout up to what the elements can say.
func seconds(ns int64) uint16 { return uint16((ns + 1e9 - 1) / 1e9) }

// appendName appends an interface name in its fixed length.
func appendName(b []byte, name string) []byte {
	var fixed [nameLength]byte
	copy(fixed[:], name)
	return append(b, fixed[:]...)
}

// dataSets gathers a datagram's data: a set of IPv4 records and one of IPv6.
type dataSets struct {
	v4, v6 []byte
	count  uint16
	room   int // octets for both sets
	next   int // length of an IPv6 record: a datagram that has no room for one is full
}

// setCost is a set's header and the padding it may need.
const setCost = 4 + 3

func newDataSets(header, largest int) dataSets {
	return dataSets{v4: make([]byte, 0, maxPayload), v6: make([]byte, 0, maxPayload), room: maxPayload - header, next: largest}
}

// added counts a record and tells whether the datagram is full.
func (d *dataSets) added() bool {
	d.count++
	return len(d.v4)+len(d.v6)+2*setCost+d.next > d.room
}

// appendTo appends the sets that hold anything and empties both.
func (d *dataSets) appendTo(b []byte) []byte {
	for _, s := range []struct {
		id   uint16
		data []byte
	}{{templateV4, d.v4}, {templateV6, d.v6}} {
		if len(s.data) > 0 {
			var at int
			b, at = beginSet(b, s.id)
			b = endSet(append(b, s.data...), at)
		}
	}
	d.v4, d.v6, d.count = d.v4[:0], d.v6[:0], 0
	return b
}

// direction is element 61: 0 is ingress, 1 egress.
func direction(egress bool) byte {
	if egress {
		return 1
	}
	return 0
}

// withNAT is the IPv4 template of an exporter that tells translations, or the
// plain one.
func withNAT(cfg *ExporterConfig, plain []field) []field {
	if !cfg.NAT {
		return plain
	}
	return concat(plain, natFields)
}
