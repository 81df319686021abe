package simulate

import (
	"container/heap"
	"math/bits"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// Hop is a packet's way through one exporter.
type Hop struct {
	Exporter int    // index into the network's exporters
	In, Out  uint32 // interface indices
	// Zones are those in which its ingress and its egress see the packet: they
	// differ where it translates the client.
	Zones [2]uint8
	// Of exporters side by side pass the packets of a conversation in turns,
	// this one being number Turn; with 0 it passes all of them. A turn is a packet, or
	// lasts Turns.
	Of, Turn uint32
	Turns    time.Duration
	// Later is how much later packets pass than at the hop before, if that is of the same
	// exporter.
	Later time.Duration
}

// Route appends the exporters that a packet from src to dst passes, in order.
// The way back may be another.
type Route func(hops []Hop, src, dst *flow.Addr) []Hop

// Network lets conversations pass exporters, in order of time.
//
//	Start(conversation) ─▶ open, by next run ─▶ caches along the route ─▶ datagrams ─▶ outbox, by arrival ─▶ send
type Network struct {
	exporters []*Exporter
	route     func(hops []Hop, c *Conversation, reverse bool) []Hop
	open      openHeap
	started   uint64
	outbox    outbox
	send      func(Datagram) error
	begin     func(*Truth) error
	err       error
	now       int64
}

// passage is a conversation under way.
type passage struct {
	conv  *Conversation
	next  int // index of the next run
	order uint64
	hops  [2][]Hop // there and back
	// key is that of a direction, in a zone; seen is which exporters see it, a
	// bit for each.
	key  [2][2]flow.Key
	seen [2][2]uint64
}

// NewNetwork makes a network whose exporters start at start. send gets every
// datagram in order of arrival, its payload valid during the call; begin gets
// every conversation that some exporter sees, as its first packet passes. An
// error of either ends the run.
func NewNetwork(configs []ExporterConfig, route Route, start int64, seed uint64,
	send func(Datagram) error, begin func(*Truth) error) *Network {
	n := &Network{send: send, begin: begin, now: start}
	n.route = func(hops []Hop, c *Conversation, reverse bool) []Hop {
		if reverse {
			return route(hops, &c.Server.Addr, &c.Client.Addr)
		}
		return route(hops, &c.Client.Addr, &c.Server.Addr)
	}
	if len(configs) > 64 {
		panic("BUG: more than 64 exporters")
	}
	for i, cfg := range configs {
		n.exporters = append(n.exporters, newExporter(cfg, i, start, seed, n.outbox.put))
	}
	return n
}

// Start lets a conversation begin at its first run. It must not lie in the past.
func (n *Network) Start(c *Conversation) {
	p := &passage{conv: c, order: n.started}
	n.started++
	v4 := c.Client.Addr.Is4()
	for dir := range p.hops {
		p.key[dir] = [2]flow.Key{c.key(dir == 1, inside), c.key(dir == 1, outside)}
		for _, h := range n.route(nil, c, dir == 1) {
			if n.exporters[h.Exporter].reports(v4) {
				p.hops[dir] = append(p.hops[dir], h)
			}
		}
	}
	n.countReporters(p)
	heap.Push(&n.open, p)
}

// countReporters notes which exporters see packets of the conversation.
func (n *Network) countReporters(p *passage) {
	for i := range p.conv.Runs {
		r := &p.conv.Runs[i]
		dir := way(r.Reverse)
		for j := range p.hops[dir] {
			h := &p.hops[dir][j]
			if !h.passes(r) {
				continue
			}
			for _, point := range n.exporters[h.Exporter].points {
				p.seen[dir][h.zone(point)] |= 1 << h.Exporter
			}
		}
	}
}

// zone is the zone in which a point of the hop's exporter sees the packet.
func (h *Hop) zone(point *cache) int { return int(h.Zones[way(point.cfg.egress)]) }

// passes tells whether a run takes this of several exporters side by side.
func (h *Hop) passes(r *Run) bool {
	switch {
	case h.Of == 0:
		return true
	case h.Turns > 0:
		return uint32(r.At/int64(h.Turns))%h.Of == h.Turn
	}
	return uint32(mix(uint64(r.At))>>32)%h.Of == h.Turn
}

// mix scatters a number over 64 bits.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

func way(reverse bool) int {
	if reverse {
		return 1
	}
	return 0
}

// Next is when the next packet passes, never if no conversation is under way.
func (n *Network) Next() int64 {
	if len(n.open) == 0 {
		return never
	}
	return n.open[0].at()
}

// Step lets the next burst of packets pass.
func (n *Network) Step() error {
	p := n.open[0]
	run := &p.conv.Runs[p.next]
	n.advance(run.At)
	if p.next == 0 {
		n.tell(p)
	}
	dir := way(run.Reverse)
	for i := range p.hops[dir] {
		h := &p.hops[dir][i]
		x := n.exporters[h.Exporter]
		if x.failed(run.At) || !h.passes(run) {
			continue
		}
		passing := *run
		passing.At += int64(h.Later)
		for _, point := range x.points {
			zone := h.zone(point)
			point.observe(p.key[dir][zone], p.conv.TOS, &passing, h.In, h.Out)
			if x.cfg.NAT {
				point.translate(p.key[dir][zone], p.key[dir][h.Zones[1]], h.In, h.Out)
			}
		}
	}
	p.next++
	if p.next == len(p.conv.Runs) {
		heap.Pop(&n.open)
	} else {
		heap.Fix(&n.open, 0)
	}
	return n.err
}

// advance moves every exporter to t and sends what has arrived by then.
func (n *Network) advance(t int64) {
	n.now = t
	for _, x := range n.exporters {
		x.advance(t)
	}
	for n.err == nil && n.outbox.next() <= t {
		n.err = n.send(n.outbox.take())
	}
}

// Drain lets all conversations end, all timeouts pass and all datagrams arrive.
func (n *Network) Drain() error {
	for n.Next() != never {
		if err := n.Step(); err != nil {
			return err
		}
	}
	for n.err == nil && !n.idle() {
		next := never
		for _, x := range n.exporters {
			next = min(next, x.next())
		}
		n.advance(next)
	}
	for n.err == nil && n.outbox.next() != never {
		n.err = n.send(n.outbox.take())
	}
	return n.err
}

func (n *Network) idle() bool {
	for _, x := range n.exporters {
		if !x.idle() {
			return false
		}
	}
	return true
}

// tell tells what the exporters together ought to say, for each zone in which
// they see anything.
func (n *Network) tell(p *passage) {
	for zone := range 2 {
		if n.err == nil && p.seen[0][zone]|p.seen[1][zone] != 0 {
			n.err = n.begin(p.truth(zone))
		}
	}
}

// truth is what a perfect ledger holds of the conversation in a zone: the side
// that nobody sees is missing.
func (p *passage) truth(zone int) *Truth {
	c := p.conv
	t := &Truth{Client: c.client(zone), Server: c.Server, Proto: c.Proto, Totals: c.Totals()}
	t.Exporters = bits.OnesCount64(p.seen[0][zone] | p.seen[1][zone])
	if p.seen[0][zone] == 0 {
		t.ClientBytes, t.ClientPackets = 0, 0
	}
	if p.seen[1][zone] == 0 {
		t.ServerBytes, t.ServerPackets = 0, 0
	}
	return t
}

func (p *passage) at() int64 { return p.conv.Runs[p.next].At }

// openHeap orders conversations by their next run (container/heap).
type openHeap []*passage

func (h openHeap) Len() int { return len(h) }
func (h openHeap) Less(i, j int) bool {
	if a, b := h[i].at(), h[j].at(); a != b {
		return a < b
	}
	return h[i].order < h[j].order
}
func (h openHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push and Pop are for container/heap.
func (h *openHeap) Push(x any) { *h = append(*h, x.(*passage)) }

func (h *openHeap) Pop() any {
	old := *h
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return p
}
