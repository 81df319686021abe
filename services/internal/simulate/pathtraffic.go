package simulate

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// pathTraffic makes the conversations of a path. No two share a tuple, so that
// every difference from the truth is a fault.
type pathTraffic struct {
	cfg   *PathConfig
	rng   *rand.Rand
	count uint32
}

// conversations are all that pass, in order of start.
func (p *Path) conversations() []*Conversation {
	t := &pathTraffic{cfg: &p.cfg, rng: stream(p.cfg.Seed, "path", 0)}
	all := make([]*Conversation, 0, p.cfg.Conversations)
	for range p.cfg.Conversations {
		c := t.next(p.cfg.Start.UnixNano() + t.rng.Int64N(int64(p.cfg.Duration)))
		if p.cfg.NAT > 0 && c.Client.Addr.Is4() {
			c.Translated = t.translated(c)
		}
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b *Conversation) int { return int(a.Runs[0].At - b.Runs[0].At) })
	return all
}

// next draws a conversation that begins at a time.
func (t *pathTraffic) next(at int64) *Conversation {
	t.count++
	switch kind := t.rng.IntN(100); {
	case kind < 30:
		return t.web(at)
	case kind < 52:
		return t.question(at)
	case kind < 58:
		return t.clock(at)
	case kind < 66:
		return t.peers(at)
	case kind < 72:
		return t.shell(at)
	case kind < 80:
		return t.bulk(at)
	case kind < 84:
		return t.call(at)
	case kind < 88:
		return t.echo(at)
	case kind < 95:
		return t.unanswered(at)
	}
	return t.refused(at)
}

// begin draws a client and a server that nobody else in the run has together.
func (t *pathTraffic) begin(at int64, proto uint8, clientPort, serverPort uint16) *dialogue {
	n := t.count
	client := flow.Endpoint{Addr: flow.AddrFrom([]byte{10, byte(64 + n>>16), byte(n >> 8), byte(n)}), Port: clientPort}
	server := flow.Endpoint{Addr: flow.AddrFrom([]byte{198, 18, byte(t.rng.IntN(4)), byte(1 + t.rng.IntN(250))}), Port: serverPort}
	if t.rng.IntN(12) == 0 && !slices.Contains(t.cfg.Protocols, NetFlow5) {
		client.Addr = flow.Addr{0x20, 0x01, 0x0d, 0xb8, 0, 0x30, 12: byte(n >> 24), 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}
		server.Addr = flow.Addr{0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, 14: byte(t.rng.IntN(4)), 15: byte(1 + t.rng.IntN(250))}
		if proto == flow.ProtoICMP {
			proto = flow.ProtoICMPv6
		}
	}
	if t.rng.IntN(2) == 0 { // either may have the lower address
		client.Addr, server.Addr = server.Addr, client.Addr
	}
	return newDialogue(t.rng, at, client, server, proto, far(t.rng))
}

// translated is the address and port that a client has beyond the translator.
func (t *pathTraffic) translated(c *Conversation) flow.Endpoint {
	e := flow.Endpoint{Addr: flow.AddrFrom([]byte{203, 0, byte(113), byte(1 + t.rng.IntN(14))})}
	if flow.HasPorts(c.Proto) {
		e.Port = uint16(1024 + t.rng.IntN(64000))
	}
	return e
}

// ephemeral is a port that a client takes by itself.
func (t *pathTraffic) ephemeral() uint16 { return uint16(32768 + t.rng.IntN(28000)) }

// web is a short TCP conversation; one in ten ends by a reset.
func (t *pathTraffic) web(at int64) *Conversation {
	d := t.begin(at, flow.ProtoTCP, t.ephemeral(), []uint16{443, 443, 80, 8443, 993}[t.rng.IntN(5)])
	d.connect()
	d.exchange(517, 3000, 2*time.Millisecond)
	d.transfer(t.rng.IntN(6) > 0, heavy(t.rng, 8e3, 3e6), 4e6)
	d.wait(time.Duration(t.rng.ExpFloat64() * float64(time.Second)))
	if t.rng.IntN(10) == 0 {
		d.abort()
	} else {
		d.close()
	}
	return d.conv
}

// question is a lookup: one packet each.
func (t *pathTraffic) question(at int64) *Conversation {
	d := t.begin(at, flow.ProtoUDP, t.ephemeral(), []uint16{53, 53, 53, 161, 1812}[t.rng.IntN(5)])
	d.exchange(30+t.rng.Uint64N(30), 60+t.rng.Uint64N(300), time.Duration(t.rng.ExpFloat64()*float64(8*time.Millisecond)))
	return d.conv
}

// clock asks for the time, from the port it asks.
func (t *pathTraffic) clock(at int64) *Conversation {
	d := t.begin(at, flow.ProtoUDP, 123, 123)
	d.exchange(48, 48, 0)
	return d.conv
}

// peers speak TCP at ports of which nobody can tell whose the service is.
func (t *pathTraffic) peers(at int64) *Conversation {
	d := t.begin(at, flow.ProtoTCP, t.ephemeral(), t.ephemeral())
	d.connect()
	for range 1 + t.rng.IntN(4) {
		d.exchange(20+heavy(t.rng, 500, 50e3), 20+heavy(t.rng, 500, 50e3), time.Duration(t.rng.ExpFloat64()*float64(300*time.Millisecond)))
	}
	d.close()
	return d.conv
}

// length is that of a long conversation: mostly minutes, at most the longest.
func (t *pathTraffic) length() int64 {
	return min(int64(t.cfg.Longest), int64(float64(t.cfg.Longest)*(.02+t.rng.ExpFloat64()*.25)))
}

// shell is a session of short lines with pauses, some longer than any inactive
// timeout.
func (t *pathTraffic) shell(at int64) *Conversation {
	d := t.begin(at, flow.ProtoTCP, t.ephemeral(), []uint16{22, 23, 3389}[t.rng.IntN(3)])
	d.connect()
	until := at + t.length()
	pause := max(1, (until-at)/150)
	for d.now < until {
		d.exchange(36, 100+heavy(t.rng, 200, 8e3), 5*time.Millisecond)
		d.wait(min(50*time.Second, time.Duration(t.rng.ExpFloat64()*float64(pause))))
	}
	d.close()
	return d.conv
}

// bulk is a transfer of changing speed.
func (t *pathTraffic) bulk(at int64) *Conversation {
	d := t.begin(at, flow.ProtoTCP, t.ephemeral(), []uint16{443, 873, 9103, 20000}[t.rng.IntN(4)])
	d.connect()
	up := t.rng.IntN(2) == 0
	until := at + t.length()
	step := time.Duration(max(until-at, 1) / 200)
	for d.now < until {
		n := heavy(t.rng, 100e3, 5e6)
		d.say(up, segments(n), n, psh|ack)
		d.wait(d.rtt / 4)
		d.say(!up, (segments(n)+1)/2, 0, ack)
		d.wait(step/2 + time.Duration(t.rng.Int64N(int64(step)+1)))
	}
	d.close()
	return d.conv
}

// call is a conversation over UDP, both ways, at ports that tell nothing.
func (t *pathTraffic) call(at int64) *Conversation {
	d := t.begin(at, flow.ProtoUDP, t.ephemeral(), t.ephemeral())
	until := at + t.length()
	step := time.Duration(max(until-at, 1) / 100)
	for d.now < until {
		n := 1 + t.rng.Uint32N(60)
		d.say(false, n, uint64(n)*160, 0)
		d.wait(d.rtt)
		d.say(true, n, uint64(n)*160, 0)
		d.wait(min(step, 10*time.Second))
	}
	return d.conv
}

// echo is a ping of a few packets.
func (t *pathTraffic) echo(at int64) *Conversation {
	d := t.begin(at, flow.ProtoICMP, 0, 0)
	for range 1 + t.rng.IntN(8) {
		d.say(false, 1, 56, 0)
		d.wait(d.rtt)
		d.say(true, 1, 56, 0)
		d.wait(time.Second)
	}
	return d.conv
}

// unanswered is a SYN that is sent once or more, to nobody.
func (t *pathTraffic) unanswered(at int64) *Conversation {
	d := t.begin(at, flow.ProtoTCP, t.ephemeral(), []uint16{22, 445, 3389, 8291}[t.rng.IntN(4)])
	d.probe()
	for i := range t.rng.IntN(4) {
		d.wait(time.Second << i)
		d.probe()
	}
	return d.conv
}

// refused is a SYN that a reset answers.
func (t *pathTraffic) refused(at int64) *Conversation {
	d := t.begin(at, flow.ProtoTCP, t.ephemeral(), []uint16{25, 135, 445, 5900}[t.rng.IntN(4)])
	d.probe()
	d.refuse()
	return d.conv
}
