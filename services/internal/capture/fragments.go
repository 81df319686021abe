package capture

import (
	"net/netip"
	"slices"
	"time"
)

// fragmentKey names the packet that a fragment is of (RFC 791 §2.3, RFC 8200 §4.5).
type fragmentKey struct {
	src, dst netip.Addr
	id       uint32
	// proto is the protocol of the payload, the next header in IPv6.
	proto byte
}

// Limits of reassembly.
const (
	// fragmentAge is how long a packet may stay incomplete, in capture time (RFC 8200 §4.5).
	fragmentAge = uint64(60 * time.Second)
	// maxFragmented bounds the packets that are open at once, the oldest go first.
	maxFragmented = 4096
	// maxPacket is the largest IP payload.
	maxPacket = 65535
)

// fragments puts fragmented packets together, by the capture's own time, so
// that the same file always gives the same datagrams.
type fragments struct {
	open map[fragmentKey]*partial
	// order holds the packets by their first fragment's arrival; those that were
	// completed since are skipped.
	order []*partial
}

// partial is a packet some of whose fragments have come.
type partial struct {
	key   fragmentKey
	since uint64
	parts []part
	held  int
	// end is the size of the whole, -1 until the last fragment tells.
	end  int
	done bool
}

type part struct {
	offset int
	data   []byte
}

// add keeps a copy of a fragment. When it completes its packet, it returns the
// packet's payload. Repeated fragments are ignored; a fragment that contradicts
// what is held ends the whole packet, as receivers do.
func (f *fragments) add(now uint64, key fragmentKey, offset int, more bool, b []byte) (whole []byte, done bool) {
	f.expire(now)
	if more {
		b = b[:len(b)&^7] // all but the last come in units of 8 bytes
	}
	if len(b) == 0 || offset+len(b) > maxPacket {
		return nil, false
	}
	p := f.open[key]
	if p == nil {
		p = &partial{key: key, since: now, end: -1}
		if f.open == nil {
			f.open = make(map[fragmentKey]*partial)
		}
		f.open[key] = p
		f.order = append(f.order, p)
	}
	if !p.insert(offset, more, b) {
		f.drop(p)
		return nil, false
	}
	if p.held != p.end {
		return nil, false
	}
	whole = make([]byte, 0, p.end)
	for _, x := range p.parts {
		whole = append(whole, x.data...)
	}
	f.drop(p)
	return whole, true
}

func (f *fragments) drop(p *partial) {
	delete(f.open, p.key)
	p.done, p.parts = true, nil
}

// expire forgets packets that stayed incomplete for too long, or are too many.
func (f *fragments) expire(now uint64) {
	n := 0
	for _, p := range f.order {
		if !p.done && p.since+fragmentAge >= now && len(f.open) < maxFragmented {
			break
		}
		if !p.done {
			f.drop(p)
		}
		n++
	}
	f.order = slices.Delete(f.order, 0, n)
}

// insert files a fragment by its offset. It returns false when the packet
// cannot come together any more.
func (p *partial) insert(offset int, more bool, b []byte) bool {
	end := offset + len(b)
	i, found := slices.BinarySearchFunc(p.parts, offset, func(x part, o int) int { return x.offset - o })
	if found && len(p.parts[i].data) == len(b) {
		return true // a repeat
	}
	overlaps := found ||
		(i > 0 && p.parts[i-1].offset+len(p.parts[i-1].data) > offset) ||
		(i < len(p.parts) && p.parts[i].offset < end)
	if overlaps || (p.end >= 0 && (end > p.end || !more)) {
		return false
	}
	if !more {
		if last := len(p.parts) - 1; last >= 0 && p.parts[last].offset+len(p.parts[last].data) > end {
			return false
		}
		p.end = end
	}
	p.parts = slices.Insert(p.parts, i, part{offset, slices.Clone(b)})
	p.held += len(b)
	return true
}
