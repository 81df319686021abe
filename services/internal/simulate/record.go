package simulate

import "github.com/flowledger/flowledger/services/internal/flow"

// Reasons why a flow cache let a record go (IPFIX element 136, flowEndReason).
const (
	endIdle   = 1
	endActive = 2
	endOfFlow = 3
)

// Record is one flow record as an exporter holds it before encoding.
type Record struct {
	Key            flow.Key // ICMP: type · 256 + code in Dst.Port
	Start, End     int64    // first and last packet, true time
	Packets, Bytes uint64
	In, Out        uint32 // interface indices
	TOS, Flags     uint8
	Reason         uint8 // flowEndReason
	Egress         bool  // metered on the way out
	// Post is the key as it is on the other side of a device that translates
	// addresses, zero where none does.
	Post flow.Key
	// Back is the way back of a biflow.
	Back struct {
		Start          int64 // first packet
		Packets, Bytes uint64
		Flags          uint8
	}
}

// back is the way back of a biflow as a record of its own; it has the whole one's end.
func (r *Record) back() *Record {
	return &Record{Key: reversed(r.Key), Start: r.Back.Start, End: r.End, Packets: r.Back.Packets, Bytes: r.Back.Bytes,
		In: r.Out, Out: r.In, TOS: r.TOS, Flags: r.Back.Flags, Reason: r.Reason, Egress: r.Egress}
}

// is4 tells which of the two templates a record goes by.
func (r *Record) is4() bool { return r.Key.Src.Addr.Is4() }

// icmp is type · 256 + code of an ICMP record, else 0.
func (r *Record) icmp() uint16 {
	if r.Key.Proto == flow.ProtoICMP || r.Key.Proto == flow.ProtoICMPv6 {
		return r.Key.Dst.Port
	}
	return 0
}

// dstPort is the destination port as templates report it, where ICMP has an
// element of its own.
func (r *Record) dstPort() uint16 {
	if flow.HasPorts(r.Key.Proto) {
		return r.Key.Dst.Port
	}
	return 0
}

// reversed is the key of the way back. Of ICMP's messages, which ports tell, there is none.
func reversed(k flow.Key) flow.Key {
	k.Src, k.Dst = k.Dst, k.Src
	return k
}
