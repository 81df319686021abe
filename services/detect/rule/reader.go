package rule

import (
	"math"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// Reader reads biflows off the wire, of each no more than rules look at: to decode
// all of it was half of what detect did. The zero Reader is ready.
type Reader struct {
	flow.LeftOut
	fields, reporter flow.Fields
	// brief is the biflow that was read in a hurry, whole one that was decoded.
	brief, whole flowv1.Biflow
}

// Each hands every biflow of a batch to see, which may use it during the call.
func (r *Reader) Each(batch []byte, see func(*flowv1.Biflow)) {
	r.Split(batch, func(msg []byte) bool {
		if r.read(msg) {
			see(&r.brief)
			return true
		}
		r.whole.Reset()
		if r.whole.UnmarshalVTUnsafe(msg) != nil {
			return false
		}
		see(&r.whole)
		return true
	})
}

// Places of a biflow's numbers and texts.
const (
	_ = iota
	atFlow
	atVersion
	atRealm
	atProto
	atServerPort
	atClientBytes
	atClientPackets
	atClientFlags
	atServerPackets
	atStart
	atConfidence
	atState
	atReason
	atICMPType
	atSampling
	atQuality
	atConflict
	atPacketsUnknown

	atClient = 1
	atServer = 2
)

// Fields that are passed over.
var (
	passedNumber = flow.NumberField(0)
	passedText   = flow.TextField(0)
)

// biflowLayout is all that stitch writes.
var biflowLayout = flow.Layout{
	1: flow.Fixed8Field(atFlow), 2: flow.NumberField(atVersion), 3: flow.NumberField(atRealm), 4: flow.NumberField(atProto),
	5: flow.TextField(atClient), 6: passedNumber, 7: flow.TextField(atServer), 8: flow.NumberField(atServerPort),
	9: flow.NumberField(atClientBytes), 10: flow.NumberField(atClientPackets), 11: flow.NumberField(atClientFlags),
	12: passedNumber, 13: flow.NumberField(atServerPackets), 14: passedNumber, 15: passedNumber, 16: passedNumber,
	17: passedNumber, 18: passedNumber, 19: flow.NumberField(atStart), 20: passedNumber, 21: passedNumber, 22: passedNumber,
	23: passedNumber, 24: flow.Fixed4Field(atConfidence), 25: flow.NumberField(atState), 26: flow.NumberField(atReason),
	27: flow.NumberField(atICMPType), 28: passedNumber, 29: passedNumber, 30: flow.NestedField(), 31: flow.NumberField(atSampling),
	32: passedNumber, 33: flow.NumberField(atQuality), 34: passedText, 35: passedText, 36: passedText, 37: passedText,
	38: passedText, 39: passedText, 40: passedNumber, 41: passedText, 42: passedNumber, 43: flow.Fixed8Field(0), 44: passedNumber,
	45: flow.NumberField(atConflict), 46: passedText, 47: flow.NumberField(atPacketsUnknown),
}

// reporterLayout is what stitch says of reporters. Nobody looks at them here, but a
// message whose reporters are none is none.
var reporterLayout = flow.Layout{11: passedText, 70: passedNumber, 200: passedNumber}

// read reads what sighting.read looks at into the brief biflow, and tells whether
// the message was as they mostly are.
func (r *Reader) read(msg []byte) bool {
	if !r.fields.Read(msg, &biflowLayout) {
		return false
	}
	for _, reporter := range r.fields.Nested {
		if !r.reporter.Read(reporter, &reporterLayout) {
			return false
		}
	}
	b, n := &r.brief, &r.fields.Numbers
	b.FlowId, b.Version, b.Realm, b.Proto = n[atFlow], uint32(n[atVersion]), uint32(n[atRealm]), uint32(n[atProto])
	b.ClientAddr, b.ServerAddr, b.ServerPort = r.fields.Texts[atClient], r.fields.Texts[atServer], uint32(n[atServerPort])
	b.ClientBytes, b.ClientPackets, b.ClientTcpFlags = n[atClientBytes], n[atClientPackets], uint32(n[atClientFlags])
	b.ServerPackets, b.TimeFlowStartNs = n[atServerPackets], n[atStart]
	b.InitiatorConfidence = math.Float32frombits(uint32(n[atConfidence]))
	b.ConnState, b.CloseReason = flowv1.ConnState(n[atState]), flowv1.CloseReason(n[atReason])
	b.IcmpType, b.SamplingRate, b.TimeQuality = uint32(n[atICMPType]), n[atSampling], flowv1.TimeQuality(n[atQuality])
	b.DirectionConflict, b.PacketsUnknown = n[atConflict] != 0, n[atPacketsUnknown] != 0
	return true
}
