package simulate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// TalkConfig shapes the talk's story.
type TalkConfig struct {
	Seed      uint64
	Start     time.Time
	Duration  time.Duration // network time; 40 s makes the compact form
	Hosts     int           // users' hosts
	Exporters int           // 1: the core; 2: with an access switch; 3: with the edge; more: further access switches
}

// DefaultTalk is ten minutes among sixteen hosts, seen by three exporters.
func DefaultTalk() TalkConfig {
	return TalkConfig{
		Seed: 1, Start: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
		Duration: 10 * time.Minute, Hosts: 16, Exporters: 3,
	}
}

// Validate tells what is wrong and what would be right.
func (c *TalkConfig) Validate() error {
	switch {
	case c.Duration < 20*time.Second || c.Duration > 7*24*time.Hour:
		return fmt.Errorf("duration is %s: the story needs between 20s and 168h, say 10m", c.Duration)
	case c.Exporters < 1 || c.Exporters > 16:
		return fmt.Errorf("exporters is %d: choose 1 to 16, say 3", c.Exporters)
	case c.Hosts < 1 || c.Hosts > maxHosts*c.nets():
		return fmt.Errorf("hosts is %d: choose 1 to %d (%d for each user network; more exporters give more networks)",
			c.Hosts, maxHosts*c.nets(), maxHosts)
	}
	return nil
}

// nets is the number of user networks: one for each access switch, at least two.
func (c *TalkConfig) nets() int { return max(2, c.Exporters-2) }

// Talk is the story: among an office's ordinary traffic one host visits a bad
// site, fetches from a host never seen before, opens a long SSH session
// outward, and scans its neighbours on 445 and 135.
type Talk struct {
	cfg       TalkConfig
	exporters []ExporterConfig
	expected  Expected
	network   *Network
	office    *office
	scanned   map[flow.Addr]bool
	answered  map[flow.Addr]bool
}

// NewTalk makes the story from a valid configuration.
func NewTalk(cfg TalkConfig) (*Talk, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	t := &Talk{cfg: cfg, scanned: map[flow.Addr]bool{}, answered: map[flow.Addr]bool{}}
	t.exporters = talkExporters(&cfg)
	t.expected = Expected{Scenario: "talk", Seed: cfg.Seed, Start: cfg.Start.UTC(), Duration: cfg.Duration.String()}
	return t, nil
}

// Exporters are the devices that report.
func (t *Talk) Exporters() []ExporterConfig { return t.exporters }

// Expected is what detectors must say; complete once Run has returned.
func (t *Talk) Expected() *Expected { return &t.expected }

// Collector is where the exporters send to.
func (t *Talk) Collector() netip.Addr { return netip.AddrFrom4([4]byte{10, 20, 255, 250}) }

// Run plays the story.
func (t *Talk) Run(out Output) (*Summary, error) {
	s := &Summary{}
	out = s.count(out)
	start := t.cfg.Start.UnixNano()
	t.network = NewNetwork(t.exporters, talkRoute(t.cfg.Exporters), start, t.cfg.Seed, out.Datagram, out.Truth)
	t.office = newOffice(t.cfg.Seed, start, start+int64(t.cfg.Duration), t.cfg.Hosts, t.cfg.nets(), t.network.Start)
	t.office.ordinary()
	t.tell()
	err := t.office.run(t.network)
	s.add(t.network.exporters)
	t.expected.Alerts = []ExpectedAlert{{
		Rule: "address_scan", Host: t.heroName(), Ports: []uint16{445, 135},
		Servers: len(t.scanned), Answered: len(t.answered),
	}}
	return s, err
}

// hero is the story's host.
func (t *Talk) hero() flow.Addr { return officeAddr(1, storyHost) }

// heroName is the same as text.
func (t *Talk) heroName() string {
	a := t.hero()
	return a.Netip().String()
}

// at is a point of the story as a share of its length.
func (t *Talk) at(share float64) int64 {
	return t.cfg.Start.UnixNano() + int64(share*float64(t.cfg.Duration))
}

// tell plans the story's steps.
func (t *Talk) tell() {
	bad := flow.Endpoint{Addr: flow.AddrFrom([]byte{203, 0, 113, 66}), Port: 80}
	stage := flow.Endpoint{Addr: flow.AddrFrom([]byte{203, 0, 113, 99}), Port: 8443}
	control := flow.Endpoint{Addr: flow.AddrFrom([]byte{198, 51, 100, 77}), Port: 22}
	t.step(t.at(.08), "visits a bad site", bad, t.visit)
	t.step(t.at(.12), "fetches from a host never seen before", stage, t.fetch)
	t.step(t.at(.16), "opens a long SSH session outward", control, t.session)
	length := min(int64(float64(t.cfg.Duration)*.12), int64(time.Minute))
	t.scan(t.at(.40), length, 445, 3)
	t.scan(t.at(.58), length, 135, 3)
	if t.cfg.Duration >= 5*time.Minute {
		t.scan(t.at(.76), length, 445, serverNet)
	}
}

// step writes a step into the story and lets it happen.
func (t *Talk) step(at int64, what string, to flow.Endpoint, play func(*dialogue)) {
	t.expected.Story = append(t.expected.Story, StoryStep{
		At: time.Unix(0, at).UTC(), What: what, Client: t.heroName(), Server: to.Addr.Netip().String(), Port: to.Port,
	})
	t.office.once(at, what, func(rng *rand.Rand, at int64) {
		at = t.office.lookup(rng, at, t.hero())
		d := newDialogue(rng, at, t.office.client(t.hero()), to, flow.ProtoTCP, 30*time.Millisecond+far(rng))
		play(d)
		t.office.open(d.conv)
	})
}

// visit reads a page that sends the reader on.
func (t *Talk) visit(d *dialogue) {
	d.connect()
	d.exchange(420, 18_400, 20*time.Millisecond)
	d.exchange(510, 1_200, 20*time.Millisecond)
	d.close()
}

// fetch downloads a program.
func (t *Talk) fetch(d *dialogue) {
	d.connect()
	d.exchange(517, 1900, 5*time.Millisecond)
	d.exchange(190, 350, 30*time.Millisecond)
	d.transfer(true, 2_350_000+d.rng.Uint64N(400_000), 1.5e6)
	d.close()
}

// session is a shell in reverse: short lines come in from the server, screens
// of output go out from the client.
func (t *Talk) session(d *dialogue) {
	d.connect()
	d.exchange(1100, 1300, 10*time.Millisecond)
	d.exchange(700, 900, 10*time.Millisecond)
	for until := t.at(.96); d.now < until; {
		d.say(true, 1, 36+d.rng.Uint64N(5)*8, psh|ack)
		d.wait(d.rtt / 2)
		out := 100 + heavy(d.rng, 400, 12e3)
		d.say(false, segments(out), out, psh|ack)
		d.wait(d.rtt)
		d.say(true, (segments(out)+1)/2, 0, ack)
		d.wait(200*time.Millisecond + time.Duration(d.rng.ExpFloat64()*float64(1500*time.Millisecond)))
	}
	d.close()
}

// scan probes every address of a /24 on one port within a length of time.
func (t *Talk) scan(at, length int64, port uint16, net int) {
	target := officeAddr(net, 0)
	t.expected.Story = append(t.expected.Story, StoryStep{
		At: time.Unix(0, at).UTC(), What: "scans " + target.Netip().String() + "/24",
		Client: t.heroName(), Server: target.Netip().String(), Port: port,
	})
	name := fmt.Sprintf("scan %d %d", net, port)
	for host := 1; host <= 254; host++ {
		t.office.once(at+int64(host)*length/254, name, func(rng *rand.Rand, at int64) {
			t.probe(rng, at+rng.Int64N(length/254), officeAddr(net, host), port, net, host)
		})
	}
}

// probe tries one address: silence where nobody lives, a reset where the port
// is closed, a greeting where it is open.
func (t *Talk) probe(rng *rand.Rand, at int64, a flow.Addr, port uint16, net, host int) {
	d := newDialogue(rng, at, t.office.client(t.hero()), flow.Endpoint{Addr: a, Port: port}, flow.ProtoTCP, near(rng))
	d.probe()
	t.scanned[a] = true
	switch t.office.lives(net, host) {
	case open:
		t.answered[a] = true
		d.wait(d.rtt)
		d.say(true, 1, 8, syn|ack)
		d.wait(d.rtt / 4)
		d.say(false, 1, 0, ack)
		d.exchange(137, 236, 2*time.Millisecond)
		d.exchange(170, 310, 2*time.Millisecond)
		d.abort()
	case closed:
		d.refuse()
	}
	t.office.open(d.conv)
}

// What a prober finds at an address.
type answer int

const (
	absent answer = iota
	closed
	open
)

// lives tells whether a host is at an address, and whether it shares files:
// the file server does, and every third user.
func (o *office) lives(net, host int) answer {
	if net == serverNet {
		switch host {
		case fileServer:
			return open
		case mailServer, nameServer, webServer, timeServer:
			return closed
		}
		return absent
	}
	for i, p := range o.people {
		if p.net == net && p.host == host {
			if i%6 == 1 {
				return open
			}
			return closed
		}
	}
	return absent
}
