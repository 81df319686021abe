package merge

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// standing says who counts for a flow.
type standing struct {
	// authority is the id of the observation point whose counts count.
	authority uint32
	// reason is why it is the authority.
	reason flowv1.Authority
	// timeouts is the authority's active plus inactive timeout, in milliseconds;
	// 0 is unknown.
	timeouts uint32
}

// nobody is the standing of a flow that has no authority yet; its number is 0.
var nobody = standing{authority: noPoint}

// standings numbers the standings seen, as points does the points: there are
// as many as points, reasons and settings of exporters go together.
type standings struct {
	byValue map[standing]uint32
	all     []standing
	recent  uint32
}

func newStandings() standings {
	return standings{byValue: map[standing]uint32{nobody: 0}, all: []standing{nobody}}
}

func (s *standings) id(v standing) uint32 {
	if s.all[s.recent] == v {
		return s.recent
	}
	id, ok := s.byValue[v]
	if !ok {
		id = uint32(len(s.all))
		s.byValue[v] = id
		s.all = append(s.all, v)
	}
	s.recent = id
	return id
}
