package demo

import (
	"fmt"
	"net/netip"

	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/simulate"
)

// leastExact is the share of conversations that must be found exactly.
const leastExact = .99

// verdict holds the ledger against the truth.
type verdict struct {
	conversations, found, exact int // of the truth; found by their endpoints; and with all counts
	extra                       int // in the ledger, but not in the truth
	bytes, ledgerBytes          uint64
	records, ledgerRecords      uint64 // sent by the exporters; found behind the ledger's flows
	alerts, alertsFound         int
	accused                     []string // alerts that nobody expected
	example                     string   // a conversation that is not exact
}

// identity is what tells conversations apart.
type identity struct {
	proto          uint8
	client, server netip.AddrPort
}

// found is what the ledger holds.
type found struct {
	rows    []conversation
	alerts  []alert
	records uint64
}

// judge compares what the ledger holds with what happened.
func judge(truths []simulate.Truth, records uint64, want *simulate.Expected, got found) verdict {
	v := verdict{conversations: len(truths), alerts: len(want.Alerts), records: records, ledgerRecords: got.records}
	rows := got.rows
	ours := make(map[identity]*conversation, len(rows))
	for i := range rows {
		r := &rows[i]
		ours[identity{r.Proto, netip.AddrPortFrom(r.Client, r.ClientPort), netip.AddrPortFrom(r.Server, r.ServerPort)}] = r
		v.ledgerBytes += r.ClientBytes + r.ServerBytes
	}
	for i := range truths {
		c := &truths[i]
		v.bytes += c.ClientBytes + c.ServerBytes
		id := identity{c.Proto, addrPort(&c.Client), addrPort(&c.Server)}
		r := ours[id]
		switch {
		case r == nil:
			v.note("%s is not in the ledger", c)
			continue
		case sameCounts(r, c):
			v.exact++
		default:
			v.note("%s: the ledger has %d/%d packets, %d/%d bytes", c, r.ClientPackets, r.ServerPackets, r.ClientBytes, r.ServerBytes)
		}
		v.found++
		delete(ours, id)
	}
	v.extra = len(rows) - v.found
	v.judgeAlerts(want, got.alerts)
	return v
}

func (v *verdict) note(format string, c *simulate.Truth, args ...any) {
	if v.example == "" {
		v.example = fmt.Sprintf(format, append([]any{describe(c)}, args...)...)
	}
}

func describe(c *simulate.Truth) string {
	client, server := addrPort(&c.Client), addrPort(&c.Server)
	return fmt.Sprintf("%s to %s (protocol %d, %d/%d packets, %d/%d bytes)", client, server, c.Proto,
		c.ClientPackets, c.ServerPackets, c.ClientBytes, c.ServerBytes)
}

func addrPort(e *flow.Endpoint) netip.AddrPort { return netip.AddrPortFrom(e.Addr.Netip(), e.Port) }

func sameCounts(r *conversation, c *simulate.Truth) bool {
	return r.ClientBytes == c.ClientBytes && r.ServerBytes == c.ServerBytes &&
		r.ClientPackets == c.ClientPackets && r.ServerPackets == c.ServerPackets
}

// judgeAlerts wants each expected alert, and none against anybody else.
func (v *verdict) judgeAlerts(want *simulate.Expected, alerts []alert) {
	expected := map[string]bool{}
	for _, a := range want.Alerts {
		expected[a.Rule+" "+a.Host] = false
	}
	for _, a := range alerts {
		key := a.Rule + " " + a.Host.String()
		if seen, ok := expected[key]; !ok {
			v.accused = append(v.accused, key)
		} else if !seen {
			expected[key] = true
			v.alertsFound++
		}
	}
}

// complete tells that nothing more is to come.
func (v *verdict) complete() bool {
	return v.found == v.conversations && v.balanced() && v.alertsFound == v.alerts && v.share() >= leastExact
}

func (v *verdict) share() float64 {
	if v.conversations == 0 {
		return 0
	}
	return float64(v.exact) / float64(v.conversations)
}

// balanced tells that no record was lost, and no volume lost or counted twice.
func (v *verdict) balanced() bool {
	return v.ledgerBytes == v.bytes && v.ledgerRecords == v.records
}

// right tells whether the ledger is good enough to be trusted: practically all
// conversations exact, no volume lost or counted twice, the right one accused.
func (v *verdict) right() bool {
	return v.share() >= leastExact && v.balanced() && v.alertsFound == v.alerts && len(v.accused) == 0
}
