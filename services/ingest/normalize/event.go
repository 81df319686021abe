package normalize

import (
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// event makes an event of a record, with all its fields: those that events
// have a place for, and the rest as attributes under the elements' names. Of an
// element that occurs again, the second is called name.2, and so on.
func (n *Normalizer) event(m *message, t *template, data []byte, bounds []span, out *Result) {
	e := &flowv1.Event{
		Type: m.kind, Kind: t.plan.event, SequenceNum: m.sequence,
		SamplerAddress: m.dom.agentWire, ObservationDomainId: m.dom.key.id,
		TimeReceivedNs: m.receivedNs, RecordId: m.nextID(), TemplateId: uint32(t.id),
	}
	w := eventWriter{n: n, m: m, e: e}
	left := maxListAttributes
	for i := range t.fields {
		f := &t.fields[i]
		b := t.value(i, data, bounds)
		if f.element == iePadding || len(b) == 0 {
			continue
		}
		if isList(f.element) && n.listAttributes(m, f.element, b, &e.Attributes, &left) {
			continue
		}
		if w.known(f.element, b) {
			continue
		}
		setAttribute(&e.Attributes, f.name, render(f.form, b, m.receivedNs))
		if f.element == ieApplicationID && !t.has(ieApplicationName) {
			if name, ok := m.exp.applications.get(applicationKey(b)); ok {
				setAttribute(&e.Attributes, n.names.name(ieApplicationName), name)
			}
		}
	}
	w.finish(t)
	out.Events = append(out.Events, e)
}

// has tells whether a template has an element.
func (t *template) has(e element) bool {
	return slices.ContainsFunc(t.fields, func(f field) bool { return f.element == e })
}

// setAttribute adds an attribute under a name that is still free. Empty texts
// say nothing and are left out.
func setAttribute(attributes *map[string]string, name, value string) {
	if value == "" {
		return
	}
	if *attributes == nil {
		*attributes = map[string]string{}
	}
	if _, taken := (*attributes)[name]; taken {
		base := name
		for i := 2; taken; i++ {
			name = base + "." + itoa(i)
			_, taken = (*attributes)[name]
		}
	}
	(*attributes)[name] = value
}

// eventWriter puts a record's fields into an event.
type eventWriter struct {
	n          *Normalizer
	m          *message
	e          *flowv1.Event
	vrf, vlan  uint32
	vni        uint32
	typeCode   uint32
	icmpFields bool
}

// known writes a field that events have a place for, and tells whether it did. A
// place that is taken stays; zero addresses do not take it.
func (w *eventWriter) known(el element, b []byte) bool {
	e := w.e
	switch el {
	case ieSrcIPv4, ieSrcIPv6, ieCiscoClientIPv4, ieCiscoClientIPv6:
		return setAddress(&e.SrcAddr, b)
	case ieDstIPv4, ieDstIPv6, ieCiscoServerIPv4, ieCiscoServerIPv6:
		return setAddress(&e.DstAddr, b)
	case iePostSrcIPv4, iePostSrcIPv6, ieCiscoPostSrcIPv4:
		return setAddress(&e.PostSrcAddr, b)
	case iePostDstIPv4, iePostDstIPv6, ieCiscoPostDstIPv4:
		return setAddress(&e.PostDstAddr, b)
	case ieSrcPort, ieTCPSrcPort, ieUDPSrcPort, ieCiscoClientPort:
		return setNumber(&e.SrcPort, b)
	case ieDstPort, ieTCPDstPort, ieUDPDstPort, ieCiscoServerPort:
		return setNumber(&e.DstPort, b)
	case iePostSrcPort, ieCiscoPostSrcPort:
		return setNumber(&e.PostSrcPort, b)
	case iePostDstPort, ieCiscoPostDstPort:
		return setNumber(&e.PostDstPort, b)
	case ieProtocol:
		return setNumber(&e.Proto, b)
	case ieIngressInterface:
		return setNumber(&e.InIf, b)
	case ieEgressInterface:
		return setNumber(&e.OutIf, b)
	case ieFirewallEvent, ieCiscoFirewallEvent:
		return setNumber(&e.FirewallEvent, b)
	case ieCiscoExtEvent:
		return setNumber(&e.FirewallExtEvent, b)
	case ieNATEvent:
		return setNumber(&e.NatEvent, b)
	case ieOctetDelta, ieOctetTotal:
		return setCount(&e.Bytes, b)
	case iePacketDelta, iePacketTotal:
		return setCount(&e.Packets, b)
	case ieFlowID:
		return setCount(&e.ConnectionId, b)
	case ieICMPType4, ieICMPType6:
		w.icmpFields = true
		return setNumber(&e.IcmpType, b)
	case ieICMPCode4, ieICMPCode6:
		return setNumber(&e.IcmpCode, b)
	case ieICMPTypeCode4, ieICMPTypeCode6:
		return setNumber(&w.typeCode, b)
	case ieCiscoUser, ieUserName, iePANUserID, ieNokiaNATSubscriber:
		return setText(&e.User, textOf(b))
	case ieCiscoIngressACL, ieCiscoEgressACL:
		if e.FirewallRule == "" && !zero(b) {
			e.FirewallRule = ruleText(b)
			return true
		}
		return zero(b)
	case ieBarracudaRule:
		return setText(&e.FirewallRule, textOf(b))
	case ieVMwareRule:
		return zero(b) || setText(&e.FirewallRule, render(formNumber, b, 0))
	case ieObservationSeconds:
		return w.setTime(secondsNs(uintOf(b)))
	case ieObservationMillis:
		return w.setTime(saturatingMs(uintOf(b)))
	case ieObservationMicros:
		return w.setTime(ntpMicrosNs(uintOf(b), w.m.receivedNs))
	case ieObservationNanos:
		return w.setTime(ntpNs(uintOf(b), w.m.receivedNs))
	case ieIngressVRF, ieViptelaVPN:
		w.vrf = uint32(uintOf(b))
	case ieVLAN, ieDot1qVLAN:
		w.vlan = uint32(uintOf(b))
	case ieLayer2Segment:
		w.vni = nonzeroVNI(w.vni, segmentVNI(uintOf(b)))
	case ieVMwareTunnelKey:
		w.vni = nonzeroVNI(w.vni, uintOf(b))
	}
	return false
}

func (w *eventWriter) setTime(ns uint64) bool {
	if w.e.TimeEventNs != 0 {
		return false
	}
	w.e.TimeEventNs = w.m.corrected(ns)
	return true
}

// finish works out what depends on more than one field.
func (w *eventWriter) finish(t *template) {
	e := w.e
	e.Realm = w.m.exp.realmOf(w.vni, w.vrf, w.vlan)
	if t.plan.natLog {
		w.natLog(t)
	}
	if e.TimeEventNs == 0 {
		e.TimeEventNs = w.m.corrected(w.m.exportNs)
	}
	if e.TimeEventNs == 0 {
		e.TimeEventNs = w.m.receivedNs
	}
	if e.Proto != flow.ProtoICMP && e.Proto != flow.ProtoICMPv6 {
		return
	}
	if !w.icmpFields {
		if w.typeCode == 0 && e.SrcPort == 0 {
			w.typeCode = e.DstPort
		}
		e.IcmpType, e.IcmpCode = w.typeCode>>8&0xff, w.typeCode&0xff
	}
	e.SrcPort, e.DstPort, e.PostSrcPort, e.PostDstPort = 0, 0, 0, 0
}

// natLog makes an event of Nokia's NAT log like others: the source is the one before
// translation, which the user's name ends with. In the older of its two formats the
// element of the source has the one after. A record with an end tells that the
// translation has ended.
func (w *eventWriter) natLog(t *template) {
	e := w.e
	if e.PostSrcAddr == nil {
		e.PostSrcAddr = e.SrcAddr
	}
	e.SrcAddr = nil
	if a, err := netip.ParseAddr(e.User[strings.LastIndexByte(e.User, '@')+1:]); err == nil {
		e.SrcAddr = a.AsSlice()
	}
	if len(e.SrcAddr) == 4 && e.NatEvent == 0 {
		e.NatEvent = nat44Created
		if t.plan.end != timeNone {
			e.NatEvent = nat44Deleted
		}
	}
}

// NAT events (RFC 8158 §5.1).
const nat44Created, nat44Deleted = 4, 5

// setAddress fills a place for an address.
func setAddress(place *[]byte, b []byte) bool {
	if len(b) != 4 && len(b) != 16 {
		return false
	}
	if zero(b) {
		return true
	}
	if *place != nil {
		return false
	}
	*place = append([]byte(nil), b...)
	return true
}

// setText fills a place for a text.
func setText(place *string, s string) bool {
	if *place != "" {
		return false
	}
	*place = s
	return true
}

// setNumber fills a place for a number.
func setNumber(place *uint32, b []byte) bool {
	v := uintOf(b)
	if *place != 0 || len(b) > 8 || v > math.MaxUint32 {
		return v == uint64(*place) && len(b) <= 8
	}
	*place = uint32(v)
	return true
}

// setCount fills a place for a count.
func setCount(place *uint64, b []byte) bool {
	if *place != 0 || len(b) > 8 {
		return false
	}
	*place = uintOf(b)
	return true
}
