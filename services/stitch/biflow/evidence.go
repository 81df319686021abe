package biflow

import (
	"slices"

	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// The confidence of each kind of evidence, in percent.
const (
	sureExporter      = 98
	sureByOrder       = 70 // RFC 5103 §6.1: without element 239 the order of a biflow is "out of band" knowledge
	sureFlags         = 97
	sureICMP          = 98
	sureMulticast     = 95
	sureFirstSeen     = 90
	sureDeclared      = 95
	sureDeclaredPort  = 88
	sureKnownPort     = 85
	sureSole          = 80
	sureSoleSoFar     = 75 // with ports that are a guess it must stay below frozen
	sureReservedPort  = 75
	sureJustFirst     = 70
	sureFirstElswhere = 60
	sureHeard         = 60
	sureLowerPort     = 55
	unsure            = 50
	// frozen: a direction this sure does not change any more.
	frozen = 90
	// contradiction is what evidence to the contrary takes off.
	contradiction = 15
)

// leastLead is by how much the first packet of a conversation must precede the
// answer for the order to tell more than ports: below it, times are not exact enough (of v5,
// whose exporters' start is reckoned anew with each datagram, one in five is wrong).
const leastLead = 2e6

// leastLeadElsewhere is the same between two exporters' clocks.
const leastLeadElsewhere = 2e9

// gatherEvidence notes what a flow itself tells about its source's role.
func (c *conv) gatherEvidence(side int, f *segment) {
	switch flowv1.InitiatorHint(f.hint) {
	case flowv1.InitiatorHint_INITIATOR_HINT_SOURCE:
		c.hint.strengthen(side, sureExporter)
	case flowv1.InitiatorHint_INITIATOR_HINT_DESTINATION:
		c.hint.strengthen(1-side, sureExporter)
	case flowv1.InitiatorHint_INITIATOR_HINT_SOURCE_BY_ORDER:
		c.hint.strengthen(side, sureByOrder)
	case flowv1.InitiatorHint_INITIATOR_HINT_DESTINATION_BY_ORDER:
		c.hint.strengthen(1-side, sureByOrder)
	}
	if c.proto == flow.ProtoTCP {
		switch f.role {
		case clientRole:
			c.role.strengthen(side, sureFlags)
		case serverRole:
			c.role.strengthen(1-side, sureFlags)
		}
	}
}

// judgement is who the client is, why, and how sure.
type judgement struct {
	side     uint8
	evidence flowv1.InitiatorEvidence
	percent  uint8
	conflict bool
	// reason is how sure the evidence that decided is by itself.
	reason uint8
	// stands tells that the evidence for the other side, which was told last, is still
	// there.
	stands bool
}

// opinion is one piece of evidence.
type opinion struct {
	verdict
	evidence flowv1.InitiatorEvidence
}

// judge weighs all evidence: the first that applies decides, each further one
// that agrees adds to the confidence, one that contradicts takes off. sameExporter
// tells whether one exporter reported both halves' first flows, sampled whether not
// all packets were counted, port is what their ports tell.
func (c *conv) judge(final, sameExporter, sampled bool, port opinion) judgement {
	j := judgement{evidence: flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_NONE, percent: unsure}
	decided := false
	list := c.opinions(final, sameExporter, sampled, port)
	for i := range list {
		o := &list[i]
		switch {
		case o.percent == 0:
		case !decided:
			j.side, j.evidence, j.percent, j.reason = o.side, o.evidence, o.percent, o.percent
			decided = true
		case o.side == j.side:
			j.percent = agree(j.percent, o.percent)
		case o.percent >= sureReservedPort:
			j.percent = max(j.percent-contradiction, unsure)
			j.conflict = true
		}
	}
	if !decided && !c.bothSpoke() {
		// Of what was missed nothing is known, so that most often who was heard asked.
		j.side, j.evidence, j.percent = c.speaker(), flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_FIRST_SEEN, sureHeard
	}
	if told := c.client.verdict().side; c.version > 0 && j.side != told {
		j.stands = slices.ContainsFunc(list[:], func(o opinion) bool {
			return o.percent > 0 && o.side == told && uint8(o.evidence) == c.evidence
		})
	}
	return j
}

// agree is the confidence of two independent verdicts for the same side.
func agree(a, b uint8) uint8 {
	doubt := uint16(100-a) * uint16(100-b) / 100
	return min(uint8(100-doubt), 99)
}

// opinions lists the evidence, strongest kind first (DESIGN.md §4).
//
// That only one side spoke means little while the report of the other may still
// be on its way: a known server port outranks it. Once the conversation is over
// it means that this side spoke first, whatever the ports, but for those that no client
// is given (answers); only what is declared of a host itself says more.
//
// The order alone of a biflow's two halves stands where its confidence puts it: there
// are exporters that put first what they saw first, and such that sort by address.
func (c *conv) opinions(final, sameExporter, sampled bool, port opinion) (list [9]opinion) {
	const (
		exporter  = flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_EXPORTER
		tcpFlags  = flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_TCP_FLAGS
		firstSeen = flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_FIRST_SEEN
		elsewhere = flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_FIRST_SEEN_ELSEWHERE
	)
	order, far := c.orderVerdict(sameExporter, sampled)
	sole := opinion{c.soleVerdict(final, sampled), firstSeen}
	role := c.role.verdict()
	if role.percent == 0 && c.proto == flow.ProtoTCP && !sampled {
		role = c.refusalVerdict()
	}
	told := opinion{c.hint.verdict(), exporter}
	var byOrder, just opinion
	if order.percent == sureJustFirst {
		order, just = verdict{}, opinion{order, firstSeen}
	}
	if told.percent == sureByOrder {
		told, byOrder = opinion{}, told
	}
	list = [9]opinion{told, {role, tcpFlags}, c.natureVerdict(), {order, firstSeen}}
	switch {
	case final && sole.percent > 0 && port.percent < sureDeclared && !c.answers(sole.side, port):
		list[4], list[5] = sole, port
	case port.percent > sureLowerPort:
		list[4], list[5], list[6], list[7], list[8] = port, sole, byOrder, just, opinion{far, elsewhere}
	default:
		list[4], list[5], list[6], list[7], list[8] = sole, byOrder, just, opinion{far, elsewhere}, port
	}
	return list
}

// natureVerdict is what the protocol itself tells: a multicast or broadcast address
// can only be addressed, even by what else is an answer, as routers advertise
// themselves; an ICMP request is sent by the client, and so is an error, which
// nobody asked for; DHCP's client has a port of its own, and
// mostly asks everybody, so that between the two only the answer is seen.
func (c *conv) natureVerdict() opinion {
	switch {
	case c.has(groupLow):
		return opinion{verdict{1, sureMulticast}, flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_MULTICAST}
	case c.has(groupHigh):
		return opinion{verdict{0, sureMulticast}, flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_MULTICAST}
	case flow.IsICMP(c.proto) && c.half[0].port != c.half[1].port:
		// The side that is asked has the type for its port.
		client := uint8(0)
		if c.half[0].port != 0 {
			client = 1
		}
		return opinion{verdict{client, sureICMP}, flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_ICMP_TYPE}
	case c.proto == flow.ProtoUDP && isDHCP(c.half[0].port, c.half[1].port):
		return opinion{verdict{0, sureDeclared}, flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_KNOWN_PORT}
	case c.proto == flow.ProtoUDP && isDHCP(c.half[1].port, c.half[0].port):
		return opinion{verdict{1, sureDeclared}, flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_KNOWN_PORT}
	}
	return opinion{}
}

// isDHCP tells the ports of DHCP (RFC 2131 §4.1, RFC 8415 §7.2).
func isDHCP(client, server uint16) bool {
	return client == 68 && server == 67 || client == 546 && server == 547
}

// refusalVerdict takes a side that only ever said RST|ACK, each time in one packet, for
// a server that refused, unless the other has acknowledged anything: then it aborted. Of
// some of the packets that cannot be told.
func (c *conv) refusalVerdict() verdict {
	for side := range c.half {
		h, other := &c.half[side], &c.half[1-side]
		refuses := h.flags&control == rst|ack && h.packets == h.segments
		if refuses && other.flags&ack == 0 {
			return verdict{uint8(1 - side), sureFlags}
		}
	}
	return verdict{}
}

// orderVerdict compares the starts of both halves. It tells only where nothing
// was sampled and both began with the conversation: TCP halves that carry flags
// but no SYN are continuations (RFC 5103 §5.1 warns of the active timeout).
func (c *conv) orderVerdict(sameExporter, sampled bool) (same, elsewhere verdict) {
	a, b := &c.half[0], &c.half[1]
	if a.segments == 0 || b.segments == 0 || sampled {
		return
	}
	if a.firstFlags != 0 && a.firstFlags&syn == 0 || b.firstFlags != 0 && b.firstFlags&syn == 0 {
		return
	}
	first, lead := uint8(0), b.start.ns()-a.start.ns()
	if b.start.ns() < a.start.ns() {
		first, lead = 1, a.start.ns()-b.start.ns()
	}
	switch {
	case sameExporter && lead >= leastLead:
		same = verdict{first, sureFirstSeen}
	case sameExporter && lead > 0:
		same = verdict{first, sureJustFirst}
	case !sameExporter && lead > leastLeadElsewhere:
		elsewhere = verdict{first, sureFirstElswhere}
	}
	return
}

// soleVerdict takes the only side that spoke for the client, if the exporter
// would have shown the other. It tells less as long as the other may yet be reported.
func (c *conv) soleVerdict(final, sampled bool) verdict {
	if sampled || !c.has(reverse) || c.bothSpoke() {
		return verdict{}
	}
	side := c.speaker()
	switch {
	case !c.half[side].begins(c.proto), c.proto == flow.ProtoUDP && answersAll(c.half[side].port, c.half[1-side].port):
		return verdict{}
	case !final:
		return verdict{side, sureSoleSoFar}
	}
	return verdict{side, sureSole}
}

// speaker is the side that spoke, where one did.
func (c *conv) speaker() uint8 {
	if c.half[0].segments == 0 {
		return 1
	}
	return 0
}

// answers tells that a side speaks from a known port below 1024, which only servers are
// given (RFC 6335 §6: System Ports), so that alone it answers what was not reported.
func (c *conv) answers(side uint8, port opinion) bool {
	return port.percent >= sureKnownPort && port.side != side && c.half[side].port < 1024
}

// begins tells whether a half that is alone can be the beginning of a conversation. One
// of TCP that acknowledges answers something, so that the other half is missing; what
// has no ports, though its protocol has, are the later fragments of packets.
func (h *half) begins(proto uint8) bool {
	if flow.HasPorts(proto) && h.port == 0 {
		return false
	}
	return h.flags == 0 || h.firstFlags&syn != 0 && h.flags&ack == 0
}

// answersAll tells that from is a port of a service that is asked by multicast and
// answers to the port that asked: the question is to another address then.
func answersAll(from, to uint16) bool {
	switch from {
	case 427, // SLP (RFC 2608)
		1900, // SSDP (UPnP)
		3702, // WS-Discovery
		5353, // multicast DNS (RFC 6762 §6.7)
		5355, // LLMNR (RFC 4795)
		5683: // CoAP (RFC 7252 §8)
		return from != to
	}
	return false
}

// portVerdict takes the side with the better known, reserved or lower port for
// the server, by the standings of both. A reserved port that is not listed against
// one that only the registry knows is no clear case: the lower is taken. One that is
// registered among those that old clients call from (lastOldEphemeral) tells nothing
// against one that is no client's of today either. The one known port that is the
// client's is FTP's for data (ftpData).
func (c *conv) portVerdict(low, high standing) opinion {
	ports := [2]uint16{c.half[0].port, c.half[1].port}
	if ports[0] == ports[1] && low == high || !flow.HasPorts(c.proto) {
		return opinion{}
	}
	server, best, least := uint8(0), low, high
	if best < least || best == least && ports[0] > ports[1] {
		server, best, least = 1, high, low
	}
	if best < declaredAnywhere && c.proto == flow.ProtoTCP && (ports[0] == ftpData) != (ports[1] == ftpData) {
		client := uint8(0)
		if ports[1] == ftpData {
			client = 1
		}
		return opinion{verdict{client, sureKnownPort}, flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_KNOWN_PORT}
	}
	if best > least && (best >= common || ports[1-server] >= 1024 && !isPrivileged(ports[server])) {
		if best == registered && ports[server] <= lastOldEphemeral && ports[1-server] < firstEphemeral {
			return opinion{}
		}
		return opinion{verdict{1 - server, best.sure()}, flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_KNOWN_PORT}
	}
	if server = 0; ports[0] > ports[1] {
		server = 1
	}
	percent := uint8(sureLowerPort)
	if ports[server] < firstPrivileged && ports[1-server] >= 1024 {
		percent = sureReservedPort
	}
	return opinion{verdict{1 - server, percent}, flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_LOWER_PORT}
}
