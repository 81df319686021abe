package biflow

import "github.com/flowledger/flowledger/services/internal/flow"

// Fields that are passed over.
var (
	passedNumber = flow.NumberField(0)
	passedText   = flow.TextField(0)
	passedFixed  = flow.Fixed8Field(0)
)

// flowLayout is what most flows consist of: not names, translations, lists.
var flowLayout = flow.Layout{
	1: flow.NumberField(atType), 3: flow.NumberField(atRate), 4: passedNumber, 6: flow.TextField(atSrc),
	7: flow.TextField(atDst), 9: flow.NumberField(atBytes), 10: flow.NumberField(atPackets),
	11: flow.TextField(atSampler), 12: passedText, 13: passedNumber, 14: passedNumber, 15: passedNumber,
	16: passedNumber, 17: passedNumber, 18: passedNumber, 19: passedNumber, 20: flow.NumberField(atProto),
	21: flow.NumberField(atSrcPort), 22: flow.NumberField(atDstPort), 23: passedNumber,
	24: flow.NumberField(atForwarding), 25: passedNumber, 26: flow.NumberField(atFlags), 27: passedNumber,
	28: passedNumber, 29: passedNumber, 30: passedNumber, 31: flow.NumberField(atICMPType),
	32: flow.NumberField(atICMPCode), 33: passedNumber, 34: passedNumber, 35: passedNumber, 36: passedNumber,
	37: passedNumber, 38: passedNumber, 70: flow.NumberField(atDomain), 71: passedNumber, 100: passedText,
	110: flow.NumberField(atReceived), 111: flow.NumberField(atStart), 112: flow.NumberField(atEnd),
	200: flow.NumberField(atDirection), 201: flow.NumberField(atRealm), 202: flow.NumberField(atEndReason),
	203: passedFixed, 204: flow.NumberField(atHint), 205: flow.NestedField(), 206: passedNumber,
	230: flow.NumberField(atQuality), 231: flow.NumberField(atKind), 232: flow.Fixed8Field(atRecordID),
	233: flow.NumberField(atActive), 234: passedNumber, 235: flow.NumberField(atReverse),
	236: flow.NumberField(atFirewall), 238: flow.NumberField(atInitialFlags), 239: passedNumber, 240: passedNumber,
	241: flow.NumberField(atLate), 242: flow.NumberField(atPacketsUnknown), 243: passedNumber,
}

// reporterLayout is what reporters consist of.
var reporterLayout = flow.Layout{
	1: passedNumber, 3: passedNumber, 9: passedNumber, 10: passedNumber, 11: flow.TextField(atSampler), 12: passedText,
	14: passedNumber, 15: passedNumber, 18: passedNumber, 19: passedNumber, 23: passedNumber,
	24: flow.NumberField(atForwarding), 26: passedNumber, 29: passedNumber, 70: flow.NumberField(atDomain),
	111: passedNumber, 112: passedNumber, 200: flow.NumberField(atDirection), 207: passedText, 208: passedText,
	209: passedNumber, 210: passedNumber, 211: passedText, 212: passedText, 213: passedText, 214: passedText,
	215: passedText, 232: passedFixed, 236: flow.NumberField(atFirewall), 237: passedText,
}
