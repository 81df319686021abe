package biflow

import (
	"github.com/flowledger/flowledger/services/internal/flow"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// state says how the conversation fares, as far as is known now and by what each
// half sent. Where packets were sampled the answer may have been missed, but for TCP: of a
// client that is answered few packets are SYNs.
func (c *conv) state(client uint8, sent *[2]volume, sampled bool) flowv1.ConnState {
	cl, sv := &c.half[client], &c.half[1-client]
	switch {
	case c.has(denied):
		return flowv1.ConnState_CONN_STATE_DENIED
	case cl.segments > 0 && sv.segments > 0:
		return c.answered(client, sent)
	case c.oneWay():
		return flowv1.ConnState_CONN_STATE_ONE_WAY
	case sv.segments > 0, !c.has(reverse), sampled && c.proto != flow.ProtoTCP:
		// Only the answer was seen, or the way back may pass elsewhere: a
		// missing half is no evidence of a failed connection.
		return flowv1.ConnState_CONN_STATE_REVERSE_UNOBSERVED
	case !cl.begins(c.proto):
		// What it goes on with, the other half began or answered, and has not been reported.
		return flowv1.ConnState_CONN_STATE_REVERSE_UNOBSERVED
	}
	return flowv1.ConnState_CONN_STATE_UNANSWERED
}

func (c *conv) answered(client uint8, sent *[2]volume) flowv1.ConnState {
	cl, sv := &c.half[client], &c.half[1-client]
	if c.proto != flow.ProtoTCP || sv.flags == 0 {
		return flowv1.ConnState_CONN_STATE_ESTABLISHED
	}
	switch {
	case sv.flags&rst != 0 && sv.flags&syn == 0 && cl.flags&(syn|ack) == syn,
		sv.flags&rst != 0 && sv.flags&syn == 0 && cl.flags&syn != 0 && sent[1-client].packets <= sent[client].packets && sv.flags&control == rst|ack:
		return flowv1.ConnState_CONN_STATE_REJECTED
	case sv.flags&(syn|ack) == syn|ack && cl.flags&ack == 0 && cl.flags != 0 && !cl.wentOn(&sent[client]):
		return flowv1.ConnState_CONN_STATE_HALF_OPEN
	}
	return flowv1.ConnState_CONN_STATE_ESTABLISHED
}

// maxSYN is what a SYN takes at most: headers of IPv6 and TCP with all options.
const maxSYN = 40 + 60

// wentOn tells that a client whose ACKs were not reported (AWS tells of none) did
// more than to ask: it said goodbye, or sent more than SYNs.
func (h *half) wentOn(sent *volume) bool {
	return h.flags&fin != 0 || sent.bytes > maxSYN*sent.packets
}

// oneWay tells conversations that have no way back by nature.
func (c *conv) oneWay() bool {
	if c.has(groupLow | groupHigh) {
		return true
	}
	if !flow.IsICMP(c.proto) {
		return false
	}
	first := 0
	if c.half[0].segments == 0 {
		first = 1
	}
	return !isRequest(c.proto, uint8(c.icmp[first]>>8))
}

// isRequest tells ICMP types that ask for an answer.
func isRequest(proto, typ uint8) bool {
	if proto == flow.ProtoICMP {
		switch typ {
		case 8, 10, 13, 15, 17, 42:
			return true
		}
		return false
	}
	switch typ {
	case 128, 133, 135, 139, 160:
		return true
	}
	return false
}
