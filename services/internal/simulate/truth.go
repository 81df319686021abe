package simulate

import (
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// Truth is what a perfect ledger holds of one conversation.
type Truth struct {
	Client, Server flow.Endpoint
	Proto          uint8
	Totals
	Exporters int // how many exporters reported it
}

// AppendJSON appends the conversation as one line of JSON, times in seconds; a
// ping has the request's type · 256 + code for a server port:
//
//	{"ts":…,"dur":…,"proto":6,"client":"…","cport":…,"server":"…","sport":…,"cpk":…,"cby":…,"spk":…,"sby":…,"exporters":2}
func (t *Truth) AppendJSON(b []byte) []byte {
	b = appendSeconds(append(b, `{"ts":`...), t.Start)
	b = appendSeconds(append(b, `,"dur":`...), t.End-t.Start)
	b = appendUint(b, `,"proto":`, uint64(t.Proto))
	b = append(b, `,"client":"`...)
	b = t.Client.Addr.Netip().AppendTo(b)
	b = appendUint(b, `","cport":`, uint64(t.Client.Port))
	b = append(b, `,"server":"`...)
	b = t.Server.Addr.Netip().AppendTo(b)
	b = appendUint(b, `","sport":`, uint64(t.Server.Port|echoRequest(t.Proto)))
	b = appendUint(b, `,"cpk":`, t.ClientPackets)
	b = appendUint(b, `,"cby":`, t.ClientBytes)
	b = appendUint(b, `,"spk":`, t.ServerPackets)
	b = appendUint(b, `,"sby":`, t.ServerBytes)
	b = appendUint(b, `,"exporters":`, uint64(t.Exporters))
	return append(b, '}', '\n')
}

func appendUint(b []byte, name string, v uint64) []byte {
	return strconv.AppendUint(append(b, name...), v, 10)
}

// appendSeconds appends nanoseconds as seconds with six decimals.
func appendSeconds(b []byte, ns int64) []byte {
	us := ns / 1000
	b = strconv.AppendInt(b, us/1e6, 10)
	b = append(b, '.')
	frac := us % 1e6
	for unit := int64(100000); unit > 0; unit /= 10 {
		b = append(b, byte('0'+frac/unit%10))
	}
	return b
}

// Expected is what a detector must say of a scenario, and no more.
type Expected struct {
	Scenario string          `json:"scenario"`
	Seed     uint64          `json:"seed"`
	Start    time.Time       `json:"start"`
	Duration string          `json:"duration"`
	Alerts   []ExpectedAlert `json:"alerts"`
	Story    []StoryStep     `json:"story"`
}

// ExpectedAlert is one finding: the rule, the accused host, and what it did.
type ExpectedAlert struct {
	Rule     string   `json:"rule"`
	Host     string   `json:"host"`
	Ports    []uint16 `json:"ports,omitempty"`
	Servers  int      `json:"servers"`  // distinct hosts probed
	Answered int      `json:"answered"` // of them, hosts that accepted a connection
}

// StoryStep is one thing that the story's host did.
type StoryStep struct {
	At     time.Time `json:"at"`
	What   string    `json:"what"`
	Client string    `json:"client"`
	Server string    `json:"server"`
	Port   uint16    `json:"port"`
}

// Write writes e as indented JSON.
func (e *Expected) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(e)
}
