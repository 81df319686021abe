package simulate

import (
	"container/heap"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// The office's address plan: 10.20.0.0/16. User networks are 10.20.1.0/24,
// 10.20.3.0/24, 10.20.5.0/24 …; servers 10.20.2.0/24; backup and monitoring
// 10.20.4.0/24. IPv6 hosts are 2001:db8:20:<net>::<host>. The outside is made
// of addresses set aside for documentation and benchmarks.
const (
	serverNet = 2
	manageNet = 4
	storyHost = 57 // 10.20.1.57
	maxHosts  = 200
	siteCount = 60
)

// officeAddr is 10.20.net.host.
func officeAddr(net, host int) flow.Addr {
	return flow.AddrFrom([]byte{10, 20, byte(net), byte(host)})
}

// officeAddr6 is 2001:db8:20:net::host.
func officeAddr6(net, host int) flow.Addr {
	return flow.Addr{0x20, 0x01, 0x0d, 0xb8, 0, 0x20, 0, byte(net), 15: byte(host)}
}

// siteAddr is an outside web site's address.
func siteAddr(n uint64) flow.Addr {
	return flow.AddrFrom([]byte{198, 18, byte(1 + n%7), byte(10 + n)})
}

// siteAddr6 is the same site's IPv6 address.
func siteAddr6(n uint64) flow.Addr {
	return flow.Addr{0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 0, byte(1 + n%7), 15: byte(10 + n)}
}

// zone is where in the office an address lives.
type zone struct {
	inside bool
	net    int // third octet, or IPv6 subnet
}

func zoneOf(a *flow.Addr) zone {
	if a.Is4() {
		return zone{inside: a[12] == 10 && a[13] == 20, net: int(a[14])}
	}
	site := binary.BigEndian.Uint32(a[:4]) == 0x20010db8 && a[4] == 0 && a[5] == 0x20
	return zone{inside: site, net: int(a[7])}
}

// userNet tells whether a network is one of users: the odd ones.
func (z zone) userNet() bool { return z.inside && z.net%2 == 1 }

// person is one user's host.
type person struct {
	net, host int
	v6        bool
}

// office is the ordinary world: hosts and what they keep doing.
type office struct {
	seed       uint64
	start, end int64
	people     []person
	ports      map[flow.Addr]uint16
	behaviours behaviourHeap
	open       func(*Conversation)
}

// newOffice places people in user networks. open is called for every
// conversation that begins.
func newOffice(seed uint64, start, end int64, hosts, nets int, open func(*Conversation)) *office {
	o := &office{seed: seed, start: start, end: end, ports: map[flow.Addr]uint16{}, open: open}
	for i := range hosts {
		host := 20 + i/nets
		if host >= storyHost {
			host++
		}
		if i == 0 {
			host = storyHost
		}
		o.people = append(o.people, person{net: 1 + 2*(i%nets), host: host, v6: i%2 == 1})
	}
	return o
}

// client is a host's next ephemeral port: rising, so that no port comes twice
// while it may still be remembered.
func (o *office) client(a flow.Addr) flow.Endpoint {
	p, ok := o.ports[a]
	if !ok {
		p = 32768 + uint16(stream(o.seed, "port", binary.BigEndian.Uint64(a[8:])).IntN(20000))
	}
	next := p + 1
	if next >= 61000 {
		next = 32768
	}
	o.ports[a] = next
	return flow.Endpoint{Addr: a, Port: p}
}

// behaviour is something that a host does again and again.
type behaviour struct {
	at    int64
	mean  time.Duration
	rng   *rand.Rand
	play  func(rng *rand.Rand, at int64)
	order int
}

// every lets play happen about once per mean, at random times. A name and a
// number give it randomness of its own.
func (o *office) every(mean time.Duration, name string, n int, play func(rng *rand.Rand, at int64)) {
	b := &behaviour{mean: mean, rng: stream(o.seed, name, uint64(n)), play: play, order: len(o.behaviours)}
	b.at = o.start
	b.schedule()
	o.behaviours = append(o.behaviours, b)
}

// once lets play happen at one time.
func (o *office) once(at int64, name string, play func(rng *rand.Rand, at int64)) {
	o.behaviours = append(o.behaviours, &behaviour{at: at, rng: stream(o.seed, name, 0), play: play, order: len(o.behaviours)})
}

// schedule sets the next time: exponential gaps.
func (b *behaviour) schedule() {
	b.at += max(1e6, int64(b.rng.ExpFloat64()*float64(b.mean)))
}

// run plays all behaviours until the office's end, between the packets of what
// they began.
func (o *office) run(n *Network) error {
	heap.Init(&o.behaviours)
	for len(o.behaviours) > 0 {
		b := o.behaviours[0]
		for n.Next() < b.at && b.at < o.end {
			if err := n.Step(); err != nil {
				return err
			}
		}
		if b.at < o.end {
			b.play(b.rng, b.at)
		}
		if b.mean == 0 || b.at >= o.end {
			heap.Pop(&o.behaviours)
			continue
		}
		b.schedule()
		heap.Fix(&o.behaviours, 0)
	}
	return n.Drain()
}

// behaviourHeap orders behaviours by time (container/heap).
type behaviourHeap []*behaviour

func (h behaviourHeap) Len() int { return len(h) }
func (h behaviourHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].order < h[j].order
}
func (h behaviourHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push and Pop are for container/heap.
func (h *behaviourHeap) Push(x any) { *h = append(*h, x.(*behaviour)) }

func (h *behaviourHeap) Pop() any {
	old := *h
	b := old[len(old)-1]
	*h = old[:len(old)-1]
	return b
}
