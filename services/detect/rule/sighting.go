package rule

import (
	"encoding/binary"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// subject is the accused: a client within its address space.
type subject struct {
	realm uint32
	addr  flow.Addr
}

// hash is where a subject lies in an index.
func (s *subject) hash() uint64 {
	return flow.Mix(half(&s.addr, 0)^uint64(s.realm), half(&s.addr, 8))
}

func half(a *flow.Addr, at int) uint64 { return binary.LittleEndian.Uint64(a[at:]) }

// target is what a client called: a service of a server. Without ports (ICMP)
// port is 0.
type target struct {
	addr  flow.Addr
	port  uint16
	proto uint8
}

func (t *target) service() Service { return Service{t.proto, t.port} }

// outcome is how far a flow testifies against its client.
type outcome uint8

const (
	// neither: no answer seen, but none was to be expected either.
	neither outcome = iota
	// failed: the client got nothing it could use.
	failed
	// answered: the server spoke with the client.
	answered
)

// sighting is one version of a biflow, as the rules look at it. A tick's worth of
// them is kept, so it is no larger than it must be.
type sighting struct {
	subject subject
	target  target
	// hash is the subject's.
	hash          uint64
	flow          uint64
	start         uint64 // nanoseconds; once it is applied, never after the stream's time
	seen          eventtime.Tick
	serverPackets uint64
	sampling      uint64
	version       uint32
	outcome       outcome
	state         uint8 // flowv1.ConnState
	quality       uint8 // flowv1.TimeQuality
	firm          bool  // the outcome is not just the lack of a report
	unsure        bool  // who is the client is a guess
	late          bool  // started too long ago to open or enter a window
	internal      bool  // the client is ours; known after Set.place
	// scanning tells, once the scan rules have spoken, that this flow is part
	// of a scan already told of.
	scanning bool
	// listed: the service is one that some rule has on a list.
	listed bool
	// kept: a rule may have to look at it, whatever else comes in the tick.
	kept bool
}

// outcomeOf reads stitch's word. A failure needs a client that spoke: an answer
// without a question is backscatter of somebody else's forged packets. And it
// needs to be clear who the client is: where reports contradict each other, the
// reply of a server may have been taken for a call.
func outcomeOf(b *flowv1.Biflow, sure bool) outcome {
	switch b.ConnState {
	case flowv1.ConnState_CONN_STATE_ESTABLISHED:
		return answered
	case flowv1.ConnState_CONN_STATE_REJECTED, flowv1.ConnState_CONN_STATE_HALF_OPEN,
		flowv1.ConnState_CONN_STATE_UNANSWERED, flowv1.ConnState_CONN_STATE_DENIED:
		spoke := b.ClientPackets > 0 || b.ClientBytes > 0 || b.PacketsUnknown
		if spoke && !wasAnswered(b) && (sure || !b.DirectionConflict) {
			return failed
		}
	}
	return neither
}

// TCP flags (RFC 9293 §3.1).
const (
	tcpSYN = 0x02
	tcpACK = 0x10
)

// wasAnswered tells a TCP client that opened and went on to acknowledge: there
// was an answer, only its report is not here (yet).
func wasAnswered(b *flowv1.Biflow) bool {
	return b.Proto == flow.ProtoTCP && b.ConnState == flowv1.ConnState_CONN_STATE_UNANSWERED &&
		b.ClientTcpFlags&(tcpSYN|tcpACK) == tcpSYN|tcpACK
}

// isFirm tells whether an outcome is more than the lack of a report: the two
// directions of a conversation are reported one after the other. Without flags,
// only the end of a conversation shows that nobody answered.
func isFirm(b *flowv1.Biflow) bool {
	return b.ConnState != flowv1.ConnState_CONN_STATE_UNANSWERED || b.CloseReason != flowv1.CloseReason_CLOSE_REASON_UNSPECIFIED ||
		b.Proto == flow.ProtoTCP && b.ClientTcpFlags != 0
}

// ICMP types that ask a host whether it is there (RFC 792, RFC 4443).
const (
	icmpEchoRequest  = 8
	icmp6EchoRequest = 128
)

// asks tells whether a flow calls a service or a host at all, rather than a
// group, or being an error message or some other protocol's business.
func asks(b *flowv1.Biflow) bool {
	switch p := uint8(b.Proto); {
	case b.Proto > 255:
		return false
	case p == flow.ProtoICMP:
		return b.IcmpType == icmpEchoRequest
	case p == flow.ProtoICMPv6:
		return b.IcmpType == icmp6EchoRequest
	default:
		return flow.HasPorts(p)
	}
}

// isHost tells whether an address is one host's: not multicast, not broadcast,
// not unspecified.
func isHost(a *flow.Addr) bool {
	if a.Is4() {
		return a[12] != 0 && a[12] < 224
	}
	return a[0] != 0xff && *a != flow.Addr{}
}

// read fills x from a biflow; false if no rule has to look at it.
func (x *sighting) read(b *flowv1.Biflow, sureDirection float64) bool {
	if !asks(b) {
		return false
	}
	x.target.addr.Set(b.ServerAddr)
	x.target.port, x.target.proto = uint16(b.ServerPort), uint8(b.Proto)
	x.subject.addr.Set(b.ClientAddr)
	x.subject.realm = b.Realm
	if x.subject.addr == x.target.addr || !isHost(&x.subject.addr) || !isHost(&x.target.addr) {
		return false
	}
	x.hash = x.subject.hash()
	x.unsure = float64(b.InitiatorConfidence) < sureDirection
	x.outcome, x.state, x.firm = outcomeOf(b, !x.unsure), uint8(b.ConnState), isFirm(b)
	x.flow, x.version, x.start = b.FlowId, b.Version, b.TimeFlowStartNs
	x.serverPackets, x.sampling, x.quality = b.ServerPackets, b.SamplingRate, uint8(b.TimeQuality)
	x.scanning = false
	return true
}

// at places x in the stream's time: nothing starts after its tick.
func (x *sighting) at(now eventtime.Tick, lateness time.Duration) {
	if end := (now + 1).Ns() - 1; x.start > end || x.start == 0 {
		x.start = end
	}
	x.seen = now
	x.late = x.start+uint64(lateness) <= now.Ns()
}
