package normalize

import (
	"slices"
	"strconv"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

const (
	// skewWindow is over how many slots of skewSlotNs an exporter's clock is held
	// against ours: ten minutes. One datagram of each slot counts.
	skewWindow = 120
	skewSlotNs = 5 * nsPerS
	// skewSamples is how many slots must have been heard, skewSpan how many must lie
	// between the first and the last of these.
	skewSamples, skewSpan = 5, 12
	// A clock is corrected once it is off by more than skewBeginMs, until it is off by
	// less than skewEndMs; the correction follows in steps of more than skewEndMs.
	skewBeginMs, skewEndMs = 2000, 1000
	// A clock that is off by jumpMs more or less than it was has been set: after so many
	// datagrams in a row, over so long, that agree to within skewBeginMs.
	jumpMs, jumpDatagrams, jumpSpanNs = 20_000, 3, 2 * nsPerS
	// skewAttribute is how a fact tells of the correction, in milliseconds.
	skewAttribute = "clockSkewMilliseconds"
)

// skewClock measures how far an exporter's clock is behind ours: the median of
// reception less export. It is what the exporter's times are corrected by, so it
// moves seldom and by much rather than always and by little.
type skewClock struct {
	samples []skewSample // by slot, modulo the window
	slot    uint64       // of the last sample
	// ms is the correction, measured or told by others at toldNs.
	ms       int64
	measured bool
	toldNs   uint64
	jump     skewJump
}

// skewJump are the latest datagrams in a row that tell of a clock that has been set.
type skewJump struct {
	ms      int64 // of the first
	sinceNs uint64
	n       int
}

type skewSample struct {
	slot uint64
	ms   int64
}

// observe takes in a datagram exported at exportNs, by a clock that shows multiples
// of resolutionNs. It tells whether the correction has changed.
func (c *skewClock) observe(exportNs, resolutionNs, receivedNs uint64) bool {
	ms := (int64(receivedNs/1000) - int64((exportNs+resolutionNs/2)/1000)) / 1000
	jumped := c.follow(ms, receivedNs)
	slot := receivedNs / skewSlotNs
	if slot <= c.slot {
		return jumped
	}
	if c.samples == nil {
		c.samples = make([]skewSample, skewWindow)
	}
	c.slot = slot
	c.samples[slot%skewWindow] = skewSample{slot, ms}
	return c.judge() || jumped
}

// follow looks whether the clock has been set. What was measured before says nothing
// then. One odd datagram moves nothing, nor do those that come late together: they
// agree, but all at one time.
func (c *skewClock) follow(ms int64, receivedNs uint64) bool {
	j := &c.jump
	if abs(ms-c.ms) <= jumpMs {
		j.n = 0
		return false
	}
	if j.n == 0 || abs(ms-j.ms) > skewBeginMs {
		*j = skewJump{ms: ms, sinceNs: receivedNs}
	}
	j.n++
	if j.n < jumpDatagrams || receivedNs < j.sinceNs+jumpSpanNs {
		return false
	}
	c.ms, c.measured, j.n = j.correction(), true, 0
	clear(c.samples)
	return true
}

// correction is that of a clock that has been set.
func (j *skewJump) correction() int64 {
	if abs(j.ms) <= skewBeginMs {
		return 0
	}
	return j.ms
}

// correction is that of the datagram observed last. One that is ahead of what the
// clock was cannot have been delayed on its way, so it is the clock.
func (c *skewClock) correction() int64 {
	if c.jump.n > 0 && c.jump.ms < c.ms && (c.measured || c.toldNs != 0) {
		return c.jump.correction()
	}
	return c.ms
}

// judge works out the correction from the window.
func (c *skewClock) judge() bool {
	var room [skewWindow]int64
	heard, first := room[:0], c.slot
	for _, s := range c.samples {
		if s.slot != 0 && s.slot+skewWindow > c.slot {
			heard = append(heard, s.ms)
			first = min(first, s.slot)
		}
	}
	if len(heard) < skewSamples || c.slot-first < skewSpan {
		return false
	}
	slices.Sort(heard)
	before, median := c.ms, heard[len(heard)/2]
	c.measured = true
	switch off := abs(median); {
	case off < skewEndMs:
		c.ms = 0
	case c.ms == 0 && off > skewBeginMs, c.ms != 0 && abs(median-c.ms) > skewEndMs:
		c.ms = median
	}
	return c.ms != before
}

// learn takes over what another has measured, until there is a measure of our own.
func (c *skewClock) learn(ms int64, atNs uint64) {
	if !c.measured && atNs >= c.toldNs {
		c.ms, c.toldNs = ms, atNs
	}
}

func abs(v int64) int64 { return max(v, -v) }

// setClock holds the exporter's clock against ours, and begins a message's times. A
// changed correction is told to the others.
func (n *Normalizer) setClock(m *message, resolutionNs uint64, out *Result) {
	if m.exportNs == 0 {
		return // there is no clock that could be wrong
	}
	c := &m.exp.skew
	if m.session == 0 && c.observe(m.exportNs, resolutionNs, m.receivedNs) {
		fact := &flowv1.ExporterFact{
			Type: m.kind, Kind: flowv1.ExporterFactKind_EXPORTER_FACT_KIND_OTHER,
			SamplerAddress: m.dom.agentWire, ObservationDomainId: m.dom.key.id, TimeReceivedNs: m.receivedNs,
			RecordId: m.nextID(), Attributes: map[string]string{skewAttribute: strconv.FormatInt(c.ms, 10)},
		}
		out.Facts = append(out.Facts, fact)
		n.note(m.dom, fact, 0, m.receivedNs)
	}
	m.skewMs = c.correction()
}

// corrected is a time by the exporter's clock as ours would have shown it.
func (m *message) corrected(ns uint64) uint64 {
	switch {
	case m.skewMs == 0 || ns == 0:
		return ns
	case m.skewMs < 0:
		return before(ns, uint64(-m.skewMs)*nsPerMs)
	}
	return ns + min(uint64(m.skewMs)*nsPerMs, never-ns)
}
