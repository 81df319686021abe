package normalize

import (
	"encoding/binary"
	"slices"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// figure is the place of a number that nearly all exporters tell, and that only
// needs to be copied. Of a record of fixed length these are fetched first, all in
// one loop without a branch; the rest of its steps is gone through one by one.
type figure uint8

const (
	figureBytes figure = iota
	figurePackets
	figureProto
	figureTos
	figureTCPFlags
	figureSrcPort
	figureDstPort
	figureSrcNet
	figureDstNet
	figureInIf
	figureOutIf
	figureSrcAS
	figureDstAS
	figureEndReason
	figureStartUptime
	figureEndUptime
	figureStartMillis
	figureEndMillis
	figureICMPTypeCode
	figureDirection
	figures
	noFigure = figures
)

// figureOf is the place of what a step fetches.
func figureOf(o op) figure {
	switch o {
	case opBytes:
		return figureBytes
	case opPackets:
		return figurePackets
	case opProto:
		return figureProto
	case opTos:
		return figureTos
	case opTCPFlags:
		return figureTCPFlags
	case opSrcPort:
		return figureSrcPort
	case opDstPort:
		return figureDstPort
	case opSrcNet:
		return figureSrcNet
	case opDstNet:
		return figureDstNet
	case opInIf:
		return figureInIf
	case opOutIf:
		return figureOutIf
	case opSrcAS:
		return figureSrcAS
	case opDstAS:
		return figureDstAS
	case opEndReason:
		return figureEndReason
	case opStartUptime:
		return figureStartUptime
	case opEndUptime:
		return figureEndUptime
	case opStartMillis:
		return figureStartMillis
	case opEndMillis:
		return figureEndMillis
	case opICMPTypeCode:
		return figureICMPTypeCode
	case opDirection:
		return figureDirection
	}
	return noFigure
}

// number fetches one figure: eight bytes from wide on, of which shift drops what is
// not the field's; or the field itself, where the datagram ends too soon.
type number struct {
	wide, offset int32
	length       uint16
	shift        uint8
	to           figure
}

// endpoints is where a record has its two addresses, of so many bytes each; none
// where it has no two, or is of no fixed length.
type endpoints struct{ src, dst, length int }

// takeNumbers takes out of the steps what can be fetched as figures, each but once,
// and the addresses.
func (p *plan) takeNumbers() {
	if !p.fixed {
		return
	}
	var taken [figures]bool
	p.takeEndpoints()
	rest := p.steps[:0]
	for _, st := range p.steps {
		to := figureOf(st.op)
		if to == noFigure || taken[to] {
			rest = append(rest, st)
			continue
		}
		taken[to] = true
		p.directed = p.directed || to == figureDirection
		p.numbers = append(p.numbers, number{st.wide, st.offset, st.length, st.shift, to})
		p.reach = max(p.reach, int(st.wide)+8)
	}
	p.steps = rest
}

// takeEndpoints takes the addresses out of the steps. They are of one family, so of one
// length.
func (p *plan) takeEndpoints() {
	at := func(o op) int { return slices.IndexFunc(p.steps, func(st step) bool { return st.op == o }) }
	src, dst := at(opSrcAddr), at(opDstAddr)
	if src < 0 || dst < 0 {
		return
	}
	p.ends = endpoints{int(p.steps[src].offset), int(p.steps[dst].offset), int(p.steps[src].length)}
	p.steps = slices.DeleteFunc(p.steps, func(st step) bool { return st.op == opSrcAddr || st.op == opDstAddr })
}

// runAll brings all that a record says to its place.
func (n *Normalizer) runAll(m *message, t *template, data []byte, bounds []span, f *flowv1.Flow, s *scratch, out *Result) {
	p := &t.plan
	if len(p.numbers) > 0 {
		p.fetch(data, f, s)
	}
	if n := p.ends.length; n > 0 {
		f.SrcAddr, f.DstAddr = out.copyPair(data[p.ends.src:p.ends.src+n], data[p.ends.dst:p.ends.dst+n])
	}
	if len(p.steps) > 0 {
		n.run(m, t, p.steps, data, bounds, f, s, out)
	}
}

// fetch brings the figures of a record to their places. Those it does not have are
// zero, as they are in an empty flow.
func (p *plan) fetch(data []byte, f *flowv1.Flow, s *scratch) {
	var g [figures]uint64
	if all := data[:cap(data)]; p.reach <= len(all) {
		for i := range p.numbers {
			st := &p.numbers[i]
			g[st.to] = binary.BigEndian.Uint64(all[st.wide:]) >> (st.shift & 63)
		}
	} else {
		for i := range p.numbers {
			st := &p.numbers[i]
			g[st.to] = uintOf(data[st.offset : int(st.offset)+int(st.length)])
		}
	}
	f.Bytes, f.Packets = g[figureBytes], g[figurePackets]
	f.Proto, f.IpTos, f.TcpFlags = uint32(uint8(g[figureProto])), uint32(g[figureTos]), uint32(g[figureTCPFlags])
	f.SrcPort, f.DstPort = uint32(uint16(g[figureSrcPort])), uint32(uint16(g[figureDstPort]))
	f.SrcNet, f.DstNet = uint32(g[figureSrcNet]), uint32(g[figureDstNet])
	f.InIf, f.OutIf = uint32(g[figureInIf]), uint32(g[figureOutIf])
	f.SrcAs, f.DstAs = uint32(g[figureSrcAS]), uint32(g[figureDstAS])
	f.FlowEndReason = uint32(g[figureEndReason])
	f.TimeFlowStartNs, f.TimeFlowEndNs = saturatingMs(g[figureStartMillis]), saturatingMs(g[figureEndMillis])
	if p.directed {
		f.Direction = directionOf(g[figureDirection])
	}
	s.icmpTypeCode = uint32(g[figureICMPTypeCode])
	s.startUptime, s.endUptime = uint32(g[figureStartUptime]), uint32(g[figureEndUptime])
}
