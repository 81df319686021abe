package simulate

import (
	"math/rand/v2"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// segmentSize is the payload of a full TCP segment with timestamps.
const segmentSize = 1448

// transferStep is how finely a bulk transfer is cut into runs.
const transferStep = 100 * time.Millisecond

// dialogue writes a conversation's runs one after the other.
type dialogue struct {
	conv   *Conversation
	rng    *rand.Rand
	now    int64
	rtt    time.Duration
	header uint64 // octets of IP and transport header per packet
}

// newDialogue begins a conversation at a time; nothing has passed yet.
func newDialogue(rng *rand.Rand, at int64, client, server flow.Endpoint, proto uint8, rtt time.Duration) *dialogue {
	d := &dialogue{conv: &Conversation{Client: client, Server: server, Proto: proto}, rng: rng, now: at, rtt: rtt, header: 20 + 8}
	if proto == flow.ProtoTCP {
		d.header = 20 + 32
	}
	if !client.Addr.Is4() {
		d.header += 20
	}
	return d
}

// wait lets time pass.
func (d *dialogue) wait(t time.Duration) { d.now += int64(t) }

// say adds a run now: packets that carry payload together.
func (d *dialogue) say(reverse bool, packets uint32, payload uint64, flags uint8) {
	d.conv.Runs = append(d.conv.Runs, Run{
		At: d.now, Packets: packets, Bytes: payload + uint64(packets)*d.header, Flags: flags, Reverse: reverse,
	})
}

// probe sends a lone SYN.
func (d *dialogue) probe() {
	d.say(false, 1, 8, syn) // a SYN's options are 8 octets longer
}

// refuse answers with a reset.
func (d *dialogue) refuse() {
	d.wait(d.rtt)
	d.conv.Runs = append(d.conv.Runs, Run{At: d.now, Packets: 1, Bytes: d.header - 12, Flags: rst | ack, Reverse: true})
}

// connect is TCP's handshake.
func (d *dialogue) connect() {
	d.probe()
	d.wait(d.rtt)
	d.say(true, 1, 8, syn|ack)
	d.wait(d.rtt / 4)
	d.say(false, 1, 0, ack)
}

// exchange is a request and its answer, the latter in one burst; think is the
// time the server takes.
func (d *dialogue) exchange(request, response uint64, think time.Duration) {
	if d.conv.Proto != flow.ProtoTCP {
		d.say(false, 1, request, 0)
		d.wait(d.rtt + think)
		d.say(true, 1, response, 0)
		return
	}
	d.say(false, segments(request), request, psh|ack)
	d.wait(d.rtt + think)
	d.say(true, segments(response), response, psh|ack)
	d.wait(d.rtt / 4)
	d.say(false, (segments(response)+1)/2, 0, ack)
}

// transfer moves payload at a rate (octets per second); the receiver
// acknowledges every other packet.
func (d *dialogue) transfer(reverse bool, payload uint64, rate float64) {
	step := max(segmentSize, uint64(rate*transferStep.Seconds()))
	for payload > 0 {
		n := min(payload, step)
		payload -= n
		d.say(reverse, segments(n), n, psh|ack)
		d.wait(d.rtt / 4)
		d.say(!reverse, (segments(n)+1)/2, 0, ack)
		d.wait(max(time.Millisecond, transferStep-d.rtt/4))
	}
}

// close ends TCP properly, the client first.
func (d *dialogue) close() {
	d.say(false, 1, 0, fin|ack)
	d.wait(d.rtt)
	d.say(true, 1, 0, fin|ack)
	d.wait(d.rtt / 4)
	d.say(false, 1, 0, ack)
}

// abort ends TCP by the client's reset.
func (d *dialogue) abort() {
	d.conv.Runs = append(d.conv.Runs, Run{At: d.now, Packets: 1, Bytes: d.header - 12, Flags: rst | ack})
}

// segments is how many full packets a payload takes, at least one.
func segments(payload uint64) uint32 {
	return uint32(max(1, (payload+segmentSize-1)/segmentSize))
}
