package normalize

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// Names under which facts carry what has no field of its own.
const (
	systemInitAttribute   = "systemInitTimeMilliseconds"
	flowSelectorAttribute = "flowSelectorAlgorithm"
	flowIntervalAttribute = "samplingFlowInterval"
)

// interfaceAttributes say which interface a sampler's fact is about.
var interfaceAttributes = []string{"scopeInterface", "ingressInterface", "egressInterface"}

// learntTemplate is a template of which others told, and for which data waits.
type learntTemplate struct {
	dom      *domain
	id, port uint16
}

// Learn takes in a fact about an exporter that this or another normalizer told,
// now or before a restart: templates, samplers, timeouts, boot times, clock skew,
// names of applications and elements. So any replica decodes any exporter. What was heard
// later counts, whoever heard it; facts without use here, and such that cannot be
// read, are left. Data that waited for a template is decoded by the next call of
// Datagram or Advance. The fact is only read during the call.
func (n *Normalizer) Learn(f *flowv1.ExporterFact) {
	addr, ok := netip.AddrFromSlice(f.SamplerAddress)
	if !ok {
		return
	}
	switch f.Type {
	case flowv1.FlowType_FLOW_TYPE_NETFLOW_V5, flowv1.FlowType_FLOW_TYPE_NETFLOW_V9, flowv1.FlowType_FLOW_TYPE_IPFIX:
	default:
		return
	}
	e := n.exporterOf(addr.Unmap(), f.TimeReceivedNs)
	if e == nil {
		return
	}
	d := n.domainOf(e, domainKey{kind: f.Type, id: f.ObservationDomainId}, f.TimeReceivedNs)
	if d == nil {
		return
	}
	if f.Kind == flowv1.ExporterFactKind_EXPORTER_FACT_KIND_TEMPLATE {
		n.learnTemplate(e, d, f)
		return
	}
	if ms, err := strconv.ParseInt(f.Attributes[skewAttribute], 10, 64); err == nil {
		e.skew.learn(ms, f.TimeReceivedNs)
	}
	o := optionsOf(f)
	n.keep(e, d, &o, f.TimeReceivedNs)
	if c := d.notices[noticeKeyOf(f, o.interfaceID)]; c != nil && c.fact.TimeReceivedNs >= f.TimeReceivedNs {
		c.publishedNs = max(c.publishedNs, n.nowNs)
		return
	}
	n.note(d, copyFact(f), o.interfaceID, n.nowNs)
}

// learnTemplate takes in a template, unless the one we have was heard later.
func (n *Normalizer) learnTemplate(e *exporter, d *domain, f *flowv1.ExporterFact) {
	r, ok := n.parseTemplate(f.Type, f.Template)
	if !ok {
		return
	}
	port, _ := strconv.ParseUint(f.Attributes[portAttribute], 10, 16)
	if old := d.known(r.id, uint16(port)); old != nil && old.lifetime.receivedNs > f.TimeReceivedNs {
		return
	}
	t, changed := n.define(e, d, &r, f.Template, f.TimeReceivedNs, uint16(port))
	if t == nil {
		return
	}
	if s, err := strconv.ParseUint(f.Attributes[refreshAttribute], 10, 32); err == nil {
		t.lifetime.refreshNs = max(t.lifetime.refreshNs, s*nsPerS)
		t.lifetime.extend(n.cfg.TemplateTimeout)
	}
	if t.notice != nil && !changed {
		t.notice.publishedNs = max(t.notice.publishedNs, n.nowNs)
	} else {
		n.noteTemplate(d, t, templateFact(d, t, f.RecordId), n.nowNs, true)
	}
	l := learntTemplate{d, t.id, uint16(port)}
	if d.waiting[t.id] != nil && !slices.Contains(n.learnt, l) {
		n.learnt = append(n.learnt, l)
		n.dueNs = 0
	}
}

// optionsOf reads from a fact what the options record said of which it was made.
func optionsOf(f *flowv1.ExporterFact) (o options) {
	for _, name := range interfaceAttributes {
		if v, err := strconv.ParseUint(f.Attributes[name], 10, 64); err == nil {
			o.interfaceID = nonzero(v, o.interfaceID)
		}
	}
	if at, err := time.Parse(time.RFC3339Nano, f.Attributes[systemInitAttribute]); err == nil {
		o.systemInit = uint64(max(at.UnixMilli(), 0))
	}
	switch f.Kind {
	case flowv1.ExporterFactKind_EXPORTER_FACT_KIND_SAMPLER:
		o.samplerID = f.Id
		if f.Attributes[flowSelectorAttribute] != "" || f.Attributes[flowIntervalAttribute] != "" {
			o.sel.flows = true
		}
		o.sel.interval = f.SamplingRate
	case flowv1.ExporterFactKind_EXPORTER_FACT_KIND_TIMEOUTS:
		o.hasTimeouts, o.activeMs, o.inactiveMs = true, f.ActiveTimeoutMs, f.InactiveTimeoutMs
	case flowv1.ExporterFactKind_EXPORTER_FACT_KIND_APPLICATION:
		o.hasApplication, o.applicationKey, o.applicationName = true, f.Id, f.Name
	case flowv1.ExporterFactKind_EXPORTER_FACT_KIND_ELEMENT:
		o.pen, o.elementID, o.elementName = f.Id>>16, f.Id&0xffff, f.Name
		o.dataType, o.hasDataType = dataTypeOf(f.Attributes[dataTypeAttribute])
	}
	return o
}

// copyFact makes a fact of our own.
func copyFact(f *flowv1.ExporterFact) *flowv1.ExporterFact {
	c := &flowv1.ExporterFact{
		Type: f.Type, Kind: f.Kind, SamplerAddress: slices.Clone(f.SamplerAddress),
		ObservationDomainId: f.ObservationDomainId, TimeReceivedNs: f.TimeReceivedNs, TemplateId: f.TemplateId,
		Id: f.Id, Name: f.Name, SamplingRate: f.SamplingRate,
		ActiveTimeoutMs: f.ActiveTimeoutMs, InactiveTimeoutMs: f.InactiveTimeoutMs, RecordId: f.RecordId,
	}
	if len(f.Attributes) > 0 {
		c.Attributes = make(map[string]string, len(f.Attributes))
		for k, v := range f.Attributes {
			c.Attributes[k] = v
		}
	}
	return c
}
