package simulate

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"time"
)

// never is a time that does not come.
const never = int64(math.MaxInt64)

// maxPayload keeps a datagram within an Ethernet frame: 1500 octets less the
// headers of IPv4 and UDP.
const maxPayload = 1500 - 20 - 8

// Protocol is the export protocol of an exporter.
type Protocol string

// The export protocols.
const (
	NetFlow5 Protocol = "v5"
	NetFlow9 Protocol = "v9"
	IPFIX    Protocol = "ipfix"
	// Reports is no export protocol: payloads are batches of flow.v1.Flow, as
	// ingest would make them, but for the time of reception.
	Reports Protocol = "reports"
)

// Interface is one of an exporter's interfaces, told to collectors by options.
type Interface struct {
	Index uint32
	Name  string
}

// ExporterConfig describes one exporter and how it meters.
type ExporterConfig struct {
	Name            string
	Addr            netip.Addr
	Protocol        Protocol
	Domain          uint32        // source id, observation domain id; v5: engine id
	Boot            int64         // when it started: sysUptime counts from here
	Skew            time.Duration // its clock less the true time
	Delay           time.Duration // from export to the collector
	Active          time.Duration // active timeout
	Inactive        time.Duration // inactive timeout
	FlushAfter      time.Duration // longest wait of a record for its datagram to fill
	TemplateRefresh time.Duration // how often templates and options are sent again
	Sampling        uint32        // 1 in N packets; 0 and 1: every packet
	Ingress, Egress bool          // where packets are metered
	Interfaces      []Interface
	HashSampling    bool          // sampling exporters take the same packets, by a hash (RFC 5475)
	NAT             bool          // records tell the tuple after translation (IPv4)
	Jitter          time.Duration // datagrams take up to this much longer than Delay
	Loss            float64       // share of datagrams that never arrive
	Drift           float64       // sysUptime gains so much on the time of day, parts per million
	Fail            int64         // from then on it neither meters nor sends; 0 is never
	Biflow          bool          // both ways of a conversation are one record (RFC 5103)
	TwoWay          bool          // it passes both directions of conversations; told by Reports
}

// Datagram is what an exporter sent.
type Datagram struct {
	At       int64 // when it reached the collector
	Exporter int   // index into the network's exporters
	Payload  []byte
}

// encoder puts records into datagrams of one export protocol.
type encoder interface {
	// describe returns a datagram of templates and options, nil if the protocol has none.
	describe(now int64) []byte
	// add puts a record into the open datagram and tells whether it is full now.
	add(r *Record) (full bool)
	// flush closes the open datagram. It is valid until the next call.
	flush(now int64) []byte
}

// Exporter meters what passes it and sends records.
type Exporter struct {
	cfg      ExporterConfig
	index    int
	points   []*cache // one per observation point
	enc      encoder
	send     func(Datagram)
	way      *rand.Rand // what becomes of datagrams on their way
	waiting  int64      // since when the open datagram's first record waits, never if empty
	describe int64      // when to send templates again
	records  uint64
	sent     uint64
}

// newExporter makes exporter number index, which starts to describe itself at start.
func newExporter(cfg ExporterConfig, index int, start int64, seed uint64, send func(Datagram)) *Exporter {
	x := &Exporter{cfg: cfg, index: index, send: send, waiting: never, describe: start, way: stream(seed, "way", uint64(index))}
	cc := cacheConfig{active: int64(cfg.Active), inactive: int64(cfg.Inactive), sampling: cfg.Sampling, hash: cfg.HashSampling, biflow: cfg.Biflow}
	rng := stream(seed, "sampling", uint64(index))
	if cfg.Ingress {
		x.points = append(x.points, newCache(cc, rng))
	}
	if cfg.Egress {
		cc.egress = true
		x.points = append(x.points, newCache(cc, rng))
	}
	switch cfg.Protocol {
	case NetFlow5:
		x.enc, x.describe = newNetflow5(&x.cfg), never
	case NetFlow9:
		x.enc = newNetflow9(&x.cfg)
	case IPFIX:
		x.enc = newIPFIX(&x.cfg)
	case Reports:
		x.enc, x.describe = newReports(&x.cfg, index), never
	default:
		panic("BUG: unknown export protocol " + string(cfg.Protocol))
	}
	return x
}

// stream is a source of randomness of its own for one purpose, so that drawing
// for one thing never shifts another.
func stream(seed uint64, purpose string, n uint64) *rand.Rand {
	h := uint64(14695981039346656037) // FNV-1a
	for i := range len(purpose) {
		h = (h ^ uint64(purpose[i])) * 1099511628211
	}
	return rand.New(rand.NewPCG(seed, h^n*0x9e3779b97f4a7c15))
}

// reports tells whether the exporter can report a flow at all: NetFlow v5
// knows only IPv4.
func (x *Exporter) reports(v4 bool) bool { return v4 || x.cfg.Protocol != NetFlow5 }

// advance does all that is due up to t: expiries, full or waiting datagrams, templates.
func (x *Exporter) advance(t int64) {
	for {
		at := x.next()
		if at > t || at == never {
			return
		}
		switch at {
		case x.describe:
			x.deliver(at, x.enc.describe(at))
			x.describe += int64(x.cfg.TemplateRefresh)
		case x.flushDue():
			x.flush(at)
		default:
			x.expire(at)
		}
	}
}

// next is when the exporter has something to do, never once it has failed.
func (x *Exporter) next() int64 {
	at := min(x.describe, x.flushDue())
	for _, c := range x.points {
		at = min(at, c.next())
	}
	if x.failed(at) {
		return never
	}
	return at
}

// idle tells that nothing is left to send.
func (x *Exporter) idle() bool {
	if x.cfg.Fail != 0 && x.next() == never {
		return true
	}
	for _, c := range x.points {
		if c.next() != never {
			return false
		}
	}
	return x.waiting == never
}

func (x *Exporter) flushDue() int64 {
	if x.waiting == never {
		return never
	}
	return x.waiting + int64(x.cfg.FlushAfter)
}

// expire exports what the caches let go at t.
func (x *Exporter) expire(t int64) {
	for _, c := range x.points {
		for {
			r, at := c.expire(t)
			if r == nil {
				break
			}
			x.export(at, r)
		}
	}
}

// export puts a record into the open datagram and sends that if it is full.
func (x *Exporter) export(at int64, r *Record) {
	if x.waiting == never {
		x.waiting = at
	}
	x.records++
	if x.enc.add(r) {
		x.flush(at)
	}
}

func (x *Exporter) flush(at int64) {
	x.waiting = never
	x.deliver(at, x.enc.flush(at))
}

// deliver hands a datagram over as the collector receives it, if it does.
func (x *Exporter) deliver(at int64, payload []byte) {
	x.sent++
	if x.cfg.Loss > 0 && x.way.Float64() < x.cfg.Loss {
		return
	}
	at += int64(x.cfg.Delay)
	if x.cfg.Jitter > 0 {
		at += x.way.Int64N(int64(x.cfg.Jitter))
	}
	x.send(Datagram{At: at, Exporter: x.index, Payload: payload})
}

// failed tells whether the exporter is dead at t.
func (x *Exporter) failed(t int64) bool { return x.cfg.Fail != 0 && t >= x.cfg.Fail }

// clock is the exporter's own wall clock at the true time t.
func (c *ExporterConfig) clock(t int64) int64 { return t + int64(c.Skew) }

// uptime is sysUptime at the true time t: milliseconds, wrapping every 49.7 days.
// Its crystal may run fast or slow, where the time of day is set right again and again.
func (c *ExporterConfig) uptime(t int64) uint32 {
	up := t - c.Boot
	return uint32((up + int64(float64(up)*c.Drift/1e6)) / 1e6)
}
