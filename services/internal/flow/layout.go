package flow

// Places of the numbers of a flow that anybody looks at.
const (
	_ = iota
	AtType
	AtRate
	AtBytes
	AtPackets
	AtInIf
	AtProto
	AtSrcPort
	AtDstPort
	AtForwarding
	AtFlags
	AtICMPType
	AtICMPCode
	AtDomain
	AtReceived
	AtStart
	AtEnd
	AtDirection
	AtRealm
	AtEndReason
	AtHint
	AtAuthority
	AtQuality
	AtKind
	AtRecordID
	AtActive
	AtInactive
	AtReverse
	AtFirewall
	AtInitialFlags
	AtLate
	AtPacketsUnknown
)

// Places of a flow's texts.
const (
	_ = iota
	AtSrc
	AtDst
	AtSampler
)

// flowLayout is what most flows consist of: not names, translations, lists. What nobody looks
// at goes to the first place.
var flowLayout = Layout{
	1: NumberField(AtType), 3: NumberField(AtRate), 4: NumberField(0), 6: TextField(AtSrc),
	7: TextField(AtDst), 9: NumberField(AtBytes), 10: NumberField(AtPackets),
	11: TextField(AtSampler), 12: TextField(0), 13: NumberField(0), 14: NumberField(0), 15: NumberField(0),
	16: NumberField(0), 17: NumberField(0), 18: NumberField(AtInIf), 19: NumberField(0), 20: NumberField(AtProto),
	21: NumberField(AtSrcPort), 22: NumberField(AtDstPort), 23: NumberField(0),
	24: NumberField(AtForwarding), 25: NumberField(0), 26: NumberField(AtFlags), 27: NumberField(0),
	28: NumberField(0), 29: NumberField(0), 30: NumberField(0), 31: NumberField(AtICMPType),
	32: NumberField(AtICMPCode), 33: NumberField(0), 34: NumberField(0), 35: NumberField(0), 36: NumberField(0),
	37: NumberField(0), 38: NumberField(0), 70: NumberField(AtDomain), 71: NumberField(0), 100: TextField(0),
	110: NumberField(AtReceived), 111: NumberField(AtStart), 112: NumberField(AtEnd),
	200: NumberField(AtDirection), 201: NumberField(AtRealm), 202: NumberField(AtEndReason),
	203: Fixed8Field(0), 204: NumberField(AtHint), fieldReporters: NestedField(), fieldAuthority: NumberField(AtAuthority),
	230: NumberField(AtQuality), 231: NumberField(AtKind), 232: Fixed8Field(AtRecordID),
	233: NumberField(AtActive), 234: NumberField(AtInactive), 235: NumberField(AtReverse),
	236: NumberField(AtFirewall), 238: NumberField(AtInitialFlags), 239: NumberField(0), 240: NumberField(0),
	241: NumberField(AtLate), 242: NumberField(AtPacketsUnknown), 243: NumberField(0),
}
