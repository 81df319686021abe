package simulate

import (
	"github.com/flowledger/flowledger/services/internal/flow"
)

// TCP control bits (RFC 9293 section 3.1).
const (
	fin = 0x01
	syn = 0x02
	rst = 0x04
	psh = 0x08
	ack = 0x10
)

// Run is a burst of packets of one direction that pass at one instant.
type Run struct {
	At      int64  // nanoseconds since the epoch
	Bytes   uint64 // IP octets of all its packets
	Packets uint32
	Flags   uint8 // TCP flags, or-ed
	Reverse bool  // from server to client
}

// Conversation is what truly happened between two endpoints: the measure of
// everything that is later said about it. Ports are 0 where the protocol has none.
type Conversation struct {
	Client, Server flow.Endpoint
	Proto          uint8
	TOS            uint8
	// Translated is the client beyond the device that translates its address,
	// zero where none does.
	Translated flow.Endpoint
	Runs       []Run // in time order, at least one
}

// Totals are a conversation's sums, as an ideal ledger holds them.
type Totals struct {
	Start, End                   int64
	ClientPackets, ServerPackets uint64
	ClientBytes, ServerBytes     uint64
}

// Totals adds up the runs.
func (c *Conversation) Totals() Totals {
	t := Totals{Start: c.Runs[0].At, End: c.Runs[len(c.Runs)-1].At}
	for i := range c.Runs {
		r := &c.Runs[i]
		if r.Reverse {
			t.ServerPackets += uint64(r.Packets)
			t.ServerBytes += r.Bytes
		} else {
			t.ClientPackets += uint64(r.Packets)
			t.ClientBytes += r.Bytes
		}
	}
	return t
}

// Zones of a conversation whose client is translated on the way.
const (
	inside  = 0 // the client's own address
	outside = 1 // the translated one
)

// client is the client as it is known in a zone.
func (c *Conversation) client(zone int) flow.Endpoint {
	if zone == outside {
		return c.Translated
	}
	return c.Client
}

// key is the flow key of one direction in a zone as an exporter forms it: ICMP
// type and code lie in the destination port, type · 256 + code.
func (c *Conversation) key(reverse bool, zone int) flow.Key {
	k := flow.Key{Src: c.client(zone), Dst: c.Server, Proto: c.Proto}
	if !reverse {
		k.Dst.Port |= echoRequest(c.Proto)
		return k
	}
	k.Src, k.Dst = c.Server, c.client(zone)
	k.Dst.Port |= echoReply(c.Proto)
	return k
}

// echoRequest is type · 256 + code of a ping, 0 for what is no ICMP.
func echoRequest(proto uint8) uint16 {
	switch proto {
	case flow.ProtoICMP:
		return 8 << 8
	case flow.ProtoICMPv6:
		return 128 << 8
	}
	return 0
}

// echoReply is the same of a ping's answer.
func echoReply(proto uint8) uint16 {
	if proto == flow.ProtoICMPv6 {
		return 129 << 8
	}
	return 0
}
