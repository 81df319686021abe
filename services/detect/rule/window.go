package rule

import (
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// kind is what the targets of a window have in common.
type kind uint8

const (
	// byPrefix: servers of one /24 or /64.
	byPrefix kind = iota
	// byPort: servers anywhere, one port.
	byPort
	// byDarknet: servers in networks without hosts.
	byDarknet
	// byServer: ports of one server.
	byServer
	kinds
)

// scope is what the targets of a window have in common: a prefix, a port, a server.
type scope struct {
	object flow.Addr
	port   uint16
	kind   kind
	proto  uint8
}

// prefixOf is the /24 of an IPv4 address, the /64 of an IPv6 address.
func prefixOf(a flow.Addr) flow.Addr {
	if a.Is4() {
		a[15] = 0
		return a
	}
	clear(a[8:])
	return a
}

// tier is a threshold on a window. It counts failed targets; with contacted,
// answered ones too, of which a tenth of the threshold must have failed (many
// answers and no failure are a crawler or a file transfer).
type tier struct {
	name      string
	count     int
	within    uint64 // ns
	contacted bool
	ports     map[uint16]bool // if set, only these
	// confidence in percent that such a crossing is a scan.
	confidence int
}

// tiersOf leaves out the thresholds that are switched off.
func tiersOf(list ...tier) (on []tier) {
	for _, t := range list {
		if t.count > 0 {
			on = append(on, t)
		}
	}
	return on
}

func (t Threshold) tier(name string, confidence int) tier {
	return tier{name: name, count: t.Count, within: uint64(t.Within), confidence: confidence}
}

// longest is the longest window among tiers, ns.
func longest(tiers []tier) (ns uint64) {
	for i := range tiers {
		ns = max(ns, tiers[i].within)
	}
	return ns
}

// window holds the targets that a client called, of one kind.
type window struct {
	client   *client
	hash     uint64
	number   uint32 // in the slab
	scope    scope
	newest   uint64 // greatest start of a contact, ns: where the window ends
	failedAt uint64 // greatest start of a failed contact, ns: how long it lives
	sampling uint64 // largest rate
	quality  flowv1.TimeQuality
	// hot: crossed; its contacts go to the open episode now.
	hot      bool
	contacts contacts
	// one is where the list of contacts begins: most windows never see a second.
	one [1]contact
}

// keptList is the length up to which an emptied list is used again.
const keptList = 8

// empty forgets all contacts.
func (w *window) empty() {
	c := &w.contacts
	c.index = nil
	if c.list = c.list[:0]; cap(c.list) == 0 || cap(c.list) > keptList {
		c.list = w.one[:0]
	}
}

// begin makes a window whose targets have all left it a new one.
func (w *window) begin() {
	w.newest, w.failedAt, w.sampling, w.quality = 0, 0, 0, 0
	w.empty()
}

// expires is the tick from which nothing that may still come can count
// together with what is in the window.
func (w *window) expires(span uint64, lateness time.Duration) eventtime.Tick {
	return eventtime.TickOf(w.failedAt+span+uint64(lateness)) + 1
}

// see applies a sighting to the contacts.
func (w *window) see(x *sighting, span uint64) (dropped bool) {
	if n := len(w.contacts.list); n >= 8 && n&(n-1) == 0 && w.contacts.find(x.target) < 0 {
		dropped = w.prune(span) // at powers of two: seldom, and the same after a restore
	}
	w.contacts.judge(x)
	if x.late || x.outcome == neither {
		return dropped
	}
	w.sampling, w.quality = max(w.sampling, x.sampling), max(w.quality, flowv1.TimeQuality(x.quality))
	w.newest = max(w.newest, x.start)
	if x.outcome == failed {
		w.failedAt = max(w.failedAt, x.start)
	}
	return dropped
}

// prune makes room: first by what has left the window, then, if it is full of
// what has not, by the older half.
func (w *window) prune(span uint64) (dropped bool) {
	w.contacts.keep(func(k *contact) bool { return k.start+span > w.newest })
	if len(w.contacts.list) >= maxExact {
		w.contacts.dropOldest()
		return true
	}
	return false
}

// crossed is the first tier that the window reaches, nil if none.
func (w *window) crossed(tiers []tier, now eventtime.Tick, settle time.Duration) *tier {
	for i := range tiers {
		t := &tiers[i]
		if len(w.contacts.list) < t.count {
			continue
		}
		bad, all, _ := w.count(t, now, settle)
		if t.reached(bad, all) {
			return t
		}
	}
	return nil
}

// settles is the next tick at which a tier may be reached merely because
// failures are believed by then; Never if there are too few.
func (w *window) settles(tiers []tier, now eventtime.Tick, settle time.Duration) eventtime.Tick {
	next := eventtime.Never
	for i := range tiers {
		t := &tiers[i]
		if len(w.contacts.list) < t.count {
			continue
		}
		if _, all, at := w.count(t, now, settle); at < next && all >= t.count {
			next = at
		}
	}
	return next
}

func (t *tier) reached(bad, all int) bool {
	if t.contacted {
		return all >= t.count && bad >= (t.count+9)/10
	}
	return bad >= t.count
}

// count is the number of distinct targets within a tier's window: those that
// are believed to have failed, and all. next is when another will be believed.
func (w *window) count(t *tier, now eventtime.Tick, settle time.Duration) (bad, all int, next eventtime.Tick) {
	next = eventtime.Never
	for i := range w.contacts.list {
		k := &w.contacts.list[i]
		if !t.covers(k, w.newest) {
			continue
		}
		all++
		if k.outcome != failed {
			continue
		}
		if at := k.believed(settle); at <= now {
			bad++
		} else {
			next = min(next, at)
		}
	}
	return bad, all, next
}

// covers tells whether a contact lies in the tier's window that ends at newest.
func (t *tier) covers(k *contact, newest uint64) bool {
	return k.outcome != neither && k.start+t.within > newest && (t.ports == nil || t.ports[k.target.port])
}
