package simulate

import (
	"container/heap"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// Hop is a packet's way through one exporter.
type Hop struct {
	Exporter int    // index into the network's exporters
	In, Out  uint32 // interface indices
}

// Route appends the exporters that a packet from src to dst passes, in order.
// The way back may be another.
type Route func(hops []Hop, src, dst *flow.Addr) []Hop

// Network lets conversations pass exporters, in order of time.
//
//	Start(conversation) ─▶ open, by next run ─▶ caches along the route ─▶ datagrams ─▶ outbox, by arrival ─▶ send
type Network struct {
	exporters []*Exporter
	route     Route
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
	conv     *Conversation
	next     int // index of the next run
	order    uint64
	key      [2]flow.Key
	hops     [2][]Hop // there and back
	reported int      // exporters that see it
}

// NewNetwork makes a network whose exporters start at start. send gets every
// datagram in order of arrival, its payload valid during the call; begin gets
// every conversation that some exporter sees, as its first packet passes. An
// error of either ends the run.
func NewNetwork(configs []ExporterConfig, route Route, start int64, seed uint64,
	send func(Datagram) error, begin func(*Truth) error) *Network {
	n := &Network{route: route, send: send, begin: begin, now: start}
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
		p.key[dir] = c.key(dir == 1)
		k := &p.key[dir]
		for _, h := range n.route(nil, &k.Src.Addr, &k.Dst.Addr) {
			if n.exporters[h.Exporter].reports(v4) {
				p.hops[dir] = append(p.hops[dir], h)
			}
		}
	}
	p.reported = n.countReporters(p)
	heap.Push(&n.open, p)
}

// countReporters counts the exporters that see a packet of the conversation.
func (n *Network) countReporters(p *passage) int {
	seen := make([]bool, len(n.exporters))
	count := 0
	for i := range p.conv.Runs {
		for _, h := range p.hops[way(p.conv.Runs[i].Reverse)] {
			if !seen[h.Exporter] {
				seen[h.Exporter] = true
				count++
			}
		}
	}
	return count
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
	if p.next == 0 && p.reported > 0 && n.err == nil {
		n.err = n.begin(p.truth())
	}
	dir := way(run.Reverse)
	for _, h := range p.hops[dir] {
		for _, point := range n.exporters[h.Exporter].points {
			point.observe(p.key[dir], p.conv.TOS, run, h.In, h.Out)
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

// truth is what the exporters together ought to tell.
func (p *passage) truth() *Truth {
	c := p.conv
	return &Truth{Client: c.Client, Server: c.Server, Proto: c.Proto, Totals: c.Totals(), Exporters: p.reported}
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
