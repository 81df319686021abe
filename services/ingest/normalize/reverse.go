package normalize

import (
	"encoding/binary"
	"math/bits"

	"github.com/flowledger/flowledger/services/internal/flow"
)

const (
	// reverseSlots is how many recent conversations of an exporter are watched.
	reverseSlots = 1024
	// reverseWindow is the number of flows after which old matches stop to count.
	reverseWindow = 4096
	// reverseMatches is how many conversations must have been seen both ways.
	reverseMatches = 3
)

// reverseWatch learns whether an exporter reports both directions of
// conversations. Only where it does is a missing answer a sign.
type reverseWatch struct {
	slots   []uint32 // tag of the conversation, its two lowest bits the directions seen
	flows   int      // in this window
	matches int      // in this window
	before  int      // in the window before

	symmetry symmetry
}

// observe takes in a flow, received at now. acknowledges is TCP's.
func (w *reverseWatch) observe(srcAddr, dstAddr []byte, srcPort, dstPort, proto uint32, acknowledges bool, now int64) {
	if proto == flow.ProtoTCP && w.symmetry.testing(now) {
		w.symmetry.observe(srcAddr, dstAddr, srcPort, dstPort, acknowledges, now)
	}
	if w.flows++; w.flows > reverseWindow {
		w.before, w.matches, w.flows = w.matches, 0, 0
	}
	if w.matches >= reverseMatches {
		return // as much as this window can tell
	}
	src := endpointHash(srcAddr, srcPort)
	dst := endpointHash(dstAddr, dstPort)
	conv := src + dst ^ uint64(proto)*0x9e3779b97f4a7c15
	way := uint32(1)
	if src < dst {
		way = 2
	}
	if w.slots == nil {
		w.slots = make([]uint32, reverseSlots)
	}
	slot := &w.slots[conv>>54]
	tag := uint32(conv) &^ 3
	if *slot&^3 != tag {
		*slot = tag | way
		return
	}
	if *slot |= way; *slot&3 == 3 {
		w.matches++
		*slot = tag
	}
}

// observable tells whether the exporter has lately reported both directions, and does so of
// most conversations.
func (w *reverseWatch) observable() bool {
	return (w.matches >= reverseMatches || w.before >= reverseMatches) && !w.symmetry.lacking
}

// endpointHash mixes an address and a port.
func endpointHash(addr []byte, port uint32) uint64 {
	h := uint64(port) * 0xff51afd7ed558ccd
	switch len(addr) {
	case 4:
		h ^= uint64(binary.BigEndian.Uint32(addr)) * 0xc4ceb9fe1a85ec53
	case 16:
		h ^= binary.BigEndian.Uint64(addr) * 0xc4ceb9fe1a85ec53
		h ^= bits.RotateLeft64(binary.BigEndian.Uint64(addr[8:])*0x9e3779b97f4a7c15, 31)
	}
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	return h ^ h>>29
}
