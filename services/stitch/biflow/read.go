package biflow

import (
	"encoding/binary"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// Wire types (protobuf encoding), one higher; 0 is none.
const (
	varint = 1 + iota
	fixed8
	text
)

// layout tells of the fields of a message, by number, how they lie on the wire and
// which place they go to. A field that is not in it is not for a reader in a hurry:
// it gives up, and the generated code decides.
type layout [256]struct{ kind, place uint8 }

var (
	flowLayout = layoutOf(
		[]int{4, 13, 14, 15, 16, 17, 18, 19, 23, 25, 27, 28, 29, 30, 33, 34, 35, 36, 37, 38, 71, 206, 234, 239, 240, 243},
		map[int]uint8{1: atType, 3: atRate, 9: atBytes, 10: atPackets, 20: atProto, 21: atSrcPort, 22: atDstPort, 24: atForwarding, 26: atFlags,
			31: atICMPType, 32: atICMPCode, 70: atDomain, 110: atReceived, 111: atStart, 112: atEnd, 200: atDirection, 201: atRealm,
			202: atEndReason, 204: atHint, 230: atQuality, 231: atKind, 233: atActive, 235: atReverse, 236: atFirewall, 238: atInitialFlags,
			241: atLate, 242: atPacketsUnknown},
		map[int]uint8{6: atSrc, 7: atDst, 11: atSampler, 12: 0, 100: 0, 205: atWithin},
		map[int]uint8{203: 0, 232: atRecordID},
	)
	reporterLayout = layoutOf(
		[]int{1, 3, 9, 10, 14, 15, 18, 19, 23, 26, 29, 111, 112, 209, 210},
		map[int]uint8{24: atForwarding, 70: atDomain, 200: atDirection, 236: atFirewall},
		map[int]uint8{11: atSampler, 12: 0, 207: 0, 208: 0, 211: 0, 212: 0, 213: 0, 214: 0, 215: 0, 237: 0},
		map[int]uint8{232: 0},
	)
)

// layoutOf lays out numbers that are passed over and such that have a place, then
// texts and fixed numbers.
func layoutOf(passed []int, numbers, texts, fixed map[int]uint8) *layout {
	l := new(layout)
	for _, n := range passed {
		l[n].kind = varint
	}
	for kind, fields := range map[uint8]map[int]uint8{varint: numbers, text: texts, fixed8: fixed} {
		for n, place := range fields {
			l[n].kind, l[n].place = kind, place
		}
	}
	return l
}

// read reads a message, and tells whether it is as they mostly are. If not, r is of
// no use. Flows have some thirty fields, so this is one loop without calls for most
// of them.
func (r *report) read(msg []byte, l *layout) bool {
	r.numbers, r.texts, r.within = [places]uint64{}, [textPlaces][]byte{}, r.within[:0]
	for i := 0; i < len(msg); {
		tag := uint(msg[i])
		i++
		if tag >= 0x80 {
			if i == len(msg) || msg[i] >= 0x10 {
				return false // no number below 256
			}
			tag = tag&0x7f | uint(msg[i])<<7
			i++
		}
		field := l[uint8(tag>>3)]
		if uint8(tag&7)+1 != field.kind {
			return false
		}
		if field.kind == fixed8 {
			if len(msg)-i < 8 {
				return false
			}
			r.numbers[field.place%places] = binary.LittleEndian.Uint64(msg[i:])
			i += 8
			continue
		}
		if i == len(msg) {
			return false
		}
		v := uint64(msg[i])
		if i++; v >= 0x80 {
			if v, i = flow.Varint(msg, i-1); i < 0 {
				return false
			}
		}
		if field.kind == varint {
			r.numbers[field.place%places] = v
			continue
		}
		if v > uint64(len(msg)-i) {
			return false
		}
		b := msg[i : i+int(v) : i+int(v)]
		i += int(v)
		if field.place == atWithin {
			r.within = append(r.within, b)
		} else {
			r.texts[field.place%textPlaces] = b
		}
	}
	return true
}
