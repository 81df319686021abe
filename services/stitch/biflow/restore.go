package biflow

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/snap"
)

// leastConv is the least that a conversation takes in a snapshot, so that a damaged
// one cannot ask for more memory than its length allows.
const leastConv = 38

// restorer reads a snapshot. What cannot have been written is an error, not a
// state to go on from.
type restorer struct {
	*snap.Reader
	t *Table
	// points and sets are the numbers that the snapshot's have now; none is no such.
	points, sets []uint32
	damaged      bool
}

// Restore fills an empty table from a snapshot.
func (t *Table) Restore(b []byte) error {
	r := restorer{Reader: snap.NewReader(b), t: t}
	if v := r.Uint(); v != snapshotVersion && r.Err() == nil {
		return fmt.Errorf("cannot restore stitch's state: snapshot has version %d, this program reads %d", v, snapshotVersion)
	}
	t.now = eventtime.Tick(r.Int())
	r.readPoints()
	r.readSets()
	r.readEvictions()
	n := r.Len()
	if r.check(n <= len(b)/leastConv) {
		t.index.Reserve(n)
		for i := 0; i < n && r.ok(); i++ {
			r.restoreConv()
		}
	}
	r.release()
	if err := r.Close(); err != nil || r.damaged {
		return fmt.Errorf("cannot restore stitch's state: %w", cmp.Or(err, snap.ErrCorrupt))
	}
	return nil
}

// check notes damage where something is not as it must be.
func (r *restorer) check(ok bool) bool {
	r.damaged = r.damaged || !ok
	return r.ok()
}

func (r *restorer) ok() bool { return !r.damaged && r.Err() == nil }

// upTo reads a number that is at most max.
func (r *restorer) upTo(most uint64) uint64 {
	v := r.Uint()
	r.check(v <= most)
	return v
}

func (r *restorer) uint32() uint32 { return uint32(r.upTo(math.MaxUint32)) }

func (r *restorer) uint16() uint16 { return uint16(r.upTo(math.MaxUint16)) }

// readPoints takes the points and holds them until conversations do.
func (r *restorer) readPoints() {
	for n := r.Len(); n > 0 && r.ok(); n-- {
		number := none
		if r.Bool() {
			var p point
			r.Fixed(p.sampler[:])
			p.domain, p.egress = r.uint32(), r.Bool()
			number = r.t.sets.points.take(&p)
		}
		r.points = append(r.points, number)
	}
}

func (r *restorer) point() uint32 { return r.number(r.points) }

// number reads a number of the snapshot's and tells what it is now. It exists, or
// the snapshot is damaged.
func (r *restorer) number(now []uint32) uint32 {
	n := r.Uint()
	if !r.check(n < uint64(len(now))) || !r.check(now[n] != none) {
		return none
	}
	return now[n]
}

func (r *restorer) readSets() {
	var members []uint32
	for n := r.Len(); n > 0 && r.ok(); n-- {
		members = members[:0]
		for m := r.upTo(maxReporters); m > 0 && r.ok(); m-- {
			members = append(members, r.point())
		}
		number := none
		if r.ok() && len(members) > 0 {
			ps := &r.t.sets.points
			for i := range members[1:] {
				r.check(ps.at(members[i]).compare(ps.at(members[i+1])) < 0)
			}
			number = r.t.sets.take(members)
		}
		r.sets = append(r.sets, number)
	}
}

// release leaves points and sets to those who hold them now.
func (r *restorer) release() {
	for _, n := range r.sets {
		if n != none {
			r.t.sets.drop(n)
		}
	}
	for _, n := range r.points {
		if n != none {
			r.t.sets.points.drop(n)
		}
	}
}

func (r *restorer) restoreConv() {
	t := r.t
	id, c := t.convs.Take()
	*c = conv{}
	r.read(c)
	if !r.ok() {
		return // the table is of no use
	}
	if newest, ok := t.newest(c); ok {
		t.setOlder(c, newest, true)
		t.convs.At(newest).marks |= behind
		t.index.Delete(t.hash(c), newest)
	}
	t.index.Insert(t.hash(c), id)
	t.timers.Set(t.full(c.wakeAt), id)
	t.open++
}

func (r *restorer) read(c *conv) {
	m := marks(r.upTo(uint64(kept | hasMore)))
	r.check(m&^(kept|hasMore) == 0)
	c.marks = m&kept | live
	var b [8]byte
	r.Fixed(b[:])
	c.proto, c.ended, c.client, c.evidence = b[0], b[1], packed(b[2]), b[3]
	c.hint, c.role, c.kind, c.quality = packed(b[4]), packed(b[5]), b[6], b[7]
	for _, p := range [...]packed{c.client, c.hint, c.role} {
		r.check(p.verdict().percent <= 100)
	}
	r.readKey(c)
	r.Fixed(b[:])
	c.id = binary.LittleEndian.Uint64(b[:])
	c.version = r.uint32()
	now := uint32(r.t.now)
	c.last, c.issued = now-r.uint32(), now-r.uint32()
	ahead := r.upTo(math.MaxInt32)
	r.check(ahead > 0)
	c.wakeAt = now + uint32(ahead)
	c.longest = r.Uint()
	c.rate = r.uint32()
	set := r.number(r.sets)
	if !r.ok() {
		return
	}
	c.reporters = set
	r.t.sets.hold(set)
	for i := range c.half {
		r.readHalf(&c.half[i], &c.icmp[i])
	}
	r.check(c.half[0].segments > 0 || c.half[1].segments > 0)
	if m.has(hasMore) {
		r.readMore(r.t.makeMore(c))
	}
}

// readKey reads endpoints. Only such as they are written: in their order, and in
// the short form if both are IPv4.
func (r *restorer) readKey(c *conv) {
	var p place
	p.proto = c.proto
	if c.has(wide) {
		p.pair = new(pair)
		r.Fixed(p.pair.low[:])
		r.Fixed(p.pair.high[:])
		r.check(!p.pair.low.Is4() || !p.pair.high.Is4())
	} else {
		var b [8]byte
		r.Fixed(b[:])
		p.low, p.high = [4]byte(b[:]), [4]byte(b[4:])
	}
	p.realm, p.lowPort, p.highPort = r.uint32(), r.uint16(), r.uint16()
	r.t.setKey(c, &p)
	k := r.t.key(c)
	r.check(k.Low.Compare(&k.High) <= 0)
}

func (r *restorer) readHalf(h *half, icmp *uint16) {
	if h.segments = r.uint32(); h.segments == 0 {
		return
	}
	var b [2]byte
	r.Fixed(b[:])
	h.flags, h.firstFlags, *icmp = b[0], b[1], r.uint16()
	h.bytes, h.packets = r.Uint(), r.Uint()
	h.start = r.t.now.Ns() - uint64(r.Int())
	h.end = h.start + uint64(r.Int())
	p := r.point()
	if !r.ok() {
		h.segments = 0
		return
	}
	h.point = p
	r.t.sets.points.hold(p)
}

func (r *restorer) readMore(m *more) {
	m.prev, m.opened, m.rate = r.Uint(), r.Uint(), r.Uint()
	for i := range m.post {
		r.Fixed(m.post[i].Addr[:])
		m.post[i].Port = r.uint16()
	}
	m.hasTold = r.Bool()
	for i := range m.told {
		m.told[i] = volume{r.Uint(), r.Uint()}
	}
	if r.Bool() {
		n, d := r.t.names.Take()
		*d = names{}
		for _, name := range d.all() {
			*name = r.String()
		}
		m.names = n + 1
	}
}
