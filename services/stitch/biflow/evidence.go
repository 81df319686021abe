package biflow

import (
	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// verdict is evidence that one side is the client, in percent; 0 is none.
type verdict struct {
	side    uint8
	percent uint8
}

// The confidence of each kind of evidence, in percent.
const (
	sureExporter      = 98
	sureByOrder       = 70 // RFC 5103 §6.1: without element 239 the order of a biflow is "out of band" knowledge
	sureFlags         = 97
	sureICMP          = 98
	sureMulticast     = 95
	sureFirstSeen     = 90
	sureKnownPort     = 85
	sureSole          = 80
	sureReservedPort  = 75
	sureFirstElswhere = 60
	sureLowerPort     = 55
	unsure            = 50
	// frozen: a direction this sure does not change any more.
	frozen = 90
	// contradiction is what evidence to the contrary takes off.
	contradiction = 15
)

// leastLead is by how much the first packet of a conversation must precede the
// answer for the order to tell: below it, times are not exact enough.
const leastLead = 2e6

// leastLeadElsewhere is the same between two exporters' clocks.
const leastLeadElsewhere = 2e9

// gatherEvidence notes what a flow itself tells about its source's role.
func (c *conv) gatherEvidence(side int, f *flowv1.Flow) {
	switch f.InitiatorHint {
	case flowv1.InitiatorHint_INITIATOR_HINT_SOURCE:
		c.hint.strengthen(side, sureExporter)
	case flowv1.InitiatorHint_INITIATOR_HINT_DESTINATION:
		c.hint.strengthen(1-side, sureExporter)
	case flowv1.InitiatorHint_INITIATOR_HINT_SOURCE_BY_ORDER:
		c.hint.strengthen(side, sureByOrder)
	case flowv1.InitiatorHint_INITIATOR_HINT_DESTINATION_BY_ORDER:
		c.hint.strengthen(1-side, sureByOrder)
	}
	if c.key.Proto == flow.ProtoTCP {
		switch flagRole(f) {
		case clientRole:
			c.flags.strengthen(side, sureFlags)
		case serverRole:
			c.flags.strengthen(1-side, sureFlags)
		}
	}
}

// strengthen keeps the stronger verdict; the first of two equals.
func (v *verdict) strengthen(side int, percent uint8) {
	if percent > v.percent {
		*v = verdict{uint8(side), percent}
	}
}

type role int

const (
	noRole role = iota
	clientRole
	serverRole
)

// flagRole reads TCP flags that only one side can have sent. Flags are or-ed
// over all packets of a flow, so SYN together with ACK tells nothing unless it
// is one packet's: the server's SYN|ACK, or a client's SYN and later ACKs.
// A SYN without any ACK is a client's, however many packets there were.
func flagRole(f *flowv1.Flow) role {
	flags, single := f.TcpFlags, f.Packets == 1
	if f.InitialTcpFlags != 0 {
		flags, single = f.InitialTcpFlags, true
	}
	if f.Type == flowv1.FlowType_FLOW_TYPE_AWS_VPC {
		// AWS reports SYN as 2, SYN|ACK as 18, and never ACK alone.
		single = true
	}
	switch {
	case flags&(syn|ack) == syn:
		return clientRole
	case single && (flags&(syn|ack) == syn|ack || flags&0x3f == rst|ack):
		return serverRole
	}
	return noRole
}

// judgement is who the client is, why, and how sure.
type judgement struct {
	side     uint8
	evidence flowv1.InitiatorEvidence
	percent  uint8
	conflict bool
}

// opinion is one piece of evidence.
type opinion struct {
	verdict
	evidence flowv1.InitiatorEvidence
}

// judge weighs all evidence: the first that applies decides, each further one
// that agrees adds to the confidence, one that contradicts takes off.
func (c *conv) judge(final bool) judgement {
	j := judgement{0, flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_NONE, unsure, false}
	decided := false
	for _, o := range c.opinions(final) {
		switch {
		case o.percent == 0:
		case !decided:
			j.side, j.evidence, j.percent = o.side, o.evidence, o.percent
			decided = true
		case o.side == j.side:
			j.percent = agree(j.percent, o.percent)
		case o.percent >= sureReservedPort:
			j.percent = max(j.percent-contradiction, unsure)
			j.conflict = true
		}
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
// it means that this side spoke first, whatever the ports.
func (c *conv) opinions(final bool) (list [7]opinion) {
	const (
		exporter  = flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_EXPORTER
		tcpFlags  = flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_TCP_FLAGS
		firstSeen = flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_FIRST_SEEN
		elsewhere = flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_FIRST_SEEN_ELSEWHERE
	)
	order, far := c.orderVerdict()
	sole, port := opinion{c.soleVerdict(), firstSeen}, c.portVerdict()
	list = [7]opinion{{c.hint, exporter}, {c.flags, tcpFlags}, c.natureVerdict(), {order, firstSeen}}
	switch {
	case final && sole.percent > 0:
		list[4] = sole
	case port.percent > sureLowerPort:
		list[4], list[5], list[6] = port, sole, opinion{far, elsewhere}
	default:
		list[4], list[5], list[6] = sole, opinion{far, elsewhere}, port
	}
	return list
}

// natureVerdict is what the protocol itself tells: an ICMP request is sent by
// the client, and so is an error, which nobody asked for; a multicast or
// broadcast address can only be addressed.
func (c *conv) natureVerdict() opinion {
	if flow.IsICMP(c.key.Proto) && c.key.Low.Port != c.key.High.Port {
		// The side that is asked has the type for its port.
		client := uint8(0)
		if c.key.Low.Port != 0 {
			client = 1
		}
		return opinion{verdict{client, sureICMP}, flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_ICMP_TYPE}
	}
	for side, e := range [2]*flow.Endpoint{&c.key.Low, &c.key.High} {
		if isGroup(&e.Addr) {
			return opinion{verdict{uint8(1 - side), sureMulticast}, flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_MULTICAST}
		}
	}
	return opinion{}
}

// isGroup tells multicast (224/4, ff00::/8) and limited broadcast addresses.
func isGroup(a *flow.Addr) bool {
	if a.Is4() {
		return a[12]>>4 == 0xe || a[12] == 255 && a[13] == 255 && a[14] == 255 && a[15] == 255
	}
	return a[0] == 0xff
}

// orderVerdict compares the starts of both halves. It tells only where nothing
// was sampled and both began with the conversation: TCP halves that carry flags
// but no SYN are continuations (RFC 5103 §5.1 warns of the active timeout).
func (c *conv) orderVerdict() (same, elsewhere verdict) {
	a, b := &c.half[0], &c.half[1]
	if a.segments == 0 || b.segments == 0 || c.sampling > 1 {
		return
	}
	if a.firstFlags != 0 && a.firstFlags&syn == 0 || b.firstFlags != 0 && b.firstFlags&syn == 0 {
		return
	}
	first, lead := uint8(0), b.start-a.start
	if b.start < a.start {
		first, lead = 1, a.start-b.start
	}
	switch {
	case a.sampler == b.sampler && lead >= leastLead:
		same = verdict{first, sureFirstSeen}
	case a.sampler != b.sampler && lead > leastLeadElsewhere:
		elsewhere = verdict{first, sureFirstElswhere}
	}
	return
}

// soleVerdict takes the only side that spoke for the client, if the exporter
// would have shown the other. A TCP half that is no beginning tells nothing.
func (c *conv) soleVerdict() verdict {
	side := uint8(0)
	switch {
	case c.sampling > 1 || c.half[0].segments > 0 && c.half[1].segments > 0:
		return verdict{}
	case c.half[0].segments == 0:
		side = 1
	}
	if h := &c.half[side]; !c.reverse || h.firstFlags != 0 && h.firstFlags&syn == 0 {
		return verdict{}
	}
	return verdict{side, sureSole}
}

// portVerdict takes the side with the better known, reserved or lower port for
// the server. A reserved port that is not listed against one that only the
// registry knows is no clear case: the lower is taken.
func (c *conv) portVerdict() opinion {
	low, high := c.key.Low.Port, c.key.High.Port
	if low == high || !flow.HasPorts(c.key.Proto) {
		return opinion{}
	}
	known, other := low, high
	best, least := standingOf(c.key.Proto, low), standingOf(c.key.Proto, high)
	if best < least || best == least && low > high {
		known, other, best, least = high, low, least, best
	}
	client := uint8(0)
	if known == low {
		client = 1
	}
	if best > least && (best == common || other >= 1024) {
		return opinion{verdict{client, sureKnownPort}, flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_KNOWN_PORT}
	}
	if known > other {
		client = 1 - client
	}
	percent := uint8(sureLowerPort)
	if (low < 1024) != (high < 1024) {
		percent = sureReservedPort
	}
	return opinion{verdict{client, percent}, flowv1.InitiatorEvidence_INITIATOR_EVIDENCE_LOWER_PORT}
}
