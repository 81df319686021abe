package merge

import (
	"fmt"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/slab"
	"github.com/flowledger/flowledger/services/internal/snap"
)

// leastVersion is the oldest that is read: it tells no interfaces of points.
const leastVersion = 6

// restorer reads a snapshot into an empty window.
type restorer struct {
	*snap.Reader
	version uint64
	window  *Window
	// standings are the window's numbers of those in the snapshot.
	standings []uint32
	before    neighbour
	read      flow.Briefs
}

// Restore fills an empty window from a snapshot.
func (w *Window) Restore(b []byte) error {
	r := restorer{Reader: snap.NewReader(b), window: w}
	r.version = r.Uint()
	if (r.version < leastVersion || r.version > snapshotVersion) && r.Err() == nil {
		return fmt.Errorf("cannot restore dedup's state: snapshot has version %d, this program reads %d to %d", r.version, leastVersion, snapshotVersion)
	}
	r.points()
	ok := r.allStandings()
	n := r.Len()
	w.index.Reserve(n)
	for i := 0; i < n && ok; i++ {
		ok = r.entry()
	}
	if !ok {
		return fmt.Errorf("cannot restore dedup's state: %w", snap.ErrCorrupt)
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("cannot restore dedup's state: %w", err)
	}
	return nil
}

func (r *restorer) points() {
	for range r.Len() {
		var p point
		r.Fixed(p.sampler[:])
		p.domain = uint32(r.Uint())
		if r.version > leastVersion {
			p.port = uint32(r.Uint())
		}
		p.egress = r.Bool()
		r.window.points.id(p)
	}
}

// allStandings reads the standings; it tells whether they make sense.
func (r *restorer) allStandings() bool {
	for range r.Len() {
		is := standing{authority: uint32(r.Uint()), reason: flowv1.Authority(r.Uint()), timeouts: uint32(r.Uint()), realm: uint32(r.Uint()), sampled: r.Bool()}
		if is.authority != noPoint && int(is.authority) >= len(r.window.points.all) || len(r.window.standings.all) == maxStandings {
			return false
		}
		r.standings = append(r.standings, r.window.standings.id(is))
	}
	return r.Err() == nil
}

// entry reads one entry; it tells whether it makes sense.
func (r *restorer) entry() bool {
	w := r.window
	how := layout(r.Byte())
	k := r.addresses(how)
	is := neighbour{last: r.before.last + eventtime.Tick(r.Int()), standing: r.before.standing, proto: r.before.proto}
	if how&likeBefore == 0 {
		is.standing, is.proto = uint32(r.Uint()), uint8(r.Uint())
	}
	if int(is.standing) >= len(r.standings) {
		return false
	}
	r.before = is
	who := r.standings[is.standing]
	k.Proto, k.Realm = is.proto, w.standings.all[who].realm
	var coverEnd uint64
	if how&isCovered != 0 {
		unit := how.unit()
		coverEnd = (is.last.Ns()/unit - uint64(r.Int())) * unit
	}
	var p past
	if how&hasPast != 0 {
		p.floor, p.reach = r.Uint(), r.Uint()
	}
	hash := k.Hash()
	if r.Err() != nil || how&^knownLayouts != 0 || how&(isCovered|isWaiting) == 0 {
		return false
	}
	if e, _ := w.lookup(&k, hash); e != nil {
		return false
	}
	e, id := w.entry(&k, hash, slab.None)
	w.now = max(w.now, is.last)
	e.setStanding(who)
	e.coverEnd, e.last = coverEnd, uint32(is.last)
	w.setPast(e, p)
	if how&isWaiting != 0 {
		return r.wait(e, id, is)
	}
	e.set(timed)
	w.forget.Set(is.last.After(w.cfg.LateHorizon), id)
	return true
}

// addresses reads the ports and addresses of a key.
func (r *restorer) addresses(how layout) (k flow.Key) {
	var ports [4]byte
	r.Fixed(ports[:])
	k.Src.Port, k.Dst.Port = uint16(ports[0])|uint16(ports[1])<<8, uint16(ports[2])|uint16(ports[3])<<8
	if how&isWide != 0 {
		r.Fixed(k.Src.Addr[:])
		r.Fixed(k.Dst.Addr[:])
		return k
	}
	var addrs [8]byte
	r.Fixed(addrs[:])
	k.Src.Addr, k.Dst.Addr = flow.AddrFrom(addrs[:4]), flow.AddrFrom(addrs[4:])
	return k
}

// wait reads the reports that wait in an entry; it tells whether they make sense.
func (r *restorer) wait(e *entry, id uint32, is neighbour) bool {
	due := is.last + eventtime.Tick(r.Int())
	n := r.Len()
	for range n {
		p, wire := uint32(r.Uint()), r.Bytes()
		r.read.Reset()
		if r.Err() != nil || int(p) >= len(r.window.points.all) || !r.read.AddOne(wire) {
			return false
		}
		r.window.hold(e, id, p, &arrival{Brief: r.read.Records[0]}, due)
	}
	return n > 0
}
