package normalize

import (
	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// sampling is what is known of how packets were chosen. Unknown is rate 0.
type sampling struct {
	rate uint64
	kind flowv1.SamplingKind
}

// oneIn is the sampling of one in rate packets; one in one is none at all, and
// zero says nothing.
func oneIn(rate uint64, kind flowv1.SamplingKind) sampling {
	switch rate {
	case 0:
		return sampling{}
	case 1:
		return sampling{1, flowv1.SamplingKind_SAMPLING_KIND_NONE}
	}
	return sampling{rate, kind}
}

// selector collects the elements of a record that describe sampling.
type selector struct {
	interval                    uint64 // 34, 50: one in how many
	algorithm                   uint8  // 304: by which of the following; 0 is not told
	packetInterval, packetSpace uint64 // 305 and 306: so many taken, so many left out
	spaceTold                   bool   // 306 was there
	size, population            uint64 // 309 and 310: n of N
	probability                 float64
	flowInterval, flowSpace     uint64 // 396 and 397: as 305 and 306, of flows
	flows                       bool   // 390: flows are selected, not packets
}

// Selector algorithms (IANA psamp-parameters, element 304) whose elements may stand
// beside those of others.
const (
	systematicByCount = 1
	randomNOfN        = 3
)

// rate tells the sampling a selector describes (RFC 5477 §8.2). Element 305 is not
// the rate but how many packets in a row are taken, and says nothing without 306;
// Cisco's IOS XR fills it with the population of its n of N.
func (s *selector) rate() sampling {
	kind := flowv1.SamplingKind_SAMPLING_KIND_PACKET
	if s.flows {
		kind = flowv1.SamplingKind_SAMPLING_KIND_FLOW
	}
	switch {
	case s.interval > 0:
		return oneIn(s.interval, kind)
	case s.flowInterval > 0:
		return oneIn(ratio(s.flowInterval, s.flowSpace), flowv1.SamplingKind_SAMPLING_KIND_FLOW)
	case s.packetInterval > 0 && s.spaceTold && s.algorithm != randomNOfN:
		return oneIn(ratio(s.packetInterval, s.packetSpace), kind)
	case s.size > 0 && s.population >= s.size && s.algorithm != systematicByCount:
		return oneIn((s.population+s.size/2)/s.size, kind)
	case s.probability > 0 && s.probability <= 1:
		return oneIn(uint64(1/s.probability+.5), kind)
	}
	return sampling{}
}

// ratio is (taken + left out) / taken, rounded.
func ratio(taken, left uint64) uint64 {
	if left > 1<<62 || taken > 1<<62 {
		return 0
	}
	return (taken + left + taken/2) / taken
}

// filter collects what options alone tell of a selector: systematic sampling by time,
// and filtering by a hash of the packet (RFC 5477 §8.2).
type filter struct {
	timeInterval, timeSpace uint64    // 307 and 308: microseconds taken, and left out
	hash                    [4]uint64 // 329 to 332: the range of its values, and of those taken, both from and to
	told                    uint8     // a bit for each of hash
}

// rate is the share of the time, or of the hash's values, that is taken. A hash takes
// the same packets everywhere, which the kind does not say.
func (f *filter) rate() sampling {
	const packet = flowv1.SamplingKind_SAMPLING_KIND_PACKET
	switch {
	case f.timeInterval > 0:
		return oneIn(ratio(f.timeInterval, f.timeSpace), packet)
	case f.told == 0b1111 && f.hash[0] <= f.hash[2] && f.hash[2] <= f.hash[3] && f.hash[3] <= f.hash[1]:
		all, taken := float64(f.hash[1]-f.hash[0])+1, float64(f.hash[3]-f.hash[2])+1
		return oneIn(uint64(min(all/taken+.5, 1<<63)), packet)
	}
	return sampling{}
}

// samplers is what the options of one observation domain said of sampling: by
// sampler or selector id, by interface, and for all.
type samplers struct {
	byID        map[uint64]samplerEntry
	byInterface map[uint64]samplerEntry
	all         samplerEntry
}

// samplerEntry is what was said of a sampler, and when.
type samplerEntry struct {
	sampling
	atNs uint64
}

// learn stores what an options record said; an id or interface is 0 where it
// names none. Without room, new ids are not learnt; what was said later stays. It tells
// whether there is an entry more, and whether there was room.
func (s *samplers) learn(got samplerEntry, id, ifIndex uint64, room bool) (added, kept bool) {
	kept = true
	put := func(m *map[uint64]samplerEntry, k uint64) {
		if *m == nil {
			*m = map[uint64]samplerEntry{}
		}
		old, ok := (*m)[k]
		if ok && old.atNs <= got.atNs || !ok && room {
			(*m)[k] = got
			added = !ok
		}
		kept = ok || room
	}
	switch {
	case id != 0:
		put(&s.byID, id)
	case ifIndex != 0:
		put(&s.byInterface, ifIndex)
	case got.atNs >= s.all.atNs:
		s.all = got
	}
	return added, kept
}

// len is the number of entries.
func (s *samplers) len() int { return len(s.byID) + len(s.byInterface) }

// find tells the sampling of a record by its sampler's id and its interface: the
// sampler's own, the interface's, the domain's.
func (s *samplers) find(id uint64, ifIndex uint32) sampling {
	if id != 0 && s.byID != nil {
		if got, ok := s.byID[id]; ok {
			return got.sampling
		}
	}
	if s.byInterface != nil {
		if got, ok := s.byInterface[uint64(ifIndex)]; ok {
			return got.sampling
		}
	}
	return s.all.sampling
}

// samplingOf decides what a record was sampled by: the record's own word, then
// the options', then the header's, then the configuration's; or the
// configuration's before all, where it is forced.
func (m *message) samplingOf(inRecord sampling, id uint64, ifIndex uint32) sampling {
	if m.exp.forced.rate != 0 {
		return m.exp.forced
	}
	if inRecord.rate != 0 {
		return inRecord
	}
	if got := m.dom.samplers.find(id, ifIndex); got.rate != 0 {
		return got
	}
	if m.headerSampling.rate != 0 {
		return m.headerSampling
	}
	return m.exp.configured
}
