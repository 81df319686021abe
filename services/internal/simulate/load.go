package simulate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// LoadConfig shapes generated load.
type LoadConfig struct {
	Seed      uint64
	Start     time.Time
	Records   uint64  // flow records of all exporters together, exactly
	Rate      float64 // records per second of network time
	Protocol  Protocol
	Exporters int // each conversation is seen by one of them up to all
}

// DefaultLoad is one million NetFlow v9 records of one exporter, 50,000 a second.
func DefaultLoad() LoadConfig {
	return LoadConfig{
		Seed: 1, Start: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
		Records: 1_000_000, Rate: 50_000, Protocol: NetFlow9, Exporters: 1,
	}
}

// Validate tells what is wrong and what would be right.
func (c *LoadConfig) Validate() error {
	switch {
	case c.Records == 0:
		return fmt.Errorf("records is 0: how many flow records? say 1000000")
	case !(c.Rate >= 1 && c.Rate <= 10e6):
		return fmt.Errorf("rate is %g: choose 1 to 10000000 records per second, say 50000", c.Rate)
	case c.Protocol != NetFlow5 && c.Protocol != NetFlow9 && c.Protocol != IPFIX:
		return fmt.Errorf("protocol is %q: choose v5, v9 or ipfix", c.Protocol)
	case c.Exporters < 1 || c.Exporters > 64:
		return fmt.Errorf("exporters is %d: choose 1 to 64", c.Exporters)
	}
	return nil
}

// Load makes flow records without metering packets one by one: for each
// conversation it plans the records that exporters with an active timeout of
// one minute make of it. Its memory grows with the conversations under way,
// not with the number of records.
type Load struct {
	cfg       LoadConfig
	exporters []ExporterConfig
	rng       *rand.Rand
	clock     float64 // when the next conversation begins, nanoseconds since the start
	planned   uint64
	ports     []uint16 // next port per client
	pending   planHeap
	devices   []*Exporter
	outbox    outbox
	out       Output
	truth     Truth
	rec       Record
}

const (
	loadClients = 20_000
	loadActive  = int64(time.Minute)
	loadIdle    = int64(15 * time.Second)
)

// NewLoad makes the generator from a valid configuration.
func NewLoad(cfg LoadConfig) (*Load, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	l := &Load{cfg: cfg, rng: stream(cfg.Seed, "load", 0), ports: make([]uint16, loadClients)}
	for i := range l.ports {
		l.ports[i] = 32768 + uint16(l.rng.IntN(28000))
	}
	for i := range cfg.Exporters {
		l.exporters = append(l.exporters, ExporterConfig{
			Name: fmt.Sprintf("%s-%d", cfg.Protocol, i+1), Addr: netip.AddrFrom4([4]byte{10, 255, 0, byte(1 + i)}),
			Protocol: cfg.Protocol, Domain: uint32(1 + i), Boot: cfg.Start.Add(-100 * time.Hour).UnixNano(),
			Active: time.Duration(loadActive), Inactive: time.Duration(loadIdle), Ingress: true,
			FlushAfter: 500 * time.Millisecond, TemplateRefresh: 30 * time.Second,
			Interfaces: []Interface{{1, "inside"}, {2, "outside"}},
		})
	}
	return l, nil
}

// Exporters are the devices that report.
func (l *Load) Exporters() []ExporterConfig { return l.exporters }

// Run makes the records.
func (l *Load) Run(out Output) (*Summary, error) {
	s := &Summary{}
	l.out = s.count(out)
	for i, cfg := range l.exporters {
		l.devices = append(l.devices, newExporter(cfg, i, l.cfg.Start.UnixNano(), l.cfg.Seed, l.outbox.put))
	}
	for l.planned < l.cfg.Records {
		if err := l.begin(); err != nil {
			return s, err
		}
	}
	err := l.exportUntil(never)
	for _, x := range l.devices {
		if x.waiting != never {
			x.flush(x.flushDue())
		}
	}
	if err == nil {
		err = l.deliver(never)
	}
	s.add(l.devices)
	return s, err
}

// begin plans one conversation, tells its truth and exports what is due before it.
func (l *Load) begin() error {
	at := l.cfg.Start.UnixNano() + int64(l.clock)
	if err := l.exportUntil(at); err != nil {
		return err
	}
	p := l.plan(at)
	l.fit(&p, l.cfg.Records-l.planned)
	p.schedule()
	n := p.records()
	l.planned += n
	l.clock += l.rng.ExpFloat64() * float64(n) / l.cfg.Rate * 1e9
	l.truth = Truth{
		Client: p.client, Server: p.server, Proto: p.proto, Exporters: int(p.seen),
		Totals: Totals{
			Start: p.start, End: p.start + p.length,
			ClientPackets: uint64(p.side[0].packets), ClientBytes: p.side[0].bytes,
			ServerPackets: uint64(p.side[1].packets), ServerBytes: p.side[1].bytes,
		},
	}
	l.pending.push(p)
	return l.out.Truth(&l.truth)
}

// fit cuts a plan down to at most so many records, so that the total is exact.
func (l *Load) fit(p *plan, room uint64) {
	if p.records() <= room {
		return
	}
	p.seen = 1
	if p.records() <= room {
		return
	}
	p.segments = 1
	p.length = min(p.length, loadActive-1)
	if p.records() > room { // one record: nobody answers
		p.side[1] = side{}
	}
}

// exportUntil exports every segment that ends by t.
func (l *Load) exportUntil(t int64) error {
	for len(l.pending) > 0 && l.pending[0].due <= t {
		p := &l.pending[0]
		at := p.due
		if err := l.advance(at); err != nil {
			return err
		}
		for i := range int(p.seen) {
			x := l.devices[(int(p.first)+i)%len(l.devices)]
			for dir := range p.side {
				if p.segment(&l.rec, dir) {
					x.export(at, &l.rec)
				}
			}
		}
		p.done++
		if p.done == p.segments {
			l.pending.pop()
		} else {
			p.schedule()
			l.pending.fix()
		}
	}
	return nil
}

// advance lets the devices send what waits, up to t.
func (l *Load) advance(t int64) error {
	for _, x := range l.devices {
		x.advance(t)
	}
	return l.deliver(t)
}

// deliver hands over what has arrived by t.
func (l *Load) deliver(t int64) error {
	for l.outbox.next() < t {
		if err := l.out.Datagram(l.outbox.take()); err != nil {
			return err
		}
	}
	return nil
}

// plan draws a conversation that begins at a time.
func (l *Load) plan(at int64) plan {
	r := l.rng
	p := plan{start: at, segments: 1, seen: 1, reason: endOfFlow}
	if n := l.cfg.Exporters; n > 1 {
		p.first, p.seen = uint8(r.IntN(n)), uint8(1+r.IntN(n))
	}
	l.endpoints(&p)
	switch kind := r.IntN(100); {
	case kind < 5:
		l.unanswered(&p)
	case kind < 38:
		l.question(&p)
	case kind < 40:
		l.echo(&p)
	case kind < 44:
		l.long(&p)
	default:
		l.web(&p)
	}
	return p
}

// endpoints picks a client, its next port, and a server; one in twenty speaks IPv6.
func (l *Load) endpoints(p *plan) {
	c := l.rng.IntN(loadClients)
	s := l.rng.Uint32N(1<<12) * l.rng.Uint32N(1<<4) // few are busy, many are rare
	p.client.Port = l.ports[c]
	l.ports[c]++
	if l.ports[c] >= 61000 {
		l.ports[c] = 32768
	}
	if l.cfg.Protocol != NetFlow5 && l.rng.IntN(20) == 0 {
		p.client.Addr = flow.Addr{0x20, 0x01, 0x0d, 0xb8, 0, 0x10, 13: byte(c >> 16), 14: byte(c >> 8), 15: byte(c)}
		p.server.Addr = flow.Addr{0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 13: byte(s >> 16), 14: byte(s >> 8), 15: byte(s)}
		return
	}
	p.client.Addr = flow.AddrFrom([]byte{10, 64, byte(c >> 8), byte(c)})
	p.server.Addr = flow.AddrFrom([]byte{198, byte(18 + s>>16&1), byte(s >> 8), byte(s)})
}

// unanswered is a scanner's probe: few sources, many targets.
func (l *Load) unanswered(p *plan) {
	p.client.Addr = flow.AddrFrom([]byte{10, 64, 200, byte(1 + l.rng.IntN(20))})
	p.client.Port = 1024 + uint16(l.rng.IntN(64000))
	p.server.Addr = flow.AddrFrom([]byte{10, 99, byte(l.rng.IntN(256)), byte(1 + l.rng.IntN(254))})
	p.server.Port = []uint16{22, 23, 445, 3389}[l.rng.IntN(4)]
	p.proto, p.reason = flow.ProtoTCP, endIdle
	p.side[0] = side{packets: 1, bytes: 60, flags: syn}
}

// question is a lookup by UDP.
func (l *Load) question(p *plan) {
	p.proto, p.reason, p.server.Port = flow.ProtoUDP, endIdle, 53
	p.length = int64(1e6 + l.rng.ExpFloat64()*20e6)
	p.side[0] = side{packets: 1, bytes: 58 + l.rng.Uint64N(40)}
	p.side[1] = side{packets: 1, bytes: 90 + l.rng.Uint64N(400)}
}

// echo is a ping of a few packets.
func (l *Load) echo(p *plan) {
	n := 1 + l.rng.Uint32N(5)
	p.proto, p.reason = flow.ProtoICMP, endIdle
	if !p.client.Addr.Is4() {
		p.proto = flow.ProtoICMPv6
	}
	p.client.Port, p.server.Port = 0, 0
	p.length = int64(n-1)*1e9 + 9e6
	p.side[0] = side{packets: n, bytes: 84 * uint64(n)}
	p.side[1] = p.side[0]
}

// web is a short TCP conversation of heavy-tailed size.
func (l *Load) web(p *plan) {
	p.proto, p.server.Port = flow.ProtoTCP, []uint16{443, 443, 443, 80, 993, 8443}[l.rng.IntN(6)]
	p.length = int64(50e6 + l.rng.ExpFloat64()*1.5e9)
	l.volume(p, 8e3, 200e6)
}

// long is a TCP conversation of several active timeouts.
func (l *Load) long(p *plan) {
	p.proto, p.server.Port = flow.ProtoTCP, []uint16{443, 22, 9103}[l.rng.IntN(3)]
	p.length = loadActive + min(int64(l.rng.ExpFloat64()*60e9), 4*loadActive)
	p.segments = uint16(1 + p.length/loadActive)
	l.volume(p, 2e6, 2e9)
	for dir := range p.side { // every segment has something to report
		s := &p.side[dir]
		if more := uint32(p.segments) * 4; s.packets < more {
			s.bytes += uint64(more-s.packets) * 52
			s.packets = more
		}
	}
}

// volume draws both sides of a TCP conversation; one in eight sends more than it gets.
func (l *Load) volume(p *plan, median, limit float64) {
	data, small := heavy(l.rng, median, limit), 300+l.rng.Uint64N(2000)
	big, little := 1, 0
	if l.rng.IntN(8) == 0 {
		big, little = 0, 1
	}
	n := segments(data) + 3
	p.side[big] = side{packets: n, bytes: data + uint64(n)*52, flags: syn | ack | psh | fin}
	m := n/2 + segments(small) + 2
	p.side[little] = side{packets: m, bytes: small + uint64(m)*52, flags: syn | ack | psh | fin}
	if p.side[0].flags != 0 && l.rng.IntN(25) == 0 {
		p.side[0].flags = p.side[0].flags&^fin | rst
	}
}

// lag is how long after its end a record is exported.
func lag(reason uint8) int64 {
	if reason == endIdle {
		return loadIdle
	}
	return finLinger
}

// share is a part of n when it is cut into equal parts, the last taking the rest.
func share(n uint64, part, parts uint16) uint64 {
	each := n / uint64(parts)
	if part == parts-1 {
		return n - each*uint64(parts-1)
	}
	return each
}

// Collector is where the exporters send to.
func (l *Load) Collector() netip.Addr { return netip.AddrFrom4([4]byte{10, 255, 255, 250}) }
