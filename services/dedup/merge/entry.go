package merge

import (
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/slab"
)

// entry is what is remembered of one conversation direction. Most entries are
// tombstones: nothing waits, and only a late duplicate may still come. So an
// entry is small, half a cache line, and free of pointers, and what few of them
// need, or many share, lies elsewhere.
type entry struct {
	// coverEnd is the end of the time counted so far, nanoseconds; 0 before the
	// first decision.
	coverEnd uint64
	// The key, with the protocol below and the realm in the standing: addresses are
	// here if both are IPv4, else src is the number of a pair in wide.
	src, dst         [4]byte
	srcPort, dstPort uint16
	// last is the tick of the last report of any point, its lower half.
	last uint32
	// link is the number of the report that waits last if the entry waits, else that
	// of its past, one higher; 0 is none.
	link uint32
	// state is the protocol (8 bits), the flags (4), and the number of who counts
	// and why (20).
	state uint32
}

type entryFlags uint32

const (
	// live entries are in use.
	live entryFlags = 1 << (8 + iota)
	// wide entries have their addresses in Window.wide.
	wide
	// waiting entries have reports that wait.
	waiting
	// timed entries have a timer in Window.forget; only waiting ones may have none.
	timed

	standingShift = 12
)

func (e *entry) has(f entryFlags) bool { return e.state&uint32(f) != 0 }
func (e *entry) set(f entryFlags)      { e.state |= uint32(f) }
func (e *entry) clear(f entryFlags)    { e.state &^= uint32(f) }

func (e *entry) proto() uint8     { return uint8(e.state) }
func (e *entry) standing() uint32 { return e.state >> standingShift }

func (e *entry) setStanding(n uint32) {
	e.state = n<<standingShift | e.state&(1<<standingShift-1)
}

// pair is the addresses of a key that is not IPv4's.
type pair struct{ src, dst flow.Addr }

// lookup finds the state of a flow.
func (w *Window) lookup(k *flow.Key, hash uint64) (*entry, uint32) {
	for p := w.index.Probe(hash); p.Next(); {
		if e := w.entries.At(p.Number()); w.is(e, k) {
			return e, p.Number()
		}
	}
	return nil, 0
}

// entry finds or makes the state of a flow. likely is what the index had for it
// (ahead.likely): it need not be asked again unless that is another's, or the entry
// may have been made since.
func (w *Window) entry(k *flow.Key, hash uint64, likely uint32) (*entry, uint32) {
	if likely != slab.None {
		if e := w.entries.At(likely); w.is(e, k) {
			return e, likely
		}
	}
	if likely != slab.None || w.ahead.made.Has(hash) {
		if e, id := w.lookup(k, hash); e != nil {
			return e, id
		}
	}
	id, e := w.entries.Take()
	*e = entry{srcPort: k.Src.Port, dstPort: k.Dst.Port, state: w.standings.nobody(k.Realm)<<standingShift | uint32(live) | uint32(k.Proto)}
	if k.Src.Addr.Is4() && k.Dst.Addr.Is4() {
		copy(e.src[:], k.Src.Addr[12:])
		copy(e.dst[:], k.Dst.Addr[12:])
	} else {
		n, addrs := w.wide.Take()
		*addrs = pair{k.Src.Addr, k.Dst.Addr}
		e.setPair(n)
		e.set(wide)
	}
	w.index.Insert(hash, id)
	w.ahead.made.Add(hash)
	return e, id
}

// is tells whether an entry is that of a key.
func (w *Window) is(e *entry, k *flow.Key) bool {
	if e.srcPort != k.Src.Port || e.dstPort != k.Dst.Port || e.proto() != k.Proto || w.standing(e).realm != k.Realm {
		return false
	}
	if e.has(wide) {
		return *w.wide.At(e.pair()) == pair{k.Src.Addr, k.Dst.Addr}
	}
	return e.src == [4]byte(k.Src.Addr[12:]) && e.dst == [4]byte(k.Dst.Addr[12:]) &&
		k.Src.Addr.Is4() && k.Dst.Addr.Is4()
}

// key is the flow that an entry is about.
func (w *Window) key(e *entry) (k flow.Key) {
	k.Realm, k.Proto, k.Src.Port, k.Dst.Port = w.standing(e).realm, e.proto(), e.srcPort, e.dstPort
	if e.has(wide) {
		p := w.wide.At(e.pair())
		k.Src.Addr, k.Dst.Addr = p.src, p.dst
	} else {
		k.Src.Addr, k.Dst.Addr = flow.AddrFrom(e.src[:]), flow.AddrFrom(e.dst[:])
	}
	return k
}

func (e *entry) setPair(n uint32) {
	e.src = [4]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
}

func (e *entry) pair() uint32 {
	return uint32(e.src[0]) | uint32(e.src[1])<<8 | uint32(e.src[2])<<16 | uint32(e.src[3])<<24
}

// wire is the addresses as they go into messages. They alias the window's state
// and stay as they are until the call after the one that removes the entry.
func (w *Window) wire(e *entry) (src, dst []byte) {
	if e.has(wide) {
		p := w.wide.At(e.pair())
		return p.src.Wire(), p.dst.Wire()
	}
	return e.src[:], e.dst[:]
}

// lastTick is the tick of the last report.
func (w *Window) lastTick(e *entry) eventtime.Tick { return w.tick(e.last) }

// tick is the tick of a lower half. It lies within 34 years of the window's own time.
func (w *Window) tick(lower uint32) eventtime.Tick {
	return w.now + eventtime.Tick(int32(lower-uint32(w.now)))
}

// remove forgets a flow that waits for nothing.
func (w *Window) remove(id uint32, hash uint64) {
	e := w.entries.At(id)
	if !w.index.Delete(hash, id) {
		panic("BUG: an entry that is removed is not in the index")
	}
	if e.link != 0 {
		w.pasts.Give(e.link - 1)
	}
	if e.has(wide) {
		w.wide.Give(e.pair())
	}
	e.state = 0
	w.entries.Give(id)
}
