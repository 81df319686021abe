package capture

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
)

// segment is a TCP segment (RFC 9293 §3.1).
type segment struct {
	from, to      netip.AddrPort
	seq           uint32
	syn, fin, rst bool
	data          []byte
}

// streams are the TCP connections of a capture, those with IPFIX in them (RFC 7011
// §10.4): bytes are put in order, and cut into messages by the lengths in their headers.
//
//	segments ─▶ stream ─ in order ─▶ buf ─ whole ─▶ messages
//	               ╰─ ahead of a hole, until it is filled or given up
type streams struct {
	// session is the number of the last that began.
	session uint64
	open    map[streamKey]*stream
	// held is how many bytes all streams keep ahead of holes.
	held int
	// messages are those that the last segment completed.
	messages []Datagram
}

// streamKey is one direction of a connection.
type streamKey struct{ from, to netip.AddrPort }

// stream is one direction of a connection.
type stream struct {
	streamKey
	session uint64
	kind    streamKind
	// next is the sequence number of the byte after buf.
	next uint32
	// buf begins with a message that is not whole yet, once synced.
	buf    []byte
	synced bool
	// ahead is what came after a hole, by number; held is how many bytes of it, since
	// when the hole is there.
	ahead []segment
	held  int
	since uint64
}

// streamKind is what a stream's first bytes have shown it to be.
type streamKind uint8

const (
	unknownStream streamKind = iota
	ipfixStream
	otherStream
)

const (
	// holeAge is how long a hole may stay, in capture time: what a capture has missed,
	// and the receiver has not, never comes again.
	holeAge = uint64(5e9)
	// maxAhead and maxHeld bound what one stream and all keep ahead of holes, bytes.
	maxAhead = 1 << 20
	maxHeld  = 16 << 20
	// maxStreams bounds the streams that are followed at a time.
	maxStreams = 1 << 17
	// tellingBytes are enough to tell whether a message begins there.
	tellingBytes = 20
)

// take takes a segment in, and tells whether it belongs to a stream of IPFIX. What it
// completes is in messages then, valid until the next call.
func (s *streams) take(now uint64, seg *segment, opt *Options, st *Stats) bool {
	s.messages = s.messages[:0]
	key := streamKey{seg.from, seg.to}
	c := s.open[key]
	if c != nil && seg.syn { // the ports are used again
		s.end(c, now)
		c = nil
	}
	if c == nil && len(seg.data) > 0 {
		c = s.begin(key, seg, opt)
	}
	if c == nil {
		return false
	}
	if c.kind != otherStream && len(seg.data) > 0 {
		s.put(c, seg, now, opt)
		s.catchUp(c, now, opt, st, func() bool { return now >= c.since+holeAge || c.held > maxAhead || s.held > maxHeld })
	}
	if seg.rst || seg.fin && len(c.ahead) == 0 {
		s.end(c, now)
	}
	return c.kind == ipfixStream
}

// begin follows a stream from its first bytes on, or from where the capture begins. It
// is nil where there are too many, or it goes to another port.
func (s *streams) begin(key streamKey, seg *segment, opt *Options) *stream {
	if len(opt.Ports) > 0 && !slices.Contains(opt.Ports, key.to.Port()) {
		return nil
	}
	if len(s.open) >= maxStreams {
		maps.DeleteFunc(s.open, func(_ streamKey, c *stream) bool { return c.kind == otherStream })
	}
	if len(s.open) >= maxStreams {
		return nil
	}
	if s.open == nil {
		s.open = map[streamKey]*stream{}
	}
	s.session++
	c := &stream{streamKey: key, session: s.session, next: seg.seq}
	s.open[key] = c
	return c
}

// end closes a stream, and lets readers forget its templates.
func (s *streams) end(c *stream, now uint64) {
	s.held -= c.held
	delete(s.open, c.streamKey)
	if c.kind == ipfixStream {
		s.messages = append(s.messages, Datagram{Time: now, Src: c.from, Dst: c.to, Session: c.session})
	}
}

// put files a segment's bytes where they belong; of such that came before there may be
// some that are new.
func (s *streams) put(c *stream, seg *segment, now uint64, opt *Options) {
	switch ahead := int(int32(seg.seq - c.next)); {
	case ahead > 0:
		s.keep(c, seg, now)
	case -ahead < len(seg.data):
		s.follow(c, seg.data[-ahead:], now, opt)
	}
}

// keep keeps a copy of a segment that lies ahead.
func (s *streams) keep(c *stream, seg *segment, now uint64) {
	i, found := slices.BinarySearchFunc(c.ahead, seg.seq, func(x segment, seq uint32) int { return int(int32(x.seq - seq)) })
	if found && len(c.ahead[i].data) >= len(seg.data) {
		return
	}
	if len(c.ahead) == 0 {
		c.since = now
	}
	c.ahead = slices.Insert(c.ahead, i, segment{seq: seg.seq, data: slices.Clone(seg.data)})
	c.held, s.held = c.held+len(seg.data), s.held+len(seg.data)
}

// catchUp goes on with what lies ahead, as far as there is no hole before it, or it is
// given up.
func (s *streams) catchUp(c *stream, now uint64, opt *Options, st *Stats, givenUp func() bool) {
	for len(c.ahead) > 0 && c.kind != otherStream {
		first := c.ahead[0]
		if int32(first.seq-c.next) > 0 {
			if !givenUp() {
				return
			}
			st.Holes++
			c.next, c.buf, c.synced = first.seq, nil, false
		}
		c.ahead = slices.Delete(c.ahead, 0, 1)
		c.held, s.held, c.since = c.held-len(first.data), s.held-len(first.data), now
		s.put(c, &first, now, opt)
	}
}

// flush gives up all holes, at the end of the capture.
func (s *streams) flush(now uint64, opt *Options, st *Stats) {
	s.messages = s.messages[:0]
	open := slices.SortedFunc(maps.Values(s.open), func(a, b *stream) int { return cmp.Compare(a.session, b.session) })
	for _, c := range open {
		s.catchUp(c, now, opt, st, func() bool { return true })
	}
}

// follow appends the bytes that come next, and cuts messages off.
func (s *streams) follow(c *stream, b []byte, now uint64, opt *Options) {
	c.next += uint32(len(b))
	c.buf = append(c.buf, b...)
	if !c.synced && !c.sync(opt) {
		return
	}
	for len(c.buf) >= 4 {
		version, n := binary.BigEndian.Uint16(c.buf), int(binary.BigEndian.Uint16(c.buf[2:]))
		if version != 10 || n < 16 { // nobody knows where the next begins
			c.buf, c.synced = nil, false
			return
		}
		if len(c.buf) < n {
			return
		}
		s.messages = append(s.messages, Datagram{Time: now, Src: c.from, Dst: c.to, Payload: c.buf[:n:n], Session: c.session})
		c.buf = c.buf[n:] // what is appended comes behind the messages
	}
}

// sync tells whether a message begins in buf: exporters begin one with a segment. At the
// ports of exports, or those that were asked for, later segments are looked at too.
func (c *stream) sync(opt *Options) bool {
	ipfix := bytes.HasPrefix(c.buf, []byte{0, 10}) || len(c.buf) == 1 && c.buf[0] == 0
	switch {
	case ipfix && len(c.buf) < tellingBytes:
		return false
	case ipfix && looksLikeExport(c.buf, true):
		c.kind, c.synced = ipfixStream, true
		return true
	case c.kind == unknownStream && len(opt.Ports) == 0 && !slices.Contains(exportPorts, c.to.Port()):
		c.kind = otherStream
	}
	c.buf = nil
	return false
}
