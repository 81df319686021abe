package biflow

import (
	"bytes"
	"slices"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// See takes in a flow of the next tick. It is only read during the call, but for
// the text of its strings, which must stay until TickSeen; their order is of no
// account.
func (t *Table) See(f *flowv1.Flow) {
	t.seen.add(f)
}

// HasSeen tells whether a flow has been seen for which TickSeen must be called.
func (t *Table) HasSeen() bool { return len(t.seen.list) > 0 }

// TickSeen is Tick with the flows that were seen, which are those of now.
func (t *Table) TickSeen(now eventtime.Tick, emit func(*flowv1.Biflow)) {
	t.now = now
	for places := range slices.Chunk(t.seen.inOrder(), lookahead) {
		for i, place := range places {
			t.ahead.segments[i] = &t.seen.list[place.At]
		}
		t.applyAhead(len(places))
	}
	t.seen.reset()
	t.finish(emitter(emit))
}

// seen are the flows of one tick, as they came: of each no more than a table reads,
// a third of a message.
type seen struct {
	list  []segment
	views []view
	// addrs holds the addresses, sampler that of the last.
	addrs   []byte
	sampler []byte
	// fulls are lent to flows that tell more, nfull of them.
	fulls []*flowv1.Flow
	nfull int
	order flow.Sorter
}

func (s *seen) add(f *flowv1.Flow) {
	n := len(s.list)
	if n == cap(s.list) {
		s.list = slices.Grow(s.list, max(n, 256)) // what is not used costs no memory
	}
	s.list = s.list[:n+1]
	x := &s.list[n]
	s.views = x.from(f, s.views)
	x.src, x.dst = s.keep(x.src), s.keep(x.dst)
	if !bytes.Equal(x.sampler, s.sampler) || s.sampler == nil {
		s.sampler = s.keep(x.sampler)
	}
	x.sampler = s.sampler
	if x.full != nil {
		x.full = s.more(f)
	}
}

// keep copies an address. When the buffer grows, what it held stays where it was.
func (s *seen) keep(addr []byte) []byte {
	n := len(s.addrs)
	s.addrs = append(s.addrs, addr...)
	return s.addrs[n:len(s.addrs):len(s.addrs)]
}

// more copies what few flows tell (flow.Telling).
func (s *seen) more(f *flowv1.Flow) *flowv1.Flow {
	if s.nfull == len(s.fulls) {
		s.fulls = append(s.fulls, new(flowv1.Flow))
	}
	m := s.fulls[s.nfull]
	s.nfull++
	m.PostSrcAddr, m.PostDstAddr = s.keep(f.PostSrcAddr), s.keep(f.PostDstAddr)
	m.PostSrcPort, m.PostDstPort = f.PostSrcPort, f.PostDstPort
	m.Application, m.User, m.HttpHost, m.HttpUrl = f.Application, f.User, f.HttpHost, f.HttpUrl
	m.DnsName, m.FirewallRule = f.DnsName, f.FirewallRule
	return m
}

// inOrder lists the flows as flow.SortDeduped would have them.
func (s *seen) inOrder() []flow.Place {
	places := s.order.Places(len(s.list))
	for i := range s.list {
		places[i] = flow.Place{Key: s.list[i].start, At: uint32(i)}
	}
	sorted, _ := s.order.Sort(func(a, b uint32) int { return s.list[a].rank().Compare(s.list[b].rank()) })
	return sorted
}

func (s *seen) reset() {
	s.list, s.views, s.addrs, s.sampler = s.list[:0], s.views[:0], s.addrs[:0], nil
}
