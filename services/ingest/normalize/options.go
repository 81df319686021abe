package normalize

import (
	"strconv"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

func itoa(i int) string { return strconv.Itoa(i) }

// optionsRecord makes facts of an options record: one for each thing it tells of,
// each with all that the record says; and keeps what later flows need.
func (n *Normalizer) optionsRecord(m *message, t *template, data []byte, bounds []span, out *Result) {
	told := m.exp.told.count(m.receivedNs) <= n.cfg.MaxFactsPerMinute
	o := n.readOptions(m, t, data, bounds, told)
	if !n.keep(m.exp, m.dom, &o, m.receivedNs) {
		out.RefusedOptions++
	}
	if !told {
		out.UntoldOptions++
		return
	}
	before := len(out.Facts)
	add := func(kind flowv1.ExporterFactKind, id uint64, name string) *flowv1.ExporterFact {
		f := &flowv1.ExporterFact{
			Type: m.kind, Kind: kind, Id: id, Name: name,
			SamplerAddress: m.dom.agentWire, ObservationDomainId: m.dom.key.id, TimeReceivedNs: m.receivedNs,
			TemplateId: uint32(t.id), RecordId: m.nextID(), Attributes: o.attributes,
		}
		out.Facts = append(out.Facts, f)
		return f
	}
	if got := o.sampling(); got.rate != 0 || o.samplerID != 0 {
		add(flowv1.ExporterFactKind_EXPORTER_FACT_KIND_SAMPLER, o.samplerID, o.samplerName).SamplingRate = got.rate
	}
	if o.interfaceID != 0 && o.interfaceName != "" {
		add(flowv1.ExporterFactKind_EXPORTER_FACT_KIND_INTERFACE, o.interfaceID, o.interfaceName)
	}
	if o.hasVRF && o.vrfName != "" {
		add(flowv1.ExporterFactKind_EXPORTER_FACT_KIND_VRF, o.vrfID, o.vrfName)
	}
	if o.hasApplication && o.applicationName != "" {
		add(flowv1.ExporterFactKind_EXPORTER_FACT_KIND_APPLICATION, o.applicationKey, o.applicationName)
	}
	if o.hasTimeouts {
		f := add(flowv1.ExporterFactKind_EXPORTER_FACT_KIND_TIMEOUTS, 0, "")
		f.ActiveTimeoutMs, f.InactiveTimeoutMs = o.activeMs, o.inactiveMs
	}
	if o.statistics {
		add(flowv1.ExporterFactKind_EXPORTER_FACT_KIND_STATISTICS, 0, "")
	}
	if o.elementID != 0 && o.elementName != "" {
		add(flowv1.ExporterFactKind_EXPORTER_FACT_KIND_ELEMENT, uint64(elementOf(uint32(o.pen), uint16(o.elementID))), o.elementName)
	}
	if len(out.Facts) == before {
		add(flowv1.ExporterFactKind_EXPORTER_FACT_KIND_OTHER, 0, "")
	}
	if m.dom.key.session != 0 {
		return // nobody else reads what comes in this session
	}
	for _, f := range out.Facts[before:] {
		n.note(m.dom, f, o.interfaceID, m.receivedNs)
	}
}

// options is what was understood of an options record.
type options struct {
	sel             selector
	filter          filter
	samplerID       uint64
	samplerName     string
	interfaceID     uint64
	interfaceName   string
	vrfID           uint64
	hasVRF          bool
	vrfName         string
	hasApplication  bool
	applicationKey  uint64
	applicationName string
	hasTimeouts     bool
	activeMs        uint32
	inactiveMs      uint32
	statistics      bool
	pen, elementID  uint64
	elementName     string
	hasDataType     bool
	dataType        uint8
	systemInit      uint64
	attributes      map[string]string
}

// readOptions reads an options record, with its attributes where it is told of.
func (n *Normalizer) readOptions(m *message, t *template, data []byte, bounds []span, told bool) options {
	var o options
	v9 := m.kind == flowv1.FlowType_FLOW_TYPE_NETFLOW_V9
	for i := range t.fields {
		f := &t.fields[i]
		b := t.value(i, data, bounds)
		if f.element == iePadding || len(b) == 0 {
			continue
		}
		if told {
			setAttribute(&o.attributes, f.name, render(f.form, b, m.receivedNs))
		}
		if f.scope && v9 { // scopes of v9 have numbers of their own
			if f.element == scopeInterface {
				o.interfaceID = uintOf(b)
			}
			continue
		}
		o.field(f.element, b)
	}
	return o
}

// field takes in one field of an options record.
func (o *options) field(e element, b []byte) {
	switch e {
	case ieSamplingInterval, ieSamplerInterval:
		o.sel.interval = nonzero(o.sel.interval, uintOf(b))
	case iePacketInterval:
		o.sel.packetInterval = uintOf(b)
	case iePacketSpace:
		o.sel.packetSpace, o.sel.spaceTold = uintOf(b), true
	case ieSelectorAlgorithm:
		o.sel.algorithm = uint8(uintOf(b))
	case ieTimeInterval:
		o.filter.timeInterval = uintOf(b)
	case ieTimeSpace:
		o.filter.timeSpace = uintOf(b)
	case ieHashOutputMin, ieHashOutputMax, ieHashSelectedMin, ieHashSelectedMax:
		o.filter.hash[e-ieHashOutputMin] = uintOf(b)
		o.filter.told |= 1 << (e - ieHashOutputMin)
	case ieSamplingSize:
		o.sel.size = uintOf(b)
	case ieSamplingPopulation:
		o.sel.population = uintOf(b)
	case ieSamplingProbability:
		o.sel.probability = floatOf(b)
	case ieFlowSelector:
		o.sel.flows = true
	case ieFlowInterval:
		o.sel.flowInterval = uintOf(b)
	case ieFlowSpacing:
		o.sel.flowSpace = uintOf(b)
	case ieSamplerID, ieSelectorID:
		o.samplerID = nonzero(o.samplerID, uintOf(b))
	case ieSamplerName:
		o.samplerName = textOf(b)
	case ieIngressInterface, ieEgressInterface:
		o.interfaceID = nonzero(o.interfaceID, uintOf(b))
	case ieInterfaceName:
		o.interfaceName = textOf(b)
	case ieInterfaceDescription:
		if o.interfaceName == "" {
			o.interfaceName = textOf(b)
		}
	case ieIngressVRF, ieEgressVRF:
		o.vrfID, o.hasVRF = nonzero(o.vrfID, uintOf(b)), true
	case ieVRFName:
		o.vrfName = textOf(b)
	case ieApplicationID:
		o.hasApplication, o.applicationKey = true, applicationKey(b)
	case ieApplicationName:
		o.applicationName = textOf(b)
	case ieActiveTimeout:
		o.hasTimeouts, o.activeMs = true, timeoutMs(b)
	case ieIdleTimeout:
		o.hasTimeouts, o.inactiveMs = true, timeoutMs(b)
	case ieExportedOctets, ieExportedMessages, ieExportedFlows:
		o.statistics = true
	case ieEnterprise:
		o.pen = uintOf(b)
	case ieElementID:
		o.elementID = uintOf(b)
	case ieElementDataType:
		o.hasDataType, o.dataType = true, uint8(uintOf(b))
	case ieElementName:
		o.elementName = textOf(b)
	case ieSystemInit:
		o.systemInit = uintOf(b)
	}
}

// sampling is what the record says of how packets are chosen.
func (o *options) sampling() sampling {
	if got := o.sel.rate(); got.rate != 0 {
		return got
	}
	return o.filter.rate()
}

// timeoutMs reads a timeout in seconds (IANA elements 36 and 37).
func timeoutMs(b []byte) uint32 { return uint32(min(uintOf(b), 1<<20) * 1000) }

// keep keeps what later flows of the domain, or of the exporter, need, as it was
// heard at atNs; what was heard later stays. It returns false where there was no room.
func (n *Normalizer) keep(e *exporter, d *domain, o *options, atNs uint64) bool {
	kept := true
	if got := o.sampling(); got.rate != 0 {
		var added bool
		if added, kept = d.samplers.learn(samplerEntry{got, atNs}, o.samplerID, o.interfaceID, n.roomForOption(e.samplers)); added {
			e.samplers++
			n.options.used++
		}
	}
	if o.hasTimeouts && atNs >= d.timeoutsNs {
		d.activeMs, d.inactiveMs, d.timeoutsNs = o.activeMs, o.inactiveMs, atNs
	}
	if o.systemInit != 0 && atNs >= d.systemInitNs {
		d.systemInit, d.systemInitNs = o.systemInit, atNs
	}
	if o.hasApplication && o.applicationName != "" {
		e.applications.put(o.applicationKey, o.applicationName)
	}
	if o.elementID != 0 && o.elementName != "" {
		kept = n.learnElement(e, o, atNs) && kept
	}
	return kept
}
