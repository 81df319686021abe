package normalize

import (
	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// plan is what a template's records are turned into, worked out once when the
// template comes, so that a record costs no more than its steps: no lookup by
// element, no allocation.
type plan struct {
	// numbers are fetched first, reach is how far that looks, and directed tells that
	// a direction is among them; then come the addresses, and then the steps.
	numbers  []number
	reach    int
	directed bool
	ends     endpoints
	steps    []step
	// min is the length of the shortest record; fixed tells that all are that long.
	min   int
	fixed bool

	labels labels
	// event is what an event made of the record is called.
	event flowv1.EventKind
	// dual holds the indexes of the fields src4, dst4, src6, dst6 where a
	// template carries addresses of both families; which are meant is decided
	// for each record.
	dual         [4]int
	dualSixFirst bool

	start, end     timeSource
	durationInside bool // the record has a duration
	systemInit     bool // the record has the time of boot

	packetsUnknown bool // no count of packets
	// session tells that a firewall counts what a connection has had so far, or
	// since its last word, depending on the event (NSEL).
	session   bool
	reverse   bool // it may describe the way back too
	natLog    bool // of Nokia's: the address before translation stands in a text
	clients   bool // the source is the client, the destination the server (Cisco AVC)
	hint      bool // the source is the initiator, by kind of record
	rfc5103   bool // it has elements of the way back
	biflowDir bool // it has element 239
	icmp      icmpSource
	endField  int // index of element 21, -1 if none
	// lists are the indexes of fields that hold lists, and decor the steps that are
	// done where this template's records stand in a list of a flow.
	lists []int
	decor []step
	// direct is the short way of an ordinary record into the log; nil where there is none.
	direct *direct
	// dns says which fields tell of DNS, and record that it is one of YAF's records.
	dns    *dnsPlan
	record *recordPlan
}

// labels say what a record is. They do not exclude each other.
type labels struct {
	flow     bool // endpoints and volume
	firewall bool
	nat      bool
	app      bool // an application's transaction: decorates, never counts
	packet   bool // a section of a packet
}

// timeSource says where a time comes from.
type timeSource uint8

const (
	timeNone timeSource = iota
	timeAbsolute
	timeDelta  // microseconds before the export
	timeUptime // milliseconds since boot
)

// icmpSource says where ICMP's type and code stand, best last.
type icmpSource uint8

const (
	icmpInPort   icmpSource = iota // destination port: type·256 + code
	icmpTypeCode                   // 32, 139
	icmpSeparate                   // 176 to 179
)

// step writes one field of a record to its place.
type step struct {
	// wide and shift read the last 8 bytes of the field, or the field and what follows.
	wide   int32
	op     op
	shift  uint8
	length uint16
	offset int32
	field  uint16
}

// layout answers which fields a template has.
type layout map[element]int

func (l layout) has(e element) bool { _, ok := l[e]; return ok }

func (l layout) any(es ...element) bool {
	for _, e := range es {
		if l.has(e) {
			return true
		}
	}
	return false
}

// first is the first of the elements that a template has; 0 if it has none.
func (l layout) first(es ...element) element {
	for _, e := range es {
		if l.has(e) {
			return e
		}
	}
	return 0
}

// compile makes the plan of a template. Of an element that occurs more than
// once, the first counts: it is the outermost (RFC 7011 §8).
func compile(t *template, policy *Override) plan {
	p := plan{min: minLength(t.fields), fixed: true, endField: -1}
	l := layout{}
	offset := 0
	for i := range t.fields {
		f := &t.fields[i]
		f.offset = offset
		if f.length == variable {
			p.fixed = false
		} else {
			offset += int(f.length)
		}
		if _, again := l[f.element]; !again && f.usable() {
			l[f.element] = i
		}
	}
	if t.options {
		return p
	}
	c := compiler{l: l, fields: t.fields, p: &p}
	c.standIns()
	c.classify(t)
	c.addresses()
	c.counters(policy)
	c.times()
	c.rest()
	c.dnsFields()
	for _, st := range p.steps {
		if st.op.decorates() {
			p.decor = append(p.decor, st)
		}
	}
	p.direct = compileDirect(t, &p)
	p.takeNumbers()
	for i := range t.fields {
		if isList(t.fields[i].element) {
			p.lists = append(p.lists, i)
		}
	}
	return p
}

// usable tells whether a field can mean what its element says: it is no scope,
// not empty, and addresses have the length of addresses.
func (f *field) usable() bool {
	if f.scope || f.length == 0 {
		return false
	}
	switch f.element {
	case ieSrcIPv4, ieDstIPv4, ieCiscoClientIPv4, ieCiscoServerIPv4:
		return f.length == 4
	case ieSrcIPv6, ieDstIPv6, ieCiscoClientIPv6, ieCiscoServerIPv6:
		return f.length == 16
	}
	return true
}

// compiler collects the steps of a plan.
type compiler struct {
	l      layout
	fields []field
	p      *plan
}

// add has a field done by an operation, if the template has it.
func (c *compiler) add(e element, o op) bool {
	i, ok := c.l[e]
	if !ok {
		return false
	}
	f := &c.fields[i]
	st := step{op: o, length: f.length, field: uint16(i), offset: int32(f.offset), wide: int32(f.offset)}
	if f.length < 8 {
		st.shift = uint8(64 - 8*f.length)
	} else {
		st.wide += int32(f.length) - 8
	}
	c.p.steps = append(c.p.steps, st)
	return true
}

// standIns are elements that say the same as others, for templates without those: of
// Cisco AVC, whose connections have a client and a server instead of a source and a
// destination.
var standIns = []struct{ element, standIn element }{
	{ieSrcIPv4, ieCiscoClientIPv4}, {ieDstIPv4, ieCiscoServerIPv4},
	{ieSrcIPv6, ieCiscoClientIPv6}, {ieDstIPv6, ieCiscoServerIPv6},
	{ieSrcPort, ieCiscoClientPort}, {ieDstPort, ieCiscoServerPort},
}

// standIns has a client and a server be the endpoints of a template that has no others.
func (c *compiler) standIns() {
	l := c.l
	if l.hasEndpoints() || !l.has(ieCiscoClientIPv4) && !l.has(ieCiscoClientIPv6) {
		return
	}
	for _, s := range standIns {
		if i, ok := l[s.standIn]; ok {
			l[s.element] = i
		}
	}
	c.p.clients = l.hasEndpoints()
}

// hasEndpoints tells whether a template has the addresses of two hosts.
func (l layout) hasEndpoints() bool {
	return l.has(ieSrcIPv4) && l.has(ieDstIPv4) || l.has(ieSrcIPv6) && l.has(ieDstIPv6)
}

// classify sets the labels. A flow has two endpoints and a count; layer-2
// records, NAT bindings and routers' own counters are events.
func (c *compiler) classify(t *template) {
	l := c.l
	key := l.hasEndpoints()
	volume := l.any(ieOctetDelta, iePacketDelta, ieOctetTotal, iePacketTotal, iePostOctetDelta, iePostPacketDelta,
		ieInitiatorOctets, ieInitiatorPackets)
	c.p.labels = labels{
		firewall: l.any(ieFirewallEvent, ieCiscoFirewallEvent),
		nat:      l.any(ieNATEvent, ieNokiaNATSubscriber),
		packet:   l.any(ieFrameSection, ieLayer2Section, ieIPHeaderSection) && !(key && volume),
	}
	for i := range t.fields {
		if t.fields[i].element.pen() == penNetscaler {
			c.p.labels.app = true
		}
	}
	c.p.natLog = l.has(ieNokiaNATSubscriber)
	c.p.labels.flow = key && volume && !c.p.labels.app
	c.p.event = c.eventKind(key, volume)
}

// eventKind names events by their most telling label.
func (c *compiler) eventKind(key, volume bool) flowv1.EventKind {
	switch {
	case c.p.labels.firewall:
		return flowv1.EventKind_EVENT_KIND_FIREWALL
	case c.p.labels.nat:
		return flowv1.EventKind_EVENT_KIND_NAT
	case c.p.labels.app:
		return flowv1.EventKind_EVENT_KIND_APPLICATION
	case c.l.any(ieSrcMAC, ieDstMAC, iePostSrcMAC, iePostDstMAC):
		return flowv1.EventKind_EVENT_KIND_LAYER2
	case volume && !key:
		return flowv1.EventKind_EVENT_KIND_AGGREGATE
	case c.l.any(ieExportedOctets, ieExportedMessages, ieExportedFlows):
		return flowv1.EventKind_EVENT_KIND_STATUS
	}
	return flowv1.EventKind_EVENT_KIND_OTHER
}

// addresses plans the endpoints.
func (c *compiler) addresses() {
	l := c.l
	four, six := l.has(ieSrcIPv4) && l.has(ieDstIPv4), l.has(ieSrcIPv6) && l.has(ieDstIPv6)
	if four && six {
		c.p.dual = [4]int{l[ieSrcIPv4], l[ieDstIPv4], l[ieSrcIPv6], l[ieDstIPv6]}
		c.p.dualSixFirst = l[ieSrcIPv6] < l[ieSrcIPv4]
		c.p.steps = append(c.p.steps, step{op: opDual})
		return
	}
	if six {
		c.add(ieSrcIPv6, opSrcAddr)
		c.add(ieDstIPv6, opDstAddr)
		return
	}
	c.add(ieSrcIPv4, opSrcAddr)
	c.add(ieDstIPv4, opDstAddr)
}

// counters plans volume, there and back. Of several counts of the same packets
// one is taken: deltas before totals; the counts after the router (23, 24) only
// where there are no others (H3C's egress records).
func (c *compiler) counters(policy *Override) {
	l := c.l
	octets := l.first(ieOctetDelta, ieOctetTotal, ieInitiatorOctets, iePostOctetDelta)
	packets := l.first(iePacketDelta, iePacketTotal, ieInitiatorPackets, iePostPacketDelta)
	if c.p.clients && l.any(ieInitiatorOctets, ieInitiatorPackets) { // rather what each side sent
		octets, packets = l.first(ieInitiatorOctets, octets), l.first(ieInitiatorPackets, packets)
	}
	backOctets := l.first(reverse(ieOctetDelta), reverse(ieOctetTotal))
	backPackets := l.first(reverse(iePacketDelta), reverse(iePacketTotal))
	c.p.rfc5103 = backOctets != 0 || backPackets != 0
	c.p.biflowDir = l.has(ieBiflowDirection)
	c.p.hint = c.p.clients
	// Initiator and responder (NSEL, AVC): where 231 comes without a count of
	// its own. 232 alone is Huawei's v9, and something else.
	if octets == ieInitiatorOctets || octets == 0 && packets == ieInitiatorPackets {
		c.p.hint = true
		backOctets, backPackets = l.first(ieResponderOctets), l.first(ieResponderPackets)
	}
	if policy.has(QuirkOutBytesReverse) && octets != iePostOctetDelta {
		backOctets, backPackets = l.first(iePostOctetDelta), l.first(iePostPacketDelta)
	}
	if policy.has(QuirkIxiaReverse) && l.has(ieIxiaReverseOctets) {
		backOctets, backPackets = ieIxiaReverseOctets, l.first(ieIxiaReversePackets)
	}
	// Firewalls report sessions: the source is who opened it.
	if c.p.labels.firewall && octets == ieOctetTotal && l.any(ieCiscoFirewallEvent, ieCiscoExtEvent) {
		c.p.hint = true
	}
	c.p.session = c.p.labels.firewall && (octets == ieOctetTotal || octets == ieInitiatorOctets)
	c.p.packetsUnknown = packets == 0
	c.p.reverse = backOctets != 0 || backPackets != 0
	for _, s := range []struct {
		e element
		o op
	}{{octets, opBytes}, {packets, opPackets}, {backOctets, opReverseBytes}, {backPackets, opReversePackets}} {
		if s.e != 0 {
			c.add(s.e, s.o)
		}
	}
}

// times plans when the flow was: absolute times before deltas before uptimes
// (RFC 7011 §5.1), the more exact before the less.
func (c *compiler) times() {
	type source struct {
		e element
		o op
		s timeSource
	}
	pick := func(sources ...source) timeSource {
		for _, s := range sources {
			if c.add(s.e, s.o) {
				return s.s
			}
		}
		return timeNone
	}
	c.p.start = pick(
		source{ieStartNanos, opStartNTP, timeAbsolute}, source{ieStartMicros, opStartNTPMicros, timeAbsolute},
		source{ieStartMillis, opStartMillis, timeAbsolute}, source{ieStartSeconds, opStartSeconds, timeAbsolute},
		source{ieStartDeltaMicros, opStartDelta, timeDelta}, source{ieStartUptime, opStartUptime, timeUptime})
	c.p.end = pick(
		source{ieEndNanos, opEndNTP, timeAbsolute}, source{ieEndMicros, opEndNTPMicros, timeAbsolute},
		source{ieEndMillis, opEndMillis, timeAbsolute}, source{ieEndSeconds, opEndSeconds, timeAbsolute},
		source{ieEndDeltaMicros, opEndDelta, timeDelta}, source{ieEndUptime, opEndUptime, timeUptime})
	if c.p.end == timeUptime {
		c.p.endField = c.l[ieEndUptime]
	}
	if c.p.start == timeUptime || c.p.end == timeUptime {
		c.p.systemInit = c.add(ieSystemInit, opSystemInit)
	}
	c.p.durationInside = c.add(ieDurationMicros, opDurationMicros) || c.add(ieDurationMillis, opDurationMillis)
	pick(
		source{ieObservationNanos, opObservedNTP, timeAbsolute}, source{ieObservationMicros, opObservedNTPMicros, timeAbsolute},
		source{ieObservationMillis, opObservedMillis, timeAbsolute}, source{ieObservationSeconds, opObservedSeconds, timeAbsolute},
		source{ieCollectionMillis, opObservedMillis, timeAbsolute})
}

// rest plans all else.
func (c *compiler) rest() {
	for _, s := range plainSteps {
		c.add(s.element, s.op)
	}
	for _, s := range substitutes {
		if !c.l.has(s.missing) {
			c.add(s.element, s.op)
		}
	}
	for e := ieMPLSLabel1; e <= ieMPLSLabel10; e++ {
		c.add(e, opMPLSLabel)
	}
	four, six := c.add(ieICMPTypeCode4, opICMPTypeCode), c.add(ieICMPTypeCode6, opICMPTypeCode)
	if four || six {
		c.p.icmp = icmpTypeCode
	}
	four, six = c.add(ieICMPType4, opICMPType), c.add(ieICMPType6, opICMPType)
	if four || six {
		c.p.icmp = icmpSeparate
		c.add(ieICMPCode4, opICMPCode)
		c.add(ieICMPCode6, opICMPCode)
	}
}
