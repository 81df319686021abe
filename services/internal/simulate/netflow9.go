package simulate

import "encoding/binary"

// netflow9 encodes NetFlow v9 (RFC 3954): times by sysUptime, header time in
// seconds, the sequence counts datagrams.
type netflow9 struct {
	cfg      *ExporterConfig
	sets     dataSets
	buf      []byte
	sequence uint32
}

const v9Header = 20

// v9Common are the fields that follow the addresses: 38 octets.
var v9Common = []field{
	{elSrcPort, 2}, {elDstPort, 2}, {elProto, 1}, {elTOS, 1}, {elFlags, 1}, {elDirection, 1},
	{elIn, 4}, {elOut, 4}, {elBytes, 8}, {elPackets, 4}, {elFirstUp, 4}, {elLastUp, 4}, {elICMP, 2},
}

var (
	v9Template4 = append([]field{{elSrc4, 4}, {elDst4, 4}}, v9Common...)
	v9Template6 = append([]field{{elSrc6, 16}, {elDst6, 16}}, v9Common...)
)

func newNetflow9(cfg *ExporterConfig) *netflow9 {
	return &netflow9{cfg: cfg, sets: newDataSets(v9Header, 70), buf: make([]byte, v9Header, maxPayload)}
}

func (e *netflow9) add(r *Record) bool {
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

func (e *netflow9) appendCommon(b []byte, r *Record) []byte {
	be := binary.BigEndian
	b = be.AppendUint16(b, r.Key.Src.Port)
	b = be.AppendUint16(b, r.dstPort())
	b = append(b, r.Key.Proto, r.TOS, r.Flags, direction(r.Egress))
	b = be.AppendUint32(b, r.In)
	b = be.AppendUint32(b, r.Out)
	b = be.AppendUint64(b, r.Bytes)
	b = be.AppendUint32(b, uint32(r.Packets))
	b = be.AppendUint32(b, e.cfg.uptime(r.Start))
	b = be.AppendUint32(b, e.cfg.uptime(r.End))
	return be.AppendUint16(b, r.icmp())
}

func (e *netflow9) flush(now int64) []byte {
	count := e.sets.count
	return e.finish(e.sets.appendTo(e.buf[:v9Header]), count, now)
}

// describe builds templates, options templates and their data. Scopes are
// System (1) and Interface (2) of RFC 3954 section 6.1.
func (e *netflow9) describe(now int64) []byte {
	b, at := beginSet(e.buf[:v9Header], 0)
	b = appendTemplate(b, templateV4, withNAT(e.cfg, v9Template4))
	b = endSet(appendTemplate(b, templateV6, v9Template6), at)
	b, at = beginSet(b, 1)
	b = e.optionsTemplate(b, templateSampling, field{1, 4}, []field{{elInterval, 4}, {elAlgorithm, 1}, {elActive, 2}, {elInactive, 2}})
	b = endSet(e.optionsTemplate(b, templateNames, field{2, 4}, []field{{elIfName, nameLength}}), at)
	b, at = beginSet(b, templateSampling)
	b = append(b, e.cfg.Addr.AsSlice()...)
	b = endSet(appendSampling(b, e.cfg), at)
	if len(e.cfg.Interfaces) > 0 {
		b, at = beginSet(b, templateNames)
		for _, i := range e.cfg.Interfaces {
			b = appendName(binary.BigEndian.AppendUint32(b, i.Index), i.Name)
		}
		b = endSet(b, at)
	}
	return e.finish(b, uint16(4+1+len(e.cfg.Interfaces)), now)
}

// optionsTemplate appends an options template record; v9 gives the lengths of
// scope and options in octets.
func (e *netflow9) optionsTemplate(b []byte, id uint16, scope field, fields []field) []byte {
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, 4)
	b = binary.BigEndian.AppendUint16(b, uint16(4*len(fields)))
	return appendFields(appendFields(b, []field{scope}), fields)
}

// finish writes the header; count is the number of records of any kind.
func (e *netflow9) finish(b []byte, count uint16, now int64) []byte {
	be := binary.BigEndian
	be.PutUint16(b[0:], 9)
	be.PutUint16(b[2:], count)
	be.PutUint32(b[4:], e.cfg.uptime(now))
	be.PutUint32(b[8:], uint32(e.cfg.clock(now)/1e9))
	be.PutUint32(b[12:], e.sequence)
	be.PutUint32(b[16:], e.cfg.Domain)
	e.sequence++
	return b
}
