package normalize

import (
	"bytes"
	"encoding/binary"
	"math"
)

const (
	// symmetrySample is how many conversations are tested at a time.
	symmetrySample = 64
	// symmetryGather is for how long they are chosen, and symmetryWait how long their other way
	// is waited for, nanoseconds: routers report both by the same timeouts. The next are
	// chosen symmetryEvery later than those were; paths seldom change.
	symmetryGather = 60e9
	symmetryWait   = 60e9
	symmetryEvery  = 600e9
	// symmetryLeast is how many must have been tested to tell anything.
	symmetryLeast = 8
)

// symmetry tests of what certainly had two ways, as it acknowledges, whether both are
// reported. Where paths are asymmetric, or only what comes in by some interfaces is
// metered, many are not: a missing answer is no sign there, though some are seen both ways.
//
// Tested are the conversations with the lowest hashes: which those are does not depend
// on which way is reported first.
type symmetry struct {
	began int64  // when the sample was begun, nanoseconds
	limit uint32 // the highest hash of a full sample
	tests []symmetryTest
	// lacking: of less than four in five both ways were reported.
	lacking bool
}

// symmetryTest is a conversation, who acknowledged first, and a bit for each way reported.
type symmetryTest struct {
	conversation, source uint32
	ways                 uint8
}

// testing tells whether conversations are tested at now.
func (s *symmetry) testing(now int64) bool {
	since := now - s.began
	if since <= symmetryGather+symmetryWait {
		return true
	}
	if len(s.tests) > 0 {
		s.judge()
		s.tests = s.tests[:0]
	}
	if since <= symmetryEvery {
		return false
	}
	s.began, s.limit = now, math.MaxUint32
	return true
}

// observe takes in a flow of TCP, which acknowledges or not, while they are tested. Most
// flows are of none that is tested, which takes little to tell.
func (s *symmetry) observe(srcAddr, dstAddr []byte, srcPort, dstPort uint32, acknowledges bool, now int64) {
	conversation := bothWaysHash(srcAddr, dstAddr, srcPort, dstPort)
	if conversation > s.limit {
		return
	}
	way := uint8(1)
	if order := bytes.Compare(srcAddr, dstAddr); order < 0 || order == 0 && srcPort < dstPort {
		way = 2
	}
	for i := range s.tests {
		if has := &s.tests[i]; has.conversation == conversation {
			has.ways |= way
			return
		}
	}
	if acknowledges && now-s.began <= symmetryGather {
		s.insert(symmetryTest{conversation, uint32(endpointHash(srcAddr, 0)), way})
	}
}

// bothWaysHash is the same for both ways of a conversation of TCP.
func bothWaysHash(srcAddr, dstAddr []byte, srcPort, dstPort uint32) uint32 {
	src, dst := folded(srcAddr), folded(dstAddr)
	h := uint64(src^dst)<<32 | uint64(src+dst)
	h ^= (uint64(srcPort^dstPort)<<32 | uint64(srcPort+dstPort)) * 0x9e3779b97f4a7c15
	h ^= h >> 32
	return uint32(h * 0xd6e8feb86659fd93 >> 32)
}

// folded is an address in 32 bits.
func folded(addr []byte) uint32 {
	switch len(addr) {
	case 4:
		return binary.BigEndian.Uint32(addr)
	case 16:
		h := binary.BigEndian.Uint64(addr)*0xc4ceb9fe1a85ec53 ^ binary.BigEndian.Uint64(addr[8:])
		return uint32(h * 0x9e3779b97f4a7c15 >> 32)
	}
	return 0
}

// insert adds a test, in the place of the one with the highest hash where there is no room.
func (s *symmetry) insert(t symmetryTest) {
	if len(s.tests) < symmetrySample {
		s.tests = append(s.tests, t)
	} else {
		s.tests[s.highest()] = t
	}
	if len(s.tests) == symmetrySample {
		s.limit = s.tests[s.highest()].conversation
	}
}

func (s *symmetry) highest() (at int) {
	for i := range s.tests {
		if s.tests[i].conversation > s.tests[at].conversation {
			at = i
		}
	}
	return at
}

// judge tells of how many both ways were reported. Of those that lack one each source counts
// once: who acknowledges to everybody what nobody said does not hide by it what he asks.
func (s *symmetry) judge() {
	both, lacking := 0, 0
	for i := range s.tests {
		switch {
		case s.tests[i].ways == bothWaysSeen:
			both++
		case !s.counted(i):
			lacking++
		}
	}
	if both+lacking >= symmetryLeast {
		s.lacking = both < 4*lacking
	}
}

// bothWaysSeen are the bits of both ways.
const bothWaysSeen = 3

// counted tells whether a test before this one lacks a way of the same source.
func (s *symmetry) counted(at int) bool {
	for _, t := range s.tests[:at] {
		if t.source == s.tests[at].source && t.ways != bothWaysSeen {
			return true
		}
	}
	return false
}

// acknowledges tells flags and a sampling rate of a flow of TCP that answers: the other side
// has spoken. A reset or a SYN|ACK may answer to what another has sent in its name, and of
// what is sampled the other way is often missed.
func acknowledges(flags uint32, rate uint64) bool {
	const syn, rst, ack, control = 0x02, 0x04, 0x10, 0x3f
	return rate <= 1 && flags&(rst|ack) == ack && flags&control != syn|ack
}
