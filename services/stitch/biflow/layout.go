package biflow

import "github.com/flowledger/flowledger/services/internal/flow"

// Fields that are passed over.
var (
	passedNumber = flow.NumberField(0)
	passedText   = flow.TextField(0)
	passedFixed  = flow.Fixed8Field(0)
)

// reporterLayout is what reporters consist of.
var reporterLayout = flow.Layout{
	1: passedNumber, 3: passedNumber, 9: passedNumber, 10: passedNumber, 11: flow.TextField(flow.AtSampler), 12: passedText,
	14: passedNumber, 15: passedNumber, 18: passedNumber, 19: passedNumber, 23: passedNumber,
	24: flow.NumberField(flow.AtForwarding), 26: passedNumber, 29: passedNumber, 70: flow.NumberField(flow.AtDomain),
	111: flow.NumberField(flow.AtStart), 112: flow.NumberField(flow.AtEnd), 200: flow.NumberField(flow.AtDirection), 207: passedText, 208: passedText,
	209: passedNumber, 210: passedNumber, 211: passedText, 212: passedText, 213: passedText, 214: passedText,
	215: passedText, 232: passedFixed, 236: flow.NumberField(flow.AtFirewall), 237: passedText,
}
