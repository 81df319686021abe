package biflow

import (
	"encoding/binary"
	"slices"

	"github.com/flowledger/flowledger/services/internal/snap"
)

// snapshotVersion changes with the layout below.
const snapshotVersion = 6

// usualConv is about how many bytes an open conversation takes in a snapshot: memory that
// grows piece by piece is copied, and touched for the first time, again and again.
const usualConv = 80

// AppendSnapshot appends the whole state: the observation points and the origins,
// who was evicted, then key by key the conversations, each chain oldest first, so
// that reading it back builds the same chains.
func (t *Table) AppendSnapshot(dst []byte) []byte {
	s := snap.Writer{B: slices.Grow(dst, 1<<10+usualConv*t.open)}
	s.Uint(snapshotVersion)
	s.Int(int64(t.now))
	t.origins.points.append(&s)
	t.origins.append(&s)
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

// append writes every number that was ever given; those that nobody holds come to
// nothing.
func (os *origins) append(s *snap.Writer) {
	s.Uint(uint64(os.all.Len()))
	for n := range os.all.Len() {
		o := os.all.At(n)
		if o.holders == 0 {
			s.Uint(0)
			continue
		}
		s.Uint(uint64(len(o.members)))
		for _, m := range o.members {
			s.Uint(uint64(m))
		}
		for _, p := range o.first {
			s.Uint(uint64(p + 1)) // 0 is none
		}
		s.Uint(o.rate)
		s.Uint(uint64(o.active))
		s.Uint(uint64(o.inactive))
		s.Fixed([]byte{o.kind, o.quality})
		s.Bool(o.mixed)
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
	s.Fixed([]byte{c.proto, c.ended, byte(c.client), c.evidence, byte(c.hint), byte(c.role)})
	t.appendKey(s, c)
	s.B = binary.LittleEndian.AppendUint64(s.B, c.id) // a hash
	s.Uint(uint64(c.version))
	s.Uint(uint64(uint32(t.now) - c.last))
	s.Uint(uint64(uint32(t.now) - c.issued))
	s.Uint(uint64(c.wakeAt - uint32(t.now)))
	s.Uint(c.longest)
	s.Uint(uint64(c.origin))
	for i := range c.half {
		t.appendHalf(s, c, i)
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

func (t *Table) appendHalf(s *snap.Writer, c *conv, side int) {
	h := &c.half[side]
	s.Uint(uint64(h.segments))
	if h.segments == 0 {
		return
	}
	s.Fixed([]byte{h.flags, h.firstFlags})
	s.Uint(uint64(c.icmp[side]))
	sent := t.volume(c, side)
	s.Uint(sent.bytes)
	s.Uint(sent.packets)
	s.Int(int64(t.now.Ns() - h.start.ns()))
	s.Int(int64(h.end.ns() - h.start.ns()))
}

func (t *Table) appendMore(s *snap.Writer, m *more) {
	for _, v := range []uint64{m.prev, m.opened} {
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
