package normalize

import (
	"bytes"
	"encoding/hex"
	"strconv"

	"github.com/netsampler/goflow2/v2/decoders/sflow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// sampleEvent begins an event of an sFlow sample.
func (m *message) sampleEvent(kind flowv1.EventKind) *flowv1.Event {
	return &flowv1.Event{
		Type: m.kind, Kind: kind, SequenceNum: m.sequence,
		SamplerAddress: m.dom.agentWire, ObservationDomainId: m.dom.key.id,
		TimeReceivedNs: m.receivedNs, TimeEventNs: m.receivedNs, RecordId: m.nextID(), Realm: m.exp.realm,
		Attributes: map[string]string{},
	}
}

func decimal(v uint32) string { return strconv.FormatUint(uint64(v), 10) }

// otherSample makes an event of a flow sample that is of no IP packet: of another one, or
// of none, as of an application's transaction (sFlow Application Structures).
func (n *Normalizer) otherSample(m *message, f *flowv1.Flow, rate uint32, length uint64, records []sflow.FlowRecord, out *Result) {
	e := m.sampleEvent(flowv1.EventKind_EVENT_KIND_OTHER)
	e.InIf, e.OutIf, e.Bytes = f.InIf, f.OutIf, length
	e.Attributes["samplingInterval"] = decimal(rate)
	layer2(e, f)
	for i := range records {
		switch format := records[i].Header.DataFormat; {
		case format <= sflow.FLOW_TYPE_IPV6:
			e.Kind, e.Packets = flowv1.EventKind_EVENT_KIND_LAYER2, 1
		case format >= firstTransaction && format <= lastTransaction:
			e.Kind = flowv1.EventKind_EVENT_KIND_APPLICATION
		}
		if r, ok := records[i].Data.(sflow.RawRecord); ok {
			otherRecord(e, records[i].Header.DataFormat, r.Data)
		}
	}
	out.Events = append(out.Events, e)
	out.Records.Event++
}

// layer2 writes what a packet's frame tells.
func layer2(e *flowv1.Event, f *flowv1.Flow) {
	a := e.Attributes
	if f.SrcMac|f.DstMac != 0 {
		a["sourceMacAddress"], a["destinationMacAddress"] = macNumber(f.SrcMac), macNumber(f.DstMac)
	}
	if f.Etype != 0 {
		a["ethernetType"] = decimal(f.Etype)
	}
	if f.VlanId != 0 {
		a["vlanId"] = decimal(f.VlanId)
	}
}

// Records of samples that are no flows.
const (
	extendedHWTrap      = 1041
	extendedLinuxReason = 1042
	extendedSocketIPv4  = 2100
	extendedSocketIPv6  = 2101
	firstTransaction    = 2200
	lastTransaction     = 2208
)

// otherRecord writes a record that goflow2 leaves to us into an event: as attributes, or
// as it came.
func otherRecord(e *flowv1.Event, format uint32, b []byte) {
	x := xdr{b: b}
	switch format {
	case extendedHWTrap:
		setAttribute(&e.Attributes, "hwTrapGroup", textOf(x.bytes()))
		setAttribute(&e.Attributes, "hwTrap", textOf(x.bytes()))
	case extendedLinuxReason:
		setAttribute(&e.Attributes, "linuxDropReason", textOf(x.bytes()))
	case extendedSocketIPv4, extendedSocketIPv6: // protocol, the server's and the client's address, their ports
		size := addressSizes[1+format-extendedSocketIPv4]
		e.Proto = x.number()
		e.DstAddr, e.SrcAddr = addressIn(bytes.Clone(x.take(size))), addressIn(bytes.Clone(x.take(size)))
		e.DstPort, e.SrcPort = x.number(), x.number()
	default:
		setAttribute(&e.Attributes, "flow"+decimal(format>>12)+"/"+decimal(format&0xfff), hex.EncodeToString(b))
	}
}

func macNumber(v uint64) string {
	return macText([]byte{byte(v >> 40), byte(v >> 32), byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// dropSample makes an event of packets that were discarded (sFlow "discarded
// packet"), with the reason's number and as much of the packet as was sampled.
func (n *Normalizer) dropSample(m *message, s *sflow.DropSample, out *Result) {
	var f flowv1.Flow
	length, _, ip := readSampled(&f, s.Records, m.exp.outerTunnels, out)
	e := m.sampleEvent(flowv1.EventKind_EVENT_KIND_DROP)
	e.SrcAddr, e.DstAddr = append([]byte(nil), f.SrcAddr...), append([]byte(nil), f.DstAddr...)
	e.Proto, e.SrcPort, e.DstPort, e.IcmpType, e.IcmpCode = f.Proto, f.SrcPort, f.DstPort, f.IcmpType, f.IcmpCode
	// Whole ifIndexes, unlike those of a flow sample.
	e.InIf, e.OutIf = sampleInterface{value: s.Input}.index(), sampleInterface{value: s.Output}.index()
	e.Bytes, e.Packets = length, 1
	e.Attributes["dropReason"] = decimal(s.Reason)
	e.Attributes["drops"] = decimal(s.Drops)
	if !ip {
		layer2(e, &f)
	}
	for i := range s.Records {
		switch r := s.Records[i].Data.(type) {
		case sflow.EgressQueue:
			e.Attributes["egressQueue"] = decimal(r.Queue)
		case sflow.ExtendedACL:
			e.FirewallRule = textOf([]byte(r.Name))
			e.Attributes["aclNumber"] = decimal(r.Number)
		case sflow.ExtendedFunction:
			e.Attributes["function"] = textOf([]byte(r.Symbol))
		case sflow.RawRecord:
			otherRecord(e, s.Records[i].Header.DataFormat, r.Data)
		}
	}
	out.Events = append(out.Events, e)
	out.Records.Event++
}

// counterSample makes one event of all counters of a sample.
func (n *Normalizer) counterSample(m *message, s *sflow.CounterSample, out *Result) {
	e := m.sampleEvent(flowv1.EventKind_EVENT_KIND_COUNTER)
	e.Attributes["sourceIdType"] = decimal(s.Header.SourceIdType)
	e.Attributes["sourceIdIndex"] = decimal(s.Header.SourceIdValue)
	for i := range s.Records {
		switch r := s.Records[i].Data.(type) {
		case sflow.IfCounters:
			e.InIf = r.IfIndex
			interfaceCounters(e.Attributes, &r)
		case sflow.EthernetCounters:
			ethernetCounters(e.Attributes, &r)
		case sflow.RawRecord:
			format := s.Records[i].Header.DataFormat
			name := "counters" + decimal(format>>12) + "/" + decimal(format&0xfff)
			setAttribute(&e.Attributes, name, hex.EncodeToString(r.Data))
		}
	}
	out.Events = append(out.Events, e)
	out.Records.Event++
}

// interfaceCounters writes generic interface counters under the IF-MIB's names.
func interfaceCounters(a map[string]string, c *sflow.IfCounters) {
	a["ifSpeed"] = strconv.FormatUint(c.IfSpeed, 10)
	a["ifInOctets"] = strconv.FormatUint(c.IfInOctets, 10)
	a["ifOutOctets"] = strconv.FormatUint(c.IfOutOctets, 10)
	for _, v := range []struct {
		name  string
		value uint32
	}{
		{"ifIndex", c.IfIndex}, {"ifType", c.IfType}, {"ifDirection", c.IfDirection}, {"ifStatus", c.IfStatus},
		{"ifInUcastPkts", c.IfInUcastPkts}, {"ifInMulticastPkts", c.IfInMulticastPkts},
		{"ifInBroadcastPkts", c.IfInBroadcastPkts}, {"ifInDiscards", c.IfInDiscards},
		{"ifInErrors", c.IfInErrors}, {"ifInUnknownProtos", c.IfInUnknownProtos},
		{"ifOutUcastPkts", c.IfOutUcastPkts}, {"ifOutMulticastPkts", c.IfOutMulticastPkts},
		{"ifOutBroadcastPkts", c.IfOutBroadcastPkts}, {"ifOutDiscards", c.IfOutDiscards},
		{"ifOutErrors", c.IfOutErrors}, {"ifPromiscuousMode", c.IfPromiscuousMode},
	} {
		a[v.name] = decimal(v.value)
	}
}

// ethernetCounters writes Ethernet counters under the EtherLike-MIB's names.
func ethernetCounters(a map[string]string, c *sflow.EthernetCounters) {
	for _, v := range []struct {
		name  string
		value uint32
	}{
		{"dot3StatsAlignmentErrors", c.Dot3StatsAlignmentErrors}, {"dot3StatsFCSErrors", c.Dot3StatsFCSErrors},
		{"dot3StatsSingleCollisionFrames", c.Dot3StatsSingleCollisionFrames},
		{"dot3StatsMultipleCollisionFrames", c.Dot3StatsMultipleCollisionFrames},
		{"dot3StatsSQETestErrors", c.Dot3StatsSQETestErrors},
		{"dot3StatsDeferredTransmissions", c.Dot3StatsDeferredTransmissions},
		{"dot3StatsLateCollisions", c.Dot3StatsLateCollisions},
		{"dot3StatsExcessiveCollisions", c.Dot3StatsExcessiveCollisions},
		{"dot3StatsInternalMacTransmitErrors", c.Dot3StatsInternalMacTransmitErrors},
		{"dot3StatsCarrierSenseErrors", c.Dot3StatsCarrierSenseErrors},
		{"dot3StatsFrameTooLongs", c.Dot3StatsFrameTooLongs},
		{"dot3StatsInternalMacReceiveErrors", c.Dot3StatsInternalMacReceiveErrors},
		{"dot3StatsSymbolErrors", c.Dot3StatsSymbolErrors},
	} {
		a[v.name] = decimal(v.value)
	}
}
