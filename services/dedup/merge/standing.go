package merge

import flowv1 "github.com/flowledger/flowledger/proto/flow/v1"

// standing says who counts for a flow, and in which realm.
type standing struct {
	// authority is the id of the observation point whose counts count.
	authority uint32
	// reason is why it is the authority.
	reason flowv1.Authority
	// timeouts is the authority's active plus inactive timeout, in milliseconds;
	// 0 is unknown.
	timeouts uint32
	realm    uint32
	// sampled: the authority sees a sample of the packets only.
	sampled bool
}

// standings numbers the standings of the flows that are remembered, as points does the
// points: there are as many as points, reasons, settings of exporters and realms go together.
type standings struct {
	byValue map[standing]uint32
	all     []standing
	// recent is the number asked for last, newest that of nobody asked for last.
	recent, newest uint32
}

const (
	// maxStandings is how many an entry can tell apart.
	maxStandings = 1 << (32 - standingShift)
	// Beyond maxTimed, timeouts are taken for unknown. Beyond maxNamed, who counts is not
	// remembered: what comes next is decided anew. The rest is for realms.
	maxTimed = maxStandings / 2
	maxNamed = maxStandings - 1<<16
)

func newStandings() standings {
	s := standings{byValue: make(map[standing]uint32)}
	s.number(standing{authority: noPoint})
	return s
}

// nobody is the standing of a flow of a realm that has no authority yet.
func (s *standings) nobody(realm uint32) uint32 {
	if s.all[s.newest].realm != realm {
		s.newest = s.number(standing{authority: noPoint, realm: realm})
	}
	return s.newest
}

func (s *standings) id(v standing) uint32 {
	if s.all[s.recent] != v {
		s.recent = s.number(v)
	}
	return s.recent
}

func (s *standings) number(v standing) uint32 {
	id, ok := s.byValue[v]
	switch {
	case ok:
		return id
	case len(s.all) >= maxTimed && v.timeouts != 0:
		v.timeouts = 0
		return s.number(v)
	case len(s.all) >= maxNamed && v.authority != noPoint:
		return s.number(standing{authority: noPoint, realm: v.realm})
	case len(s.all) == maxStandings:
		panic("BUG: 65,536 realms")
	}
	id = uint32(len(s.all))
	s.byValue[v] = id
	s.all = append(s.all, v)
	return id
}

// standing is that of an entry.
func (w *Window) standing(e *entry) *standing { return &w.standings.all[e.standing()] }
