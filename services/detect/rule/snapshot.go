package rule

import (
	"errors"
	"fmt"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/snap"
)

// snapshotVersion changes with the layout.
const snapshotVersion = 1

// AppendSnapshot appends the whole state: clients from the one that was silent
// longest, each with its windows and open findings. Call it between ticks.
func (s *Set) AppendSnapshot(dst []byte) []byte {
	w := &snap.Writer{B: dst}
	w.Uint(snapshotVersion)
	for _, n := range []uint64{s.stats.Late, s.stats.ClientsEvicted, s.stats.WindowsEvicted, s.stats.ContactsEvicted} {
		w.Uint(n)
	}
	w.Uint(uint64(s.byClient.Len()))
	for c := s.recent.oldest; c != nil; c = c.newer {
		writeClient(w, c)
	}
	return w.B
}

// Restore replaces the state by a snapshot's.
func (s *Set) Restore(snapshot []byte) error {
	fresh, err := New(s.cfg)
	if err != nil {
		return err
	}
	r := snap.NewReader(snapshot)
	if v := r.Uint(); v != snapshotVersion {
		return fmt.Errorf("cannot restore detection state: snapshot has version %d, not %d", v, snapshotVersion)
	}
	for _, n := range []*uint64{&fresh.stats.Late, &fresh.stats.ClientsEvicted, &fresh.stats.WindowsEvicted, &fresh.stats.ContactsEvicted} {
		*n = r.Uint()
	}
	for n := r.Len(); n > 0 && r.Err() == nil; n-- {
		fresh.readClient(r)
	}
	if err := errors.Join(r.Close(), fresh.sound()); err != nil {
		return fmt.Errorf("cannot restore detection state: %w", err)
	}
	*s = *fresh
	return nil
}

// sound tells whether every client and window is there once, and every hot window
// has its episode.
func (s *Set) sound() error {
	for c := s.recent.oldest; c != nil; c = c.newer {
		if s.find(&c.subject, c.hash) != c {
			return fmt.Errorf("%w: a client that comes twice", snap.ErrCorrupt)
		}
		for _, w := range c.windows {
			switch {
			case s.window(c, &w.scope, w.hash) != w:
				return fmt.Errorf("%w: a window that comes twice", snap.ErrCorrupt)
			case w.hot && c.episodes[ruleOf(w.scope.kind)] == nil:
				return fmt.Errorf("%w: a window without its finding", snap.ErrCorrupt)
			}
		}
	}
	return nil
}

func writeClient(w *snap.Writer, c *client) {
	w.Uint(uint64(c.subject.realm))
	w.Fixed(c.subject.addr[:])
	w.Bool(c.internal)
	w.Int(int64(c.due))
	w.Uint(uint64(c.held()))
	for _, o := range c.windows {
		writeWindow(w, o)
	}
	for _, e := range c.episodes {
		w.Bool(e != nil)
		if e != nil {
			writeEpisode(w, e)
		}
	}
}

func (s *Set) readClient(r *snap.Reader) {
	who := subject{realm: uint32(r.Uint())}
	r.Fixed(who.addr[:])
	c := s.add(who, who.hash())
	s.recent.use(c)
	c.internal = r.Bool()
	if c.due = eventtime.Tick(r.Int()); c.due != eventtime.Never {
		s.timers.Set(c.due, c.number)
	}
	for n := r.Len(); n > 0 && r.Err() == nil; n-- {
		s.readWindow(r, c)
	}
	for i := range c.episodes {
		if r.Bool() {
			c.episodes[i] = readEpisode(r, ruleID(i))
		}
	}
}

func writeWindow(w *snap.Writer, o *window) {
	writeScope(w, o.scope)
	w.Uint(o.newest)
	w.Uint(o.failedAt)
	w.Uint(o.sampling)
	w.Uint(uint64(o.quality))
	w.Bool(o.hot)
	writeContacts(w, &o.contacts)
}

func (s *Set) readWindow(r *snap.Reader, c *client) {
	about := readScope(r)
	o := s.addWindow(c, about, about.hash(c.hash))
	o.newest = r.Uint()
	o.failedAt = r.Uint()
	o.sampling = r.Uint()
	o.quality = flowv1.TimeQuality(r.Uint())
	o.hot = r.Bool()
	readContacts(r, &o.contacts)
}

func writeScope(w *snap.Writer, s scope) {
	w.Uint(uint64(s.kind))
	w.Fixed(s.object[:])
	w.Uint(uint64(s.port))
	w.Uint(uint64(s.proto))
}

func readScope(r *snap.Reader) (s scope) {
	s.kind = kind(r.Uint()) % kinds
	r.Fixed(s.object[:])
	s.port = uint16(r.Uint())
	s.proto = uint8(r.Uint())
	return s
}

func writeContacts(w *snap.Writer, c *contacts) {
	w.Bool(c.byAddr)
	w.Uint(uint64(len(c.list)))
	for i := range c.list {
		k := &c.list[i]
		w.Fixed(k.target.addr[:])
		w.Uint(uint64(k.target.port))
		w.Uint(uint64(k.target.proto))
		w.Uint(uint64(k.outcome))
		w.Uint(uint64(k.state))
		w.Bool(k.firm)
		w.Bool(k.unsure)
		w.Int(int64(k.seen))
		w.Uint(uint64(k.version))
		w.Uint(k.flow)
		w.Uint(k.start)
	}
}

func readContacts(r *snap.Reader, c *contacts) {
	c.byAddr = r.Bool()
	for n := r.Len(); n > 0 && r.Err() == nil; n-- {
		var k contact
		r.Fixed(k.target.addr[:])
		k.target.port = uint16(r.Uint())
		k.target.proto = uint8(r.Uint())
		k.outcome = outcome(r.Uint())
		k.state = uint8(r.Uint())
		k.firm = r.Bool()
		k.unsure = r.Bool()
		k.seen = eventtime.Tick(r.Int())
		k.version = uint32(r.Uint())
		k.flow = r.Uint()
		k.start = r.Uint()
		c.list = append(c.list, k)
	}
	c.reindex()
}

func writeEpisode(w *snap.Writer, e *episode) {
	w.String(e.uid)
	w.String(e.tier)
	for _, n := range []int64{int64(e.need), int64(e.trust), int64(e.testified), int64(e.toldCount),
		int64(e.opened), int64(e.active), int64(e.told)} {
		w.Int(n)
	}
	for _, n := range []uint64{e.first, e.last, e.flows, e.unsure, e.sampling, uint64(e.quality),
		uint64(e.severity), uint64(e.toldLevel), e.emissions} {
		w.Uint(n)
	}
	w.Bool(e.announced)
	w.Uint(uint64(len(e.scopes)))
	for _, s := range e.scopes {
		writeScope(w, s)
	}
	writeContacts(w, &e.targets)
	w.Bool(e.all != nil)
	if e.all != nil {
		w.Fixed(e.all.bits[:])
		w.Fixed(e.ok.bits[:])
	}
}

func readEpisode(r *snap.Reader, id ruleID) *episode {
	e := &episode{rule: id, uid: r.String(), tier: r.String()}
	for _, n := range []*int{&e.need, &e.trust, &e.testified, &e.toldCount} {
		*n = int(r.Int())
	}
	for _, t := range []*eventtime.Tick{&e.opened, &e.active, &e.told} {
		*t = eventtime.Tick(r.Int())
	}
	for _, n := range []*uint64{&e.first, &e.last, &e.flows, &e.unsure, &e.sampling} {
		*n = r.Uint()
	}
	e.quality = flowv1.TimeQuality(r.Uint())
	e.severity, e.toldLevel = Severity(r.Uint()), Severity(r.Uint())
	e.emissions = r.Uint()
	e.announced = r.Bool()
	for n := r.Len(); n > 0 && r.Err() == nil; n-- {
		e.scopes = append(e.scopes, readScope(r))
	}
	readContacts(r, &e.targets)
	if r.Bool() {
		e.all, e.ok = new(distinct), new(distinct)
		r.Fixed(e.all.bits[:])
		r.Fixed(e.ok.bits[:])
		e.all.restore()
		e.ok.restore()
	}
	return e
}
