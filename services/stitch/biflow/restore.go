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
	// points and origins are the numbers that the snapshot's have now; none is no such.
	points, origins []uint32
	damaged         bool
}

// Restore fills an empty table from a snapshot.
func (t *Table) Restore(b []byte) error {
	r := restorer{Reader: snap.NewReader(b), t: t}
	if v := r.Uint(); v != snapshotVersion && r.Err() == nil {
		return fmt.Errorf("cannot restore stitch's state: snapshot has version %d, this program reads %d", v, snapshotVersion)
	}
	t.now = eventtime.Tick(r.Int())
	r.readPoints()
	r.readOrigins()
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
			number = r.t.origins.points.take(&p)
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

// readOrigins takes the origins and holds them until conversations do.
func (r *restorer) readOrigins() {
	var o origin
	for n := r.Len(); n > 0 && r.ok(); n-- {
		o.members = o.members[:0]
		for m := r.upTo(maxReporters); m > 0 && r.ok(); m-- {
			o.members = append(o.members, r.point())
		}
		number := none
		if len(o.members) > 0 && r.readOrigin(&o) {
			number = r.t.origins.take(&o)
		}
		r.origins = append(r.origins, number)
	}
}

// readOrigin reads the rest of an origin, and tells whether it is one.
func (r *restorer) readOrigin(o *origin) bool {
	for i := range o.first {
		o.first[i] = none
		if p := r.upTo(uint64(len(r.points))); p > 0 && r.ok() {
			o.first[i] = r.points[p-1]
			r.check(o.first[i] != none)
		}
	}
	o.rate, o.active, o.inactive = r.Uint(), r.uint16(), r.uint16()
	var b [2]byte
	r.Fixed(b[:])
	o.kind, o.quality, o.mixed = b[0], b[1], r.Bool()
	if !r.ok() {
		return false
	}
	ps := &r.t.origins.points
	for i := range o.members[1:] {
		r.check(ps.at(o.members[i]).compare(ps.at(o.members[i+1])) < 0)
	}
	return r.ok()
}

// release leaves points and origins to those who hold them now.
func (r *restorer) release() {
	for _, n := range r.origins {
		if n != none {
			r.t.origins.drop(n)
		}
	}
	for _, n := range r.points {
		if n != none {
			r.t.origins.points.drop(n)
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
	r.Fixed(b[:6])
	c.proto, c.ended, c.client, c.evidence = b[0], b[1], packed(b[2]), b[3]
	c.hint, c.role = packed(b[4]), packed(b[5])
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
	c.longest = r.upTo(uint64(longestSegment))
	o := r.number(r.origins)
	if !r.ok() {
		return
	}
	c.origin = o
	r.t.origins.hold(o)
	for i := range c.half {
		r.readHalf(c, i)
		r.check((c.half[i].segments > 0) == (r.t.origins.at(o).first[i] != none))
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

func (r *restorer) readHalf(c *conv, side int) {
	h := &c.half[side]
	if h.segments = r.uint32(); h.segments == 0 {
		return
	}
	var b [2]byte
	r.Fixed(b[:])
	h.flags, h.firstFlags, c.icmp[side] = b[0], b[1], r.uint16()
	r.t.count(c, side, r.Uint(), r.Uint())
	start := r.t.now.Ns() - uint64(r.Int())
	h.start.set(start)
	h.end.set(start + uint64(r.Int()))
}

func (r *restorer) readMore(m *more) {
	m.prev, m.opened = r.Uint(), r.Uint()
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
