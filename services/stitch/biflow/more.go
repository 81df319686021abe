package biflow

import (
	"strings"

	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// more is what few conversations have.
type more struct {
	// prev is the flow id of the conversation this one continues.
	prev uint64
	// opened is the start as known at version 1, where an earlier one came to
	// light; 0 if none did.
	opened uint64
	// told is what the last version said of each half, where anything came since.
	told    [2]volume
	hasTold bool
	// upper are the upper halves of what each half sent, if it was that much.
	upper [2]struct{ bytes, packets uint32 }
	// post is each endpoint's tuple after translation.
	post [2]flow.Endpoint
	// older is the conversation of the same key before this one, which lingers:
	// its number, one higher.
	older uint32
	// names is the number of its names, one higher.
	names uint32
}

type volume struct{ bytes, packets uint64 }

// names are single-valued: the first non-empty value stays.
type names struct {
	application, user, httpHost, httpURL, dnsName, firewallRule string
}

// noMore and noNames are what most conversations have of them.
var (
	noMore  more
	noNames names
)

// moreOf is to be read only.
func (t *Table) moreOf(c *conv) *more {
	if c.more == 0 {
		return &noMore
	}
	return t.mores.At(c.more - 1)
}

// makeMore is to be changed.
func (t *Table) makeMore(c *conv) *more {
	if c.more == 0 {
		n, m := t.mores.Take()
		*m = more{}
		c.more = n + 1
		return m
	}
	return t.mores.At(c.more - 1)
}

// trim gives back what says nothing any more.
func (t *Table) trim(c *conv) {
	if c.more != 0 && *t.mores.At(c.more - 1) == (more{}) {
		t.mores.Give(c.more - 1)
		c.more = 0
	}
}

// dropMore gives all of it back.
func (t *Table) dropMore(c *conv) {
	if c.more == 0 {
		return
	}
	if n := t.mores.At(c.more - 1).names; n != 0 {
		*t.names.At(n - 1) = names{}
		t.names.Give(n - 1)
	}
	t.mores.Give(c.more - 1)
	c.more = 0
}

// older is the conversation before c, if one of its key lingers.
func (t *Table) older(c *conv) (uint32, bool) {
	n := t.moreOf(c).older
	return n - 1, n != 0
}

// setOlder chains; ok is whether there is an older one.
func (t *Table) setOlder(c *conv, id uint32, ok bool) {
	if ok {
		t.makeMore(c).older = id + 1
	} else if c.more != 0 {
		t.makeMore(c).older = 0
		t.trim(c)
	}
}

// remember keeps what the last version told before the first flow after it.
func (t *Table) remember(c *conv) {
	if c.version == 0 || t.moreOf(c).hasTold {
		return
	}
	m := t.makeMore(c)
	m.hasTold = true
	for i := range c.half {
		m.told[i] = t.volume(c, i)
	}
}

// volume is what a half has sent.
func (t *Table) volume(c *conv, side int) volume {
	h := &c.half[side]
	v := volume{uint64(h.bytes), uint64(h.packets)}
	if c.more != 0 {
		u := &t.moreOf(c).upper[side]
		v.bytes |= uint64(u.bytes) << 32
		v.packets |= uint64(u.packets) << 32
	}
	return v
}

// count adds to what a half has sent.
func (t *Table) count(c *conv, side int, bytes, packets uint64) {
	v := t.volume(c, side)
	v.bytes += bytes
	v.packets += packets
	c.half[side].bytes, c.half[side].packets = uint32(v.bytes), uint32(v.packets)
	if c.more != 0 || (v.bytes|v.packets)>>32 != 0 {
		u := &t.makeMore(c).upper[side]
		u.bytes, u.packets = uint32(v.bytes>>32), uint32(v.packets>>32)
	}
}

// news is what of both halves' volume came since the last version. It counts as told
// from now on.
func (t *Table) news(c *conv, low, high volume) (volume, volume) {
	switch {
	case c.version == 0:
	case !t.moreOf(c).hasTold:
		return volume{}, volume{}
	default:
		m := t.makeMore(c)
		low = volume{low.bytes - m.told[0].bytes, low.packets - m.told[0].packets}
		high = volume{high.bytes - m.told[1].bytes, high.packets - m.told[1].packets}
		m.told, m.hasTold = [2]volume{}, false
		t.trim(c)
	}
	return low, high
}

// openedAt is the start as known at version 1.
func (t *Table) openedAt(c *conv) uint64 {
	if at := t.moreOf(c).opened; at != 0 {
		return at
	}
	return c.start()
}

// startsEarlier notes that a flow begins before all that was told.
func (t *Table) startsEarlier(c *conv, start uint64) {
	if c.version > 0 && start < c.start() && t.moreOf(c).opened == 0 {
		t.makeMore(c).opened = c.start()
	}
}

// decorate takes in what few flows tell of side's source.
func (t *Table) decorate(c *conv, side int, f *flowv1.Flow) {
	if len(f.PostSrcAddr) > 0 || f.PostSrcPort != 0 {
		t.makeMore(c).post[side] = flow.Endpoint{Addr: flow.AddrFrom(f.PostSrcAddr), Port: uint16(f.PostSrcPort)}
	}
	if len(f.PostDstAddr) > 0 || f.PostDstPort != 0 {
		if p := &t.makeMore(c).post[1-side]; *p == (flow.Endpoint{}) {
			*p = flow.Endpoint{Addr: flow.AddrFrom(f.PostDstAddr), Port: uint16(f.PostDstPort)}
		}
	}
	got := [...]string{f.Application, f.User, f.HttpHost, f.HttpUrl, f.DnsName, f.FirewallRule}
	for i, have := range t.namesOf(c, got != [6]string{}).all() {
		if have != nil && *have == "" && got[i] != "" {
			*have = strings.Clone(got[i]) // the flow's bytes are not ours to keep
		}
	}
}

// decorateLate takes in what a late report tells, where nothing is known yet, and
// says whether that was anything.
func (t *Table) decorateLate(c *conv, side int, f *flowv1.Flow) bool {
	more, known := *t.moreOf(c), noNames
	if more.names != 0 {
		known = *t.names.At(more.names - 1)
	}
	t.decorate(c, side, f)
	for i, post := range more.post {
		if post != (flow.Endpoint{}) {
			t.makeMore(c).post[i] = post
		}
	}
	now := t.moreOf(c)
	return *now != more || now.names != 0 && *t.names.At(now.names - 1) != known
}

// namesOf are c's names; nil if it has none and none are made.
func (t *Table) namesOf(c *conv, made bool) *names {
	if n := t.moreOf(c).names; n != 0 {
		return t.names.At(n - 1)
	}
	if !made {
		return nil
	}
	n, d := t.names.Take()
	*d = names{}
	t.makeMore(c).names = n + 1
	return d
}

// all are the names in the order of their fields.
func (d *names) all() (list [6]*string) {
	if d != nil {
		list = [6]*string{&d.application, &d.user, &d.httpHost, &d.httpURL, &d.dnsName, &d.firewallRule}
	}
	return list
}
