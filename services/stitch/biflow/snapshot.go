package biflow

import (
	"fmt"
	"slices"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/snap"
)

// snapshotVersion changes with the layout below.
const snapshotVersion = 2

// AppendSnapshot appends the whole state: key by key, each chain oldest first,
// so that reading it back builds the same chains.
func (t *Table) AppendSnapshot(dst []byte) []byte {
	s := snap.Writer{B: dst}
	s.Uint(snapshotVersion)
	s.Uint(uint64(t.open))
	var chain []uint32
	for id := range t.convs.Len() {
		if c := t.convs.At(id); !c.live || t.index[c.key] != id {
			continue
		}
		chain = chain[:0]
		for at := id; at != none; at = t.convs.At(at).older {
			chain = append(chain, at)
		}
		for _, at := range slices.Backward(chain) {
			t.convs.At(at).append(&s)
		}
	}
	return s.B
}

func (c *conv) append(s *snap.Writer) {
	s.Fixed(c.key.Low.Addr[:])
	s.Fixed(c.key.High.Addr[:])
	for _, v := range []uint64{
		uint64(c.key.Low.Port), uint64(c.key.High.Port), uint64(c.key.Realm), uint64(c.key.Proto),
		c.id, c.prev, uint64(c.version), c.opened, uint64(c.last), uint64(c.issued), uint64(c.wakeAt), c.longest,
		uint64(c.ended), uint64(c.client), uint64(c.confidence), uint64(c.evidence),
		uint64(c.hint.side), uint64(c.hint.percent), uint64(c.flags.side), uint64(c.flags.percent),
		c.sampling, uint64(c.samplingKind), uint64(c.quality),
	} {
		s.Uint(v)
	}
	for _, v := range []bool{c.dirty, c.revised, c.conflict, c.reverse, c.denied, c.packetsUnknown, c.deco != nil} {
		s.Bool(v)
	}
	if d := c.deco; d != nil {
		for _, v := range []string{d.application, d.user, d.httpHost, d.httpURL, d.dnsName, d.firewallRule} {
			s.String(v)
		}
	}
	s.Uint(uint64(len(c.reporters)))
	for _, r := range c.reporters {
		s.Fixed(r.sampler[:])
		s.Uint(uint64(r.domain))
		s.Bool(r.egress)
	}
	for i := range c.half {
		c.half[i].append(s)
	}
}

func (h *half) append(s *snap.Writer) {
	// The other half's flow may have told this one's translation already.
	s.Uint(uint64(h.post.Port))
	s.Fixed(h.post.Addr[:])
	s.Uint(uint64(h.segments))
	if h.segments == 0 {
		return
	}
	for _, v := range []uint64{
		h.bytes, h.packets, h.sentBytes, h.sentPackets, h.start, h.end,
		uint64(h.flags), uint64(h.firstFlags), uint64(h.icmp),
	} {
		s.Uint(v)
	}
	s.Bool(h.ended)
	s.Fixed(h.sampler[:])
}

// Restore fills an empty table from a snapshot.
func (t *Table) Restore(b []byte) error {
	r := snap.NewReader(b)
	if v := r.Uint(); v != snapshotVersion && r.Err() == nil {
		return fmt.Errorf("cannot restore stitch's state: snapshot has version %d, this program reads %d", v, snapshotVersion)
	}
	for range r.Len() {
		t.restoreConv(r)
	}
	if err := r.Close(); err != nil {
		return fmt.Errorf("cannot restore stitch's state: %w", err)
	}
	return nil
}

func (t *Table) restoreConv(r *snap.Reader) {
	id, c := t.convs.Take()
	*c = conv{live: true, older: none}
	c.read(r)
	if r.Err() != nil {
		return
	}
	if older, ok := t.index[c.key]; ok {
		c.older = older
	}
	t.index[c.key] = id
	t.timers.Set(c.wakeAt, id)
	t.open++
}

func (c *conv) read(r *snap.Reader) {
	r.Fixed(c.key.Low.Addr[:])
	r.Fixed(c.key.High.Addr[:])
	c.key.Low.Port, c.key.High.Port = uint16(r.Uint()), uint16(r.Uint())
	c.key.Realm, c.key.Proto = uint32(r.Uint()), uint8(r.Uint())
	c.id, c.prev, c.version, c.opened = r.Uint(), r.Uint(), uint32(r.Uint()), r.Uint()
	c.last, c.issued, c.wakeAt = eventtime.Tick(r.Uint()), eventtime.Tick(r.Uint()), eventtime.Tick(r.Uint())
	c.longest, c.ended = r.Uint(), flowv1.CloseReason(r.Uint())
	c.client, c.confidence, c.evidence = uint8(r.Uint())&1, uint8(r.Uint()), flowv1.InitiatorEvidence(r.Uint())
	c.hint = verdict{uint8(r.Uint()) & 1, uint8(r.Uint())}
	c.flags = verdict{uint8(r.Uint()) & 1, uint8(r.Uint())}
	c.sampling, c.samplingKind, c.quality = r.Uint(), flowv1.SamplingKind(r.Uint()), flowv1.TimeQuality(r.Uint())
	c.dirty, c.revised, c.conflict = r.Bool(), r.Bool(), r.Bool()
	c.reverse, c.denied, c.packetsUnknown = r.Bool(), r.Bool(), r.Bool()
	if r.Bool() {
		c.deco = &decoration{r.String(), r.String(), r.String(), r.String(), r.String(), r.String()}
	}
	for range r.Len() {
		var p reporter
		r.Fixed(p.sampler[:])
		p.domain, p.egress = uint32(r.Uint()), r.Bool()
		c.reporters = append(c.reporters, p)
	}
	for i := range c.half {
		c.half[i].read(r)
	}
}

func (h *half) read(r *snap.Reader) {
	h.post.Port = uint16(r.Uint())
	r.Fixed(h.post.Addr[:])
	if h.segments = uint32(r.Uint()); h.segments == 0 {
		return
	}
	h.bytes, h.packets, h.sentBytes, h.sentPackets = r.Uint(), r.Uint(), r.Uint(), r.Uint()
	h.start, h.end = r.Uint(), r.Uint()
	h.flags, h.firstFlags, h.icmp = uint8(r.Uint()), uint8(r.Uint()), uint16(r.Uint())
	h.ended = r.Bool()
	r.Fixed(h.sampler[:])
}
