package normalize

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// Firewall events (IANA element 233).
const (
	firewallCreated = 1
	firewallDeleted = 2
	firewallDenied  = 3
	firewallAlert   = 4
	firewallUpdate  = 5
)

// statusDeniedByACL is the forwardingStatus of a packet that was dropped since an access
// list denied it (RFC 7270 §4.12).
const statusDeniedByACL = 129

// What a rule of Antrea's network policies did, where it did not let through (elements
// 139 and 140 of enterprise 56506).
const (
	antreaDrop   = 2
	antreaReject = 3
)

// connKey names a connection of a firewall: ids are used again, so the
// endpoints belong to it.
type connKey struct {
	domain, proto uint32
	id            uint64
	endpoints     uint64
}

// connCount is what was counted of a connection so far.
type connCount struct {
	bytes, packets               uint64
	reverseBytes, reversePackets uint64
	lastNs                       uint64
	closed                       bool
}

// closedNs is how long after its teardown what comes of a connection is taken
// to be late rather than of a new one that got the same id and ports.
const closedNs = 60 * nsPerS

// countSession makes a firewall's counts add up. An update tells what has gone
// by since the last one, a teardown the whole (DOMAIN: UPDATE carries deltas,
// DELETE the total), and either may be missing or come out of order. So an
// update counts as it stands, a teardown for what the updates left out, and
// nothing counts after a teardown: the sum is the total, whatever came.
// Connections without an id cannot be told apart: then the teardown counts.
func (m *message) countSession(f *flowv1.Flow, s *scratch) {
	if f.FirewallEvent != firewallUpdate && f.FirewallEvent != firewallDeleted || s.connection == 0 {
		return
	}
	key := connKey{
		domain: m.dom.key.id, proto: f.Proto, id: s.connection,
		endpoints: endpointHash(f.SrcAddr, f.SrcPort) + 3*endpointHash(f.DstAddr, f.DstPort),
	}
	c, known := m.exp.firewall.get(key)
	if known && c.closed && c.lastNs+closedNs < m.receivedNs {
		c, known = connCount{}, false
	}
	if known && !c.closed && c.lastNs > f.TimeFlowStartNs && c.lastNs < f.TimeFlowEndNs {
		f.TimeFlowStartNs = c.lastNs // of what this record counts, not of the connection
	}
	switch {
	case c.closed:
		f.Bytes, f.Packets, s.reverseBytes, s.reversePackets = 0, 0, 0, 0
	case f.FirewallEvent == firewallUpdate:
		c.bytes += f.Bytes
		c.packets += f.Packets
		c.reverseBytes += s.reverseBytes
		c.reversePackets += s.reversePackets
	default:
		f.Bytes -= min(f.Bytes, c.bytes)
		f.Packets -= min(f.Packets, c.packets)
		s.reverseBytes -= min(s.reverseBytes, c.reverseBytes)
		s.reversePackets -= min(s.reversePackets, c.reversePackets)
		c.closed = true
	}
	c.lastNs = f.TimeFlowEndNs
	if c.closed {
		c.lastNs = m.receivedNs
	}
	m.exp.firewall.put(key, c)
}
