package biflow

import (
	"encoding/binary"

	"github.com/flowledger/flowledger/services/internal/snap"
)

// snapshotVersion changes with the layout below.
const snapshotVersion = 3

// AppendSnapshot appends the whole state: the observation points and their sets,
// who was evicted, then key by key the conversations, each chain oldest first, so
// that reading it back builds the same chains.
func (t *Table) AppendSnapshot(dst []byte) []byte {
	s := snap.Writer{B: dst}
	s.Uint(snapshotVersion)
	s.Int(int64(t.now))
	t.sets.points.append(&s)
	t.sets.append(&s)
	t.evictions.append(&s)
	s.Uint(uint64(t.open))
	var chain []uint32
	for id := range t.convs.Len() {
		c := t.convs.At(id)
		if !c.has(live) || c.has(behind) {
			continue
		}
		chain = append(chain[:0], id)
		for older, ok := t.older(c); ok; older, ok = t.older(t.convs.At(older)) {
			chain = append(chain, older)
		}
		for i := len(chain) - 1; i >= 0; i-- {
			t.appendConv(&s, t.convs.At(chain[i]))
		}
	}
	return s.B
}

// append writes every number that was ever given, so that the others can tell
// points by it; those that nobody holds come to nothing.
func (ps *points) append(s *snap.Writer) {
	s.Uint(uint64(ps.all.Len()))
	for n := range ps.all.Len() {
		p := ps.all.At(n)
		s.Bool(p.holders > 0)
		if p.holders > 0 {
			s.Fixed(p.sampler[:])
			s.Uint(uint64(p.domain))
			s.Bool(p.egress)
		}
	}
}

func (ss *sets) append(s *snap.Writer) {
	s.Uint(uint64(ss.all.Len()))
	for n := range ss.all.Len() {
		members := ss.all.At(n).members
		s.Uint(uint64(len(members)))
		for _, m := range members {
			s.Uint(uint64(m))
		}
	}
}

// kept are the marks that outlive a tick.
const kept = allMarks &^ (live | touched | behind | groupLow | groupHigh)

// hasMore is set in a snapshot where a conversation has what few have.
const hasMore = allMarks + 1

// appendConv writes a conversation: what is large and random as it is, the rest as
// what it takes; ticks and times as how long ago they were.
func (t *Table) appendConv(s *snap.Writer, c *conv) {
	m := c.marks & kept
	if c.more != 0 {
		m |= hasMore
	}
	s.Uint(uint64(m))
	s.Fixed([]byte{c.proto, c.ended, byte(c.client), c.evidence, byte(c.hint), byte(c.role), c.kind, c.quality})
	t.appendKey(s, c)
	s.B = binary.LittleEndian.AppendUint64(s.B, c.id) // a hash
	s.Uint(uint64(c.version))
	s.Uint(uint64(uint32(t.now) - c.last))
	s.Uint(uint64(uint32(t.now) - c.issued))
	s.Uint(uint64(c.wakeAt - uint32(t.now)))
	s.Uint(c.longest)
	s.Uint(uint64(c.rate))
	s.Uint(uint64(c.reporters))
	for i := range c.half {
		t.appendHalf(s, &c.half[i], c.icmp[i])
	}
	if c.more != 0 {
		t.appendMore(s, t.moreOf(c))
	}
}

func (t *Table) appendKey(s *snap.Writer, c *conv) {
	low, high := t.addresses(c)
	if c.has(wide) {
		s.Fixed(low[:])
		s.Fixed(high[:])
	} else {
		s.Fixed(low[12:])
		s.Fixed(high[12:])
	}
	s.Uint(uint64(c.realm))
	s.Uint(uint64(c.half[0].port))
	s.Uint(uint64(c.half[1].port))
}

func (t *Table) appendHalf(s *snap.Writer, h *half, icmp uint16) {
	s.Uint(uint64(h.segments))
	if h.segments == 0 {
		return
	}
	s.Fixed([]byte{h.flags, h.firstFlags})
	s.Uint(uint64(icmp))
	s.Uint(h.bytes)
	s.Uint(h.packets)
	s.Int(int64(t.now.Ns() - h.start))
	s.Int(int64(h.end - h.start))
	s.Uint(uint64(h.point))
}

func (t *Table) appendMore(s *snap.Writer, m *more) {
	for _, v := range []uint64{m.prev, m.opened, m.rate} {
		s.Uint(v)
	}
	for i := range m.post {
		s.Fixed(m.post[i].Addr[:])
		s.Uint(uint64(m.post[i].Port))
	}
	s.Bool(m.hasTold)
	for i := range m.told {
		s.Uint(m.told[i].bytes)
		s.Uint(m.told[i].packets)
	}
	s.Bool(m.names != 0)
	if m.names != 0 {
		for _, name := range t.names.At(m.names - 1).all() {
			s.String(*name)
		}
	}
}
