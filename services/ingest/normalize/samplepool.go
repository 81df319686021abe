package normalize

import (
	"strconv"

	"github.com/netsampler/goflow2/v2/decoders/sflow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

const (
	// poolSpanNs and poolSamples are over how long, and over how many samples at least,
	// the rate of a data source is measured before it is told. The pool of 32 bits does
	// not go round in so many.
	poolSpanNs  = 300 * nsPerS
	poolSamples = 100
	// poolReorder is how many samples one may come late; beyond, the agent began anew.
	poolReorder = 1000
	// effectiveAttribute is how a fact tells of the rate that was measured.
	effectiveAttribute = "effectiveSamplingInterval"
)

// samplePool measures how a data source of an sFlow agent really samples: an agent that
// has more to do than it can leaves samples out or takes fewer, and says so by its
// counts. The rate that it states stays that of its flows, since it is the one that
// it was told to use when it took the packet; the measured one is told as a fact.
type samplePool struct {
	known bool
	last  poolCount // as of the newest sample
	base  poolCount // where the measurement began, at baseNs
	// baseNs is when.
	baseNs uint64
}

// poolCount is what a sample says of all before it: its number, how many packets could
// have been sampled, and how many samples were lost within the agent. All wrap.
type poolCount struct{ samples, pool, drops uint32 }

// observe takes in a sample. It returns what was counted since the measurement began,
// once that is enough, and how many samples were lost in the agent since the last one.
func (p *samplePool) observe(c poolCount, nowNs uint64) (measured poolCount, enough bool, drops uint32) {
	ahead := int32(c.samples - p.last.samples)
	switch {
	case !p.known, ahead < -poolReorder, c.pool-p.last.pool > 1<<31 && ahead > 0:
		*p = samplePool{known: true, last: c, base: c, baseNs: nowNs}
		return poolCount{}, false, 0
	case ahead <= 0:
		return poolCount{}, false, 0
	}
	if drops = c.drops - p.last.drops; drops > 1<<31 {
		drops = 0
	}
	p.last = c
	measured = poolCount{c.samples - p.base.samples, c.pool - p.base.pool, c.drops - p.base.drops}
	if measured.samples < poolSamples || nowNs < p.baseNs+poolSpanNs {
		return poolCount{}, false, drops
	}
	p.base, p.baseNs = c, nowNs
	return measured, true, drops
}

// effective is one in how many packets was sampled, rounded.
func (c poolCount) effective() uint64 {
	return (uint64(c.pool) + uint64(c.samples)/2) / uint64(c.samples)
}

// watchPool takes in the counts of a flow sample, and tells of the rate that they show.
func (n *Normalizer) watchPool(m *message, h *sflow.SampleHeader, rate uint32, c poolCount, out *Result) {
	d := m.dom
	source := uint64(h.SourceIdType)<<32 | uint64(h.SourceIdValue)
	p := d.pools[source]
	if p == nil {
		if !n.roomForOption(m.exp.pools) {
			out.RefusedOptions++
			return
		}
		m.exp.pools++
		n.options.used++
		if d.pools == nil {
			d.pools = map[uint64]*samplePool{}
		}
		p = &samplePool{}
		d.pools[source] = p
	}
	measured, enough, drops := p.observe(c, m.receivedNs)
	out.DroppedSamples += uint64(drops)
	if !enough {
		return
	}
	out.Facts = append(out.Facts, &flowv1.ExporterFact{
		Type: m.kind, Kind: flowv1.ExporterFactKind_EXPORTER_FACT_KIND_SAMPLER, Id: uint64(h.SourceIdValue), SamplingRate: uint64(rate),
		SamplerAddress: d.agentWire, ObservationDomainId: d.key.id, TimeReceivedNs: m.receivedNs, RecordId: m.nextID(),
		Attributes: map[string]string{
			"sourceIdType": decimal(h.SourceIdType), effectiveAttribute: strconv.FormatUint(measured.effective(), 10),
			"samples": decimal(measured.samples), "samplePool": decimal(measured.pool), "drops": decimal(measured.drops),
		},
	})
}
