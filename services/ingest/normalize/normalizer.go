// Package normalize is the core of ingest: it turns datagrams of NetFlow v1,
// v5, v7, v8 and v9, IPFIX and sFlow v5 into flows, events, facts about exporters, and dead letters.
//
//	others' facts ─ Learn ─────────────────────╮
//	datagram ─▶ message ─┬▶ template sets ─▶ templates, each with a plan ─▶ facts, again and again
//	   │ seen before?    ├▶ data sets ──────▶ plan ──┬▶ flows (two, of a record of both directions)
//	   ╰▶ counted        │       ╰▶ no template yet: waits, bounded; then as above, or dead
//	                     │                           ╰▶ events
//	                     ├▶ options data ───▶ facts; samplers, names, timeouts of later flows
//	                     ╰▶ sFlow samples ──▶ goflow2 ─▶ packet headers ─▶ flows, events
//
// Every data record becomes exactly one of flow, event, flow and event, or dead
// letter. What a record means is decided once per template (plan.go), by which
// elements it has:
//
//   - endpoints and volume: a flow
//   - element 233 (firewall) or 230 (NAT): an event; with volume, a flow as well
//   - Citrix AppFlow (PEN 5951): an application event. A transaction is told in
//     four records, so its volume decorates and is never counted
//   - a section of a packet: the flow of that one packet
//   - what a router added up (NetFlow v8): an event
//   - all else, such as layer-2 records and counters: an event with all its fields
//
// Counts stay raw, with sampling_rate beside them; times follow RFC 7011 §5.1
// (times.go, clock.go), corrected by how far the exporter's clock is off (skew.go).
// Sequence numbers tell what was lost on the way (sequence.go). Nothing here reads
// a clock: time comes with the datagrams, and by Advance where none come.
package normalize

import (
	"encoding/binary"
	"net/netip"

	"github.com/cespare/xxhash/v2"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Datagram is one UDP payload as it came.
type Datagram struct {
	// Exporter is who sent it.
	Exporter netip.Addr
	// Port is where from. Templates do not depend on it: exporters send
	// templates from one port and data from another.
	Port uint16
	// ReceivedNs is the time of reception, nanoseconds since the epoch.
	ReceivedNs uint64
	// Payload is only read during the call.
	Payload []byte
	// Session is the number of the transport session the message came in
	// (RFC 7011 §10.4: a TCP or TLS connection), never used twice; 0 is UDP. A
	// session's templates are its own, until they are withdrawn or it ends. Payload is
	// then one IPFIX message, or empty: the end.
	Session uint64
}

// Normalizer keeps what must be known to read the next datagram: templates,
// samplers, clocks. It is not safe for concurrent use; all datagrams of an
// exporter must go to the same one, in order.
type Normalizer struct {
	cfg       Config
	exporters map[netip.Addr]*exporter
	// templates, fields (of these) and domains count those of all exporters.
	templates, fields, domains int
	// options, applications, connections and notices are what all exporters share.
	options, applications, connections, notices budget

	lastExporter              *exporter
	nextSweepNs, nextExpiryNs uint64
	// nowNs is the latest reception.
	nowNs uint64

	waiting waitingRoom
	// learnt has the templates of which others told while data waited for them.
	learnt []learntTemplate
	// dueNs is when something is to be done about these two.
	dueNs uint64
	// noticeList has the facts to tell again, and some that are gone; noticeHand is the
	// one to look at next.
	noticeList []*notice
	noticeHand int

	names          namer
	texts          texts
	rules          texts
	applicationIDs texts

	// Bounds of suspicion, in nanoseconds and milliseconds.
	futureNs, oldNs      uint64
	activeMs, inactiveMs uint32

	msg   message
	spans []span
	lists listReader
	dns   dnsReader
	// scratch is what the record in hand leaves beside its flow.
	scratch scratch
	writing writing
	fixed   fixedFormats
	v8      []aggregation
}

// never is a time that does not come.
const never = 1<<64 - 1

// New makes a normalizer that knows no exporter. The configuration must be valid.
func New(cfg Config) *Normalizer {
	return &Normalizer{
		cfg:            cfg,
		exporters:      map[netip.Addr]*exporter{},
		options:        budget{limit: cfg.MaxTotalOptionsEntries},
		applications:   budget{limit: cfg.MaxTotalOptionsEntries},
		connections:    budget{limit: cfg.MaxTotalFirewallConns},
		notices:        budget{limit: cfg.MaxFacts},
		texts:          newTexts(textOf),
		rules:          newTexts(ruleText),
		applicationIDs: newTexts(applicationText),
		futureNs:       uint64(cfg.FutureTolerance),
		oldNs:          uint64(cfg.OldTolerance),
		activeMs:       uint32(cfg.DefaultActiveTimeout.Milliseconds()),
		inactiveMs:     uint32(cfg.DefaultInactiveTimeout.Milliseconds()),
		fixed:          newFixedFormats(),
		v8:             v8Aggregations(),
		dueNs:          never,
	}
}

// message is one export message while it is read. A datagram may hold several
// IPFIX messages.
type message struct {
	kind       flowv1.FlowType
	from       netip.Addr
	port       uint16
	session    uint64
	receivedNs uint64
	exp        *exporter
	dom        *domain

	// header is the message's, as it came.
	header   []byte
	sequence uint32
	// exportNs is by the exporter's clock; 0 if it has none.
	exportNs uint64
	// uptime is the header's, in milliseconds, and bootMs when it was 0.
	hasUptime      bool
	uptime         uint32
	bootMs         int64
	headerSampling sampling
	// skewMs is what is added to the exporter's times.
	skewMs int64

	// hash is of all the datagram says and who sent it. Its upper part, base, is that
	// of the record ids; position is the lower part of the next.
	hash           uint64
	base, position uint64
	// end is where in the datagram the message ends, setEnd where the set does that
	// is read.
	end, setEnd int
	// records counts those that were cut out of the message; uncounted tells that
	// there are more.
	records   int
	uncounted bool
	// waited tells that a set has no template yet.
	waited bool
	// noRoom tells that such a set could not wait.
	noRoom bool
	// bad is the first reason for which part of the datagram could not be read.
	bad string
}

// exportedNs is when the message was exported: where its header does not tell, when it
// was received.
func (m *message) exportedNs() uint64 {
	if m.exportNs == 0 {
		return m.receivedNs
	}
	return m.exportNs
}

// exportMs is exportedNs in milliseconds.
func (m *message) exportMs() int64 { return int64(m.exportedNs() / nsPerMs) }

// fail notes that part of the datagram cannot be read.
func (m *message) fail(reason string) {
	if m.bad == "" {
		m.bad = reason
	}
}

// positionBits are the bits of a record id that tell the records of a datagram
// apart. They say where in the datagram the record begins, so that an identity
// depends neither on what could be read before it nor on when it was read. What a
// record gives rise to is never more than it has bytes: each takes the next one.
const positionBits = 16

// at says where in the datagram the record begins that is read now.
func (m *message) at(offset int) { m.position = uint64(offset) }

// nextID is the next identity of the record that is read.
func (m *message) nextID() uint64 {
	id := m.base | m.position&(1<<positionBits-1)
	m.position++
	return id
}

// Datagram adds what a datagram says to the result. What cannot be read becomes
// a dead letter; the rest of the datagram is used all the same.
func (n *Normalizer) Datagram(d Datagram, out *Result) {
	if d.Session != 0 && len(d.Payload) == 0 {
		n.endSession(d.Exporter, d.Session)
		return
	}
	out.Datagrams++
	n.nowNs = max(n.nowNs, d.ReceivedNs)
	if n.nowNs >= n.dueNs {
		n.readLearnt(out)
		n.expireWaiting(n.nowNs, out)
	}
	from := d.Exporter.Unmap().WithZone("")
	m := &n.msg
	*m = message{from: from, port: d.Port, session: d.Session, receivedNs: d.ReceivedNs}
	n.read(m, d.Payload, out)
	if m.bad != "" {
		out.BadDatagrams++
		out.bury(m.bad, m, d.Payload, n.cfg.MaxDeadBytes)
	} else if m.noRoom {
		out.bury(reasonTemplateMissing, m, d.Payload, n.cfg.MaxDeadBytes)
	}
}

// Advance says that it is nowNs, which every second or so ought to be said. Data
// whose template has become known is decoded, such that has waited too long
// becomes dead letters, and facts that have not been told for a while are told
// again (RepublishInterval), so that they survive on their topic.
func (n *Normalizer) Advance(nowNs uint64, out *Result) {
	n.nowNs = max(n.nowNs, nowNs)
	n.readLearnt(out)
	n.expireWaiting(n.nowNs, out)
	n.republish(n.nowNs, out)
}

// End says that nothing more comes: data that still waits becomes dead letters.
func (n *Normalizer) End(out *Result) {
	n.readLearnt(out)
	n.expireWaiting(never, out)
}

// read looks at the version and lets the format's reader do the rest.
func (n *Normalizer) read(m *message, b []byte, out *Result) {
	if len(b) < 4 {
		m.fail("truncated_header")
		return
	}
	if !m.from.IsValid() {
		m.fail("unknown_exporter")
		return
	}
	switch version := binary.BigEndian.Uint16(b); {
	case version == 1, version == 5, version >= 7 && version <= 10, binary.BigEndian.Uint32(b) == 5:
	default:
		m.fail("unknown_version")
		return
	}
	if m.exp = n.exporterOf(m.from, m.receivedNs); m.exp == nil {
		m.fail("too_many_exporters")
		return
	}
	m.hash = m.identity(b)
	m.base = m.hash &^ (1<<positionBits - 1)
	m.end = len(b)
	switch binary.BigEndian.Uint16(b) {
	case 1, 5, 7:
		n.netflow5(m, b, out)
	case 8:
		n.netflow8(m, b, out)
	case 9:
		n.netflow9(m, b, out)
	case 10:
		n.ipfix(m, b, out)
	default:
		n.sflow(m, b, out)
	}
}

// identity is a hash of who sent a datagram and of all it says, sequence number and
// export time among it. A datagram that comes twice gets the same.
func (m *message) identity(b []byte) uint64 {
	a := m.from.As16()
	h := xxhash.Sum64(a[:])
	return xxhash.Sum64(b) ^ h*0x9e3779b97f4a7c15
}
