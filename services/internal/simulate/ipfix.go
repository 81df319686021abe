package simulate

import "encoding/binary"

// ipfix encodes IPFIX (RFC 7011): absolute milliseconds, the sequence counts
// data records, those of options among them.
type ipfix struct {
	cfg      *ExporterConfig
	sets     dataSets
	buf      []byte
	sequence uint32
}

const ipfixHeader = 16

// ipfixCommon are the fields that follow the addresses: 50 octets.
var ipfixCommon = []field{
	{elSrcPort, 2}, {elDstPort, 2}, {elProto, 1}, {elTOS, 1}, {elFlags, 2}, {elIn, 4}, {elOut, 4},
	{elBytes, 8}, {elPackets, 8}, {elStartMilli, 8}, {elEndMilli, 8}, {elEndReason, 1}, {elDirection, 1},
}

var (
	ipfixTemplate4 = concat([]field{{elSrc4, 4}, {elDst4, 4}}, ipfixCommon, []field{{elICMP, 2}})
	ipfixTemplate6 = concat([]field{{elSrc6, 16}, {elDst6, 16}}, ipfixCommon, []field{{elICMP6, 2}})
)

func concat(parts ...[]field) (all []field) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// ipfixBack are the fields of the way back (RFC 5103): 26 octets.
var ipfixBack = []field{{reverse | elBytes, 8}, {reverse | elPackets, 8}, {reverse | elFlags, 2}, {reverse | elStartMilli, 8}}

// withBack is the template of an exporter of biflows, or the plain one.
func withBack(cfg *ExporterConfig, plain []field) []field {
	if !cfg.Biflow {
		return plain
	}
	return concat(plain, ipfixBack)
}

func newIPFIX(cfg *ExporterConfig) *ipfix {
	largest := 84
	if cfg.Biflow {
		largest += 26
	}
	return &ipfix{cfg: cfg, sets: newDataSets(ipfixHeader, largest), buf: make([]byte, ipfixHeader, maxPayload)}
}

func (e *ipfix) add(r *Record) bool {
	if r.is4() {
		b := append(e.sets.v4, r.Key.Src.Addr[12:]...)
		e.sets.v4 = e.appendCommon(append(b, r.Key.Dst.Addr[12:]...), r)
		if e.cfg.NAT {
			e.sets.v4 = appendPost(e.sets.v4, r)
		}
	} else {
		b := append(e.sets.v6, r.Key.Src.Addr[:]...)
		e.sets.v6 = e.appendCommon(append(b, r.Key.Dst.Addr[:]...), r)
	}
	return e.sets.added()
}

func (e *ipfix) appendCommon(b []byte, r *Record) []byte {
	be := binary.BigEndian
	b = be.AppendUint16(b, r.Key.Src.Port)
	b = be.AppendUint16(b, r.dstPort())
	b = append(b, r.Key.Proto, r.TOS, 0, r.Flags)
	b = be.AppendUint32(b, r.In)
	b = be.AppendUint32(b, r.Out)
	b = be.AppendUint64(b, r.Bytes)
	b = be.AppendUint64(b, r.Packets)
	b = be.AppendUint64(b, uint64(e.cfg.clock(r.Start)/1e6))
	b = be.AppendUint64(b, uint64(e.cfg.clock(r.End)/1e6))
	b = append(b, r.Reason, direction(r.Egress))
	b = be.AppendUint16(b, r.icmp())
	if !e.cfg.Biflow {
		return b
	}
	b = be.AppendUint64(b, r.Back.Bytes)
	b = be.AppendUint64(b, r.Back.Packets)
	b = append(b, 0, r.Back.Flags)
	return be.AppendUint64(b, uint64(e.cfg.clock(max(r.Start, r.Back.Start))/1e6))
}

func (e *ipfix) flush(now int64) []byte {
	count := e.sets.count
	return e.finish(e.sets.appendTo(e.buf[:ipfixHeader]), count, now)
}

// describe builds templates, options templates and their data. Scopes are the
// exporting process and the interface.
func (e *ipfix) describe(now int64) []byte {
	b, at := beginSet(e.buf[:ipfixHeader], 2)
	b = appendTemplate(b, templateV4, withNAT(e.cfg, withBack(e.cfg, ipfixTemplate4)))
	b = endSet(appendTemplate(b, templateV6, withBack(e.cfg, ipfixTemplate6)), at)
	b, at = beginSet(b, 3)
	b = e.optionsTemplate(b, templateSampling, []field{{elProcess, 4}, {elInterval, 4}, {elAlgorithm, 1}, {elActive, 2}, {elInactive, 2}})
	b = endSet(e.optionsTemplate(b, templateNames, []field{{elIn, 4}, {elIfName, nameLength}}), at)
	b, at = beginSet(b, templateSampling)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = endSet(appendSampling(b, e.cfg), at)
	if len(e.cfg.Interfaces) > 0 {
		b, at = beginSet(b, templateNames)
		for _, i := range e.cfg.Interfaces {
			b = appendName(binary.BigEndian.AppendUint32(b, i.Index), i.Name)
		}
		b = endSet(b, at)
	}
	return e.finish(b, uint16(1+len(e.cfg.Interfaces)), now)
}

// optionsTemplate appends an options template record whose first field is the
// scope (RFC 7011 section 3.4.2.2).
func (e *ipfix) optionsTemplate(b []byte, id uint16, fields []field) []byte {
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, uint16(len(fields)))
	b = binary.BigEndian.AppendUint16(b, 1)
	return appendFields(b, fields)
}

// finish writes the header; records is how many data records the message holds.
func (e *ipfix) finish(b []byte, records uint16, now int64) []byte {
	be := binary.BigEndian
	be.PutUint16(b[0:], 10)
	be.PutUint16(b[2:], uint16(len(b)))
	be.PutUint32(b[4:], uint32(e.cfg.clock(now)/1e9))
	be.PutUint32(b[8:], e.sequence)
	be.PutUint32(b[12:], e.cfg.Domain)
	e.sequence += uint32(records)
	return b
}
