package simulate

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// The office's servers, all in the server network but for the last two.
const (
	fileServer   = 10
	mailServer   = 25
	timeServer   = 5
	nameServer   = 53
	webServer    = 80
	backupServer = 40 // in the management network
	monitor      = 9  // in the management network
)

// ordinary sets up what happens in the office on any day.
func (o *office) ordinary() {
	for i := range o.people {
		p := &o.people[i]
		o.every(6*time.Second, "browse", i, func(rng *rand.Rand, at int64) { o.browse(rng, at, p) })
		o.every(25*time.Second, "files", i, func(rng *rand.Rand, at int64) { o.files(rng, at, p) })
		o.every(45*time.Second, "mail", i, func(rng *rand.Rand, at int64) { o.mail(rng, at, p) })
		o.every(64*time.Second, "clock", i, func(rng *rand.Rand, at int64) { o.clock(rng, at, p) })
	}
	o.every(1500*time.Millisecond, "visitor", 0, o.visitor)
	o.every(6*time.Second, "mail in", 0, o.mailIn)
	o.every(15*time.Second, "mail out", 0, o.mailOut)
	o.once(o.start+(o.end-o.start)/20, "backup", o.backup)
	for i, host := range []int{fileServer, mailServer, nameServer, webServer} {
		o.once(o.start+int64(i+1)*150e6, "ping", func(rng *rand.Rand, at int64) { o.ping(rng, at, host) })
	}
}

// server is an endpoint in the server network.
func server(host int, port uint16) flow.Endpoint {
	return flow.Endpoint{Addr: officeAddr(serverNet, host), Port: port}
}

// Round-trip times within the office, and to the outside.
func near(rng *rand.Rand) time.Duration {
	return 400*time.Microsecond + time.Duration(rng.Int64N(int64(2*time.Millisecond)))
}

func far(rng *rand.Rand) time.Duration {
	return 8*time.Millisecond + time.Duration(rng.ExpFloat64()*float64(25*time.Millisecond))
}

// heavy is a heavy-tailed size in octets around a median, at most limit.
func heavy(rng *rand.Rand, median, limit float64) uint64 {
	return uint64(min(limit, median*math.Exp(1.7*rng.NormFloat64())))
}

// browse looks up a site and fetches a few things from it.
func (o *office) browse(rng *rand.Rand, at int64, p *person) {
	site := rand.NewZipf(rng, 1.3, 2, siteCount-1).Uint64()
	addr, peer := officeAddr(p.net, p.host), siteAddr(site)
	if p.v6 && site%3 == 0 {
		addr, peer = officeAddr6(p.net, p.host), siteAddr6(site)
	}
	if rng.IntN(10) < 7 {
		at = o.lookup(rng, at, officeAddr(p.net, p.host))
	}
	for range 1 + rng.IntN(3) {
		o.fetch(rng, at, addr, peer)
		at += int64(rng.ExpFloat64() * 200e6)
	}
}

// lookup asks the name server, which may have to ask outside. It returns when
// the answer is there.
func (o *office) lookup(rng *rand.Rand, at int64, a flow.Addr) int64 {
	d := newDialogue(rng, at, o.client(a), server(nameServer, 53), flow.ProtoUDP, near(rng))
	think := time.Millisecond
	if rng.IntN(3) == 0 {
		up := flow.Endpoint{Addr: flow.AddrFrom([]byte{192, 0, 2, 53}), Port: 53}
		u := newDialogue(rng, at+int64(time.Millisecond), o.client(officeAddr(serverNet, nameServer)), up, flow.ProtoUDP, far(rng))
		u.exchange(40+rng.Uint64N(30), 90+rng.Uint64N(300), 0)
		o.open(u.conv)
		think += time.Duration(u.now - at)
	}
	d.exchange(30+rng.Uint64N(30), 60+rng.Uint64N(300), think)
	o.open(d.conv)
	return d.now + int64(time.Millisecond)
}

// fetch is one web connection: mostly TLS over TCP, some QUIC, now and then a
// reset, a refusal or a site that is away.
func (o *office) fetch(rng *rand.Rand, at int64, a, peer flow.Addr) {
	to := flow.Endpoint{Addr: peer, Port: 443}
	if rng.IntN(5) == 0 {
		to.Port = 80
	}
	size := heavy(rng, 12e3, 20e6)
	if to.Port == 443 && rng.IntN(8) == 0 {
		o.quic(rng, at, a, to, size)
		return
	}
	d := newDialogue(rng, at, o.client(a), to, flow.ProtoTCP, far(rng))
	switch luck := rng.IntN(200); luck {
	case 0:
		d.probe()
		d.wait(time.Second)
		d.probe()
	case 1:
		d.probe()
		d.refuse()
	default:
		d.connect()
		d.exchange(517, 3000, 2*time.Millisecond)
		d.exchange(300+rng.Uint64N(900), 400, 10*time.Millisecond)
		d.transfer(true, size, 6e6)
		d.wait(time.Duration(rng.ExpFloat64() * float64(400*time.Millisecond)))
		if luck < 12 {
			d.abort()
		} else {
			d.close()
		}
	}
	o.open(d.conv)
}

// quic is a web connection over UDP.
func (o *office) quic(rng *rand.Rand, at int64, a flow.Addr, to flow.Endpoint, size uint64) {
	d := newDialogue(rng, at, o.client(a), to, flow.ProtoUDP, far(rng))
	d.exchange(1200, 1200, 0)
	for size > 0 {
		n := min(size, 400e3)
		size -= n
		d.say(false, 1+segments(n)/4, uint64(1+segments(n)/4)*35, 0)
		d.wait(d.rtt)
		d.say(true, segments(n), n, 0)
		d.wait(transferStep)
	}
	o.open(d.conv)
}

// files reads or writes on the file server.
func (o *office) files(rng *rand.Rand, at int64, p *person) {
	d := newDialogue(rng, at, o.client(officeAddr(p.net, p.host)), server(fileServer, 445), flow.ProtoTCP, near(rng))
	d.connect()
	d.exchange(220, 460, time.Millisecond)
	d.exchange(600, 350, time.Millisecond)
	d.transfer(rng.IntN(3) > 0, heavy(rng, 150e3, 50e6), 20e6)
	d.wait(time.Duration(rng.ExpFloat64() * float64(2*time.Second)))
	d.close()
	o.open(d.conv)
}

// mail looks for new mail.
func (o *office) mail(rng *rand.Rand, at int64, p *person) {
	d := newDialogue(rng, at, o.client(officeAddr(p.net, p.host)), server(mailServer, 993), flow.ProtoTCP, near(rng))
	d.connect()
	d.exchange(517, 2800, time.Millisecond)
	for range 3 + rng.IntN(4) {
		d.exchange(60+rng.Uint64N(40), 150+heavy(rng, 300, 50e3), 3*time.Millisecond)
	}
	d.transfer(true, heavy(rng, 20e3, 8e6), 10e6)
	d.close()
	o.open(d.conv)
}

// clock asks the time.
func (o *office) clock(rng *rand.Rand, at int64, p *person) {
	d := newDialogue(rng, at, o.client(officeAddr(p.net, p.host)), server(timeServer, 123), flow.ProtoUDP, near(rng))
	d.exchange(48, 48, 0)
	o.open(d.conv)
}

// outsider is some address outside, with a port of its choice.
func outsider(rng *rand.Rand) flow.Endpoint {
	a := flow.AddrFrom([]byte{198, 19, byte(rng.IntN(256)), byte(1 + rng.IntN(254))})
	return flow.Endpoint{Addr: a, Port: 32768 + uint16(rng.IntN(28000))}
}

// visitor is someone outside who reads the office's web site.
func (o *office) visitor(rng *rand.Rand, at int64) {
	d := newDialogue(rng, at, outsider(rng), server(webServer, 443), flow.ProtoTCP, far(rng))
	d.connect()
	d.exchange(517, 3200, time.Millisecond)
	d.exchange(400+rng.Uint64N(600), 300, 8*time.Millisecond)
	d.transfer(true, heavy(rng, 30e3, 10e6), 4e6)
	d.close()
	o.open(d.conv)
}

// mailIn is a message from outside.
func (o *office) mailIn(rng *rand.Rand, at int64) {
	d := newDialogue(rng, at, outsider(rng), server(mailServer, 25), flow.ProtoTCP, far(rng))
	d.connect()
	d.exchange(30, 180, 2*time.Millisecond)
	d.exchange(120, 90, 4*time.Millisecond)
	d.transfer(false, heavy(rng, 15e3, 10e6), 2e6)
	d.exchange(6, 20, time.Millisecond)
	d.close()
	o.open(d.conv)
}

// mailOut hands a message to the provider's relay.
func (o *office) mailOut(rng *rand.Rand, at int64) {
	relay := flow.Endpoint{Addr: flow.AddrFrom([]byte{192, 0, 2, 25}), Port: 587}
	d := newDialogue(rng, at, o.client(officeAddr(serverNet, mailServer)), relay, flow.ProtoTCP, far(rng))
	d.connect()
	d.exchange(600, 3000, 2*time.Millisecond)
	d.transfer(false, heavy(rng, 15e3, 10e6), 2e6)
	d.close()
	o.open(d.conv)
}

// backup copies the file server for most of the day: a conversation that
// outlasts every active timeout.
func (o *office) backup(rng *rand.Rand, at int64) {
	to := flow.Endpoint{Addr: officeAddr(manageNet, backupServer), Port: 9103}
	d := newDialogue(rng, at, o.client(officeAddr(serverNet, fileServer)), to, flow.ProtoTCP, near(rng))
	d.connect()
	for until := o.end - (o.end-o.start)/10; d.now < until; {
		d.transfer(false, 300e3+rng.Uint64N(300e3), 3e6)
		d.wait(time.Duration(rng.Int64N(int64(300 * time.Millisecond))))
	}
	d.close()
	o.open(d.conv)
}

// ping is the monitor that watches one server, second by second.
func (o *office) ping(rng *rand.Rand, at int64, host int) {
	from := flow.Endpoint{Addr: officeAddr(manageNet, monitor)}
	d := newDialogue(rng, at, from, server(host, 0), flow.ProtoICMP, near(rng))
	for d.now < o.end {
		d.say(false, 1, 56, 0)
		d.wait(d.rtt)
		d.say(true, 1, 56, 0)
		d.wait(time.Second - d.rtt)
	}
	o.open(d.conv)
}
