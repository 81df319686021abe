package normalize

import (
	"encoding/binary"
	"net/netip"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Formats of sFlow samples (sFlow version 5, "sample_data").
const (
	sampleFlow            = 1
	sampleCounter         = 2
	sampleExpandedFlow    = 3
	sampleExpandedCounter = 4
	sampleDrop            = 5
)

// sflow reads an sFlow v5 datagram. Its samples, and their records, are walked here
// and given to goflow2 one by one, after a look at their counts: goflow2 takes memory
// for as many records as an expanded flow sample claims to have. One data record is one
// sample; a bad one does not keep the others from being read.
func (n *Normalizer) sflow(m *message, b []byte, out *Result) {
	m.kind = flowv1.FlowType_FLOW_TYPE_SFLOW_5
	agent, rest, ok := sflowAgent(b)
	if !ok {
		m.fail("bad_agent_address")
		return
	}
	if len(rest) < 16 {
		m.fail("truncated_header")
		return
	}
	subAgent := binary.BigEndian.Uint32(rest)
	m.sequence = binary.BigEndian.Uint32(rest[4:])
	count := binary.BigEndian.Uint32(rest[12:])
	rest = rest[16:]
	if !agent.IsValid() || agent.IsUnspecified() || agent.IsLoopback() {
		agent = m.from
	}
	if !n.enter(m, domainKey{kind: m.kind, id: subAgent, agent: agent}) {
		return
	}
	if m.repeated(out) {
		return
	}
	n.samples(m, count, rest, out)
	m.leave(out)
}

// samples walks the samples of a datagram.
func (n *Normalizer) samples(m *message, count uint32, rest []byte, out *Result) {
	for ; count > 0; count-- {
		if len(rest) < 8 {
			m.fail("truncated_sample")
			return
		}
		format, length := binary.BigEndian.Uint32(rest), binary.BigEndian.Uint32(rest[4:])
		if uint64(length) > uint64(len(rest)-8) {
			m.fail("truncated_sample")
			return
		}
		m.at(m.end - len(rest))
		n.sample(m, format, rest[8:8+length], out)
		rest = rest[8+length:]
	}
}

// sflowAgent reads the version and the agent's address, which may be unknown (type 0).
func sflowAgent(b []byte) (agent netip.Addr, rest []byte, ok bool) {
	if len(b) < 8 {
		return agent, nil, false
	}
	kind := binary.BigEndian.Uint32(b[4:])
	if kind >= uint32(len(addressSizes)) {
		return agent, nil, false
	}
	size := addressSizes[kind]
	if len(b) < 8+size {
		return agent, nil, false
	}
	agent, _ = netip.AddrFromSlice(b[8 : 8+size])
	return agent.Unmap(), b[8+size:], true
}

// sampleHeaders are the lengths of what stands before a sample's records: the
// last four bytes are the number of records.
var sampleHeaders = [...]int{
	sampleFlow: 32, sampleCounter: 12, sampleExpandedFlow: 44, sampleExpandedCounter: 16, sampleDrop: 32,
}

// plausible tells whether a sample can hold the records it claims: every one has
// at least a header of 8 bytes, and lies within the sample.
func plausible(format uint32, b []byte) bool {
	header := sampleHeaders[format]
	if len(b) < header {
		return false
	}
	count := uint64(binary.BigEndian.Uint32(b[header-4:]))
	rest := b[header:]
	if count > uint64(len(rest)/8) {
		return false
	}
	for ; count > 0; count-- {
		if len(rest) < 8 {
			return false
		}
		length := uint64(binary.BigEndian.Uint32(rest[4:]))
		if length > uint64(len(rest)-8) {
			return false
		}
		rest = rest[8+length:]
	}
	return true
}
