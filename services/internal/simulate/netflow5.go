package simulate

import (
	"encoding/binary"
)

// netflow5 encodes NetFlow v5: a header of 24 octets and up to 30 records of
// 48. IPv4 only; counters have 32 bits; the sequence counts records.
type netflow5 struct {
	cfg      *ExporterConfig
	buf      []byte
	count    uint16
	sequence uint32
}

const (
	v5Header     = 24
	v5MaxRecords = 30
)

func newNetflow5(cfg *ExporterConfig) *netflow5 {
	return &netflow5{cfg: cfg, buf: make([]byte, v5Header, v5Header+48*v5MaxRecords)}
}

// describe returns nil: v5 has a fixed layout.
func (e *netflow5) describe(int64) []byte { return nil }

func (e *netflow5) add(r *Record) bool {
	be := binary.BigEndian
	b := e.buf
	b = append(b, r.Key.Src.Addr[12:]...)
	b = append(b, r.Key.Dst.Addr[12:]...)
	b = append(b, 0, 0, 0, 0) // next hop: directly connected
	b = be.AppendUint16(b, uint16(r.In))
	b = be.AppendUint16(b, uint16(r.Out))
	b = be.AppendUint32(b, uint32(r.Packets))
	b = be.AppendUint32(b, uint32(r.Bytes))
	b = be.AppendUint32(b, e.cfg.uptime(r.Start))
	b = be.AppendUint32(b, e.cfg.uptime(r.End))
	b = be.AppendUint16(b, r.Key.Src.Port)
	b = be.AppendUint16(b, r.Key.Dst.Port) // ICMP: type and code, as v5 has it
	b = append(b, 0, r.Flags, r.Key.Proto, r.TOS)
	b = be.AppendUint16(b, 0)   // source AS
	b = be.AppendUint16(b, 0)   // destination AS
	b = append(b, 24, 24, 0, 0) // masks, padding
	e.buf = b
	e.count++
	return e.count == v5MaxRecords
}

func (e *netflow5) flush(now int64) []byte {
	be := binary.BigEndian
	wall := e.cfg.clock(now)
	h := e.buf[:v5Header]
	be.PutUint16(h[0:], 5)
	be.PutUint16(h[2:], e.count)
	be.PutUint32(h[4:], e.cfg.uptime(now))
	be.PutUint32(h[8:], uint32(wall/1e9))
	be.PutUint32(h[12:], uint32(wall%1e9))
	be.PutUint32(h[16:], e.sequence)
	h[20], h[21] = 0, byte(e.cfg.Domain)
	var sampling uint16 // mode in the top two bits, 1 is deterministic
	if e.cfg.Sampling > 1 {
		sampling = 1<<14 | uint16(e.cfg.Sampling&0x3fff)
	}
	be.PutUint16(h[22:], sampling)
	e.sequence += uint32(e.count)
	out := e.buf
	e.buf, e.count = e.buf[:v5Header], 0
	return out
}
