package normalize

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

const (
	// maxStreams is how many counters of one observation domain are followed: some
	// devices export one domain from several processes, each with a counter and a
	// port of its own.
	maxStreams = 4
	// maxGaps is how many gaps of a counter are open at a time.
	maxGaps = 16
	// reorderNs is how long a gap may still be filled by what comes late.
	reorderNs = 5 * nsPerS
	// maxGap is the longest gap that is taken for loss; beyond, the counter was set.
	maxGap = 1 << 24
	// nearby is how far from a counter's next number another port's may be to
	// belong to it.
	nearby = 1024
	// sure is how many numbers must speak for what a counter counts.
	sure = 4
)

// sequences follows the sequence numbers of an observation domain. NetFlow v9 and
// sFlow count datagrams, v5 and IPFIX the records before this one (RFC 3954 §5.1,
// RFC 7011 §3.1); which of the two an exporter does is seen from its numbers, since
// some do otherwise.
type sequences struct {
	streams []sequence
	// byDatagrams tells that datagrams are counted. score is what speaks for it,
	// negative what speaks against, and matches how often it was right.
	byDatagrams bool
	score       int8
	matches     uint8
	// lost counts datagrams or records that did not come, reordered such that came
	// late, restarts how often a counter began anew.
	lost, reordered, restarts uint64
}

// sequence follows one counter.
type sequence struct {
	port   uint16
	lastNs uint64
	// next is the number that is expected, unless the last message's records
	// could not be counted.
	next  uint32
	known bool
	// last is the message before, by which the unit is judged.
	last, lastRecords uint32
	judged            bool
	// restart is what comes next, if the counter began anew.
	restart   uint32
	restarted bool
	gaps      []gap
}

// gap is a range of numbers that did not come: from ≤ n < to.
type gap struct {
	from, to uint32
	seenNs   uint64
}

// countsDatagrams tells what a format's sequence numbers ought to count.
func countsDatagrams(kind flowv1.FlowType) bool {
	return kind == flowv1.FlowType_FLOW_TYPE_NETFLOW_V9 || kind == flowv1.FlowType_FLOW_TYPE_SFLOW_5
}

// observe takes in a message with so many records; counted tells that these are all.
func (q *sequences) observe(port uint16, number uint32, records int, counted bool, nowNs uint64) {
	s, begun := q.streamOf(port, number)
	q.judge(s, number, begun)
	s.port, s.lastNs = port, nowNs
	step, recordsCounted := uint32(records), counted
	if q.byDatagrams {
		step, counted = 1, true
	}
	q.settle(s, nowNs)
	if q.follow(s, number, step, begun, nowNs) {
		s.next, s.known, s.restarted = number+step, counted, false
	}
	s.last, s.lastRecords, s.judged = number, uint32(records), recordsCounted
}

// follow holds a number against the counter. It returns whether the counter goes on
// from there.
func (q *sequences) follow(s *sequence, number, step uint32, begun bool, nowNs uint64) bool {
	ahead := int32(number - s.next)
	switch {
	case !begun || !s.known:
		return true
	case ahead == 0:
		q.matches = min(q.matches, sure) + 1
		return true
	case ahead > 0 && ahead <= maxGap:
		q.open(s, gap{s.next, number, nowNs})
		return true
	case ahead < 0 && s.fill(number, step):
		q.reordered++
		return false
	case s.restarted && number == s.restart:
		q.restarts++
		return true
	}
	// One number that does not fit may be anything, two in a row are a new count.
	s.restart, s.restarted = number+step, true
	return false
}

// streamOf finds the counter that a number belongs to: the one that expects it,
// that of its port, one that is near; else it begins another.
func (q *sequences) streamOf(port uint16, number uint32) (s *sequence, begun bool) {
	for i := range q.streams {
		if s := &q.streams[i]; s.known && s.next == number {
			return s, true
		}
	}
	oldest := 0
	for i := range q.streams {
		if q.streams[i].port == port {
			return &q.streams[i], true
		}
		if q.streams[i].lastNs < q.streams[oldest].lastNs {
			oldest = i
		}
	}
	for i := range q.streams {
		if s := &q.streams[i]; number-s.next+nearby <= 2*nearby {
			return s, true
		}
	}
	if len(q.streams) < maxStreams {
		q.streams = append(q.streams, sequence{})
		return &q.streams[len(q.streams)-1], false
	}
	s = &q.streams[oldest]
	q.settle(s, never)
	*s = sequence{gaps: s.gaps}
	return s, false
}

// judge looks at how far the number is from the one before: one, or as many as
// that message had records.
func (q *sequences) judge(s *sequence, number uint32, begun bool) {
	if !begun || !s.judged || s.lastRecords == 1 {
		return
	}
	switch number - s.last {
	case s.lastRecords:
		q.score = max(q.score, -2*sure) - 1
	case 1:
		q.score = min(q.score, 2*sure) + 1
	}
	if q.byDatagrams && q.score <= -sure || !q.byDatagrams && q.score >= sure {
		q.byDatagrams = !q.byDatagrams
		q.matches = 0
		for i := range q.streams { // the gaps were none
			q.streams[i].gaps, q.streams[i].known = q.streams[i].gaps[:0], false
		}
	}
}

// open notes a gap. Where there are too many, the oldest counts as lost.
func (q *sequences) open(s *sequence, g gap) {
	if len(s.gaps) == maxGaps {
		q.lost += uint64(s.gaps[0].to - s.gaps[0].from)
		s.gaps = append(s.gaps[:0], s.gaps[1:]...)
	}
	s.gaps = append(s.gaps, g)
}

// settle counts as lost what is missing for too long. As long as it is not sure
// what is counted, nothing is.
func (q *sequences) settle(s *sequence, nowNs uint64) {
	if q.matches < sure {
		return
	}
	done := 0
	for done < len(s.gaps) && s.gaps[done].seenNs+reorderNs <= nowNs {
		q.lost += uint64(s.gaps[done].to - s.gaps[done].from)
		done++
	}
	s.gaps = append(s.gaps[:0], s.gaps[done:]...)
}

// fill takes a late message's numbers out of the gap they are missing from, and
// tells whether there is one.
func (s *sequence) fill(number, step uint32) bool {
	for i := range s.gaps {
		g := &s.gaps[i]
		if number-g.from >= g.to-g.from {
			continue
		}
		before, after := gap{g.from, number, g.seenNs}, gap{number + step, g.to, g.seenNs}
		if step >= g.to-number {
			after.from = g.to
		}
		switch {
		case before.from == before.to && after.from == after.to:
			s.gaps = append(s.gaps[:i], s.gaps[i+1:]...)
		case before.from == before.to || len(s.gaps) == maxGaps && after.to-after.from > before.to-before.from:
			*g = after
		case after.from == after.to || len(s.gaps) == maxGaps:
			*g = before
		default:
			*g = before
			s.gaps = append(s.gaps, gap{})
			copy(s.gaps[i+2:], s.gaps[i+1:])
			s.gaps[i+1] = after
		}
		return true
	}
	return false
}
