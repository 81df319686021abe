package demo

import (
	"net/netip"
	"testing"
	"time"

	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/simulate"
)

func truth(client, server string, bytes uint64) simulate.Truth {
	end := func(s string) flow.Endpoint {
		a := netip.MustParseAddrPort(s)
		return endpoint(a.Addr(), a.Port())
	}
	return simulate.Truth{Client: end(client), Server: end(server), Proto: 6, Totals: simulate.Totals{
		ClientPackets: 2, ServerPackets: 1, ClientBytes: bytes, ServerBytes: 60}}
}

func row(c simulate.Truth) conversation {
	return conversation{
		ID: addrPort(&c.Client).String(), Proto: c.Proto,
		Client: c.Client.Addr.Netip(), ClientPort: c.Client.Port, Server: c.Server.Addr.Netip(), ServerPort: c.Server.Port,
		ClientBytes: c.ClientBytes, ServerBytes: c.ServerBytes, ClientPackets: c.ClientPackets, ServerPackets: c.ServerPackets,
	}
}

func TestJudge(t *testing.T) {
	a, b := truth("10.0.0.1:40000", "192.0.2.1:443", 100), truth("10.0.0.2:40000", "192.0.2.1:443", 200)
	truths := []simulate.Truth{a, b}
	want := &simulate.Expected{Alerts: []simulate.ExpectedAlert{{Rule: "address_scan", Host: "10.0.0.1"}}}
	scan := alert{Rule: "address_scan", Host: netip.MustParseAddr("10.0.0.1")}
	flipped, short := row(b), row(b)
	flipped.Client, flipped.Server, flipped.ClientPort, flipped.ServerPort = flipped.Server, flipped.Client, flipped.ServerPort, flipped.ClientPort
	short.ClientBytes--
	twice := row(b)
	twice.ClientBytes *= 2
	tests := []struct {
		name            string
		rows            []conversation
		alerts          []alert
		exact, extra    int
		complete, right bool
	}{
		{"all", []conversation{row(b), row(a)}, []alert{scan}, 2, 0, true, true},
		{"nothing", nil, nil, 0, 0, false, false},
		{"one is missing", []conversation{row(a)}, []alert{scan}, 1, 0, false, false},
		{"one is flipped", []conversation{row(a), flipped}, []alert{scan}, 1, 1, false, false},
		{"one is short", []conversation{row(a), short}, []alert{scan}, 1, 0, false, false},
		{"one is counted twice", []conversation{row(a), twice}, []alert{scan}, 1, 0, false, false},
		{"no alert", []conversation{row(a), row(b)}, nil, 2, 0, false, false},
		{"an alert twice", []conversation{row(a), row(b)}, []alert{scan, scan}, 2, 0, true, true},
		{"a false alert", []conversation{row(a), row(b)}, []alert{scan, {Rule: "port_scan", Host: scan.Host}}, 2, 0, true, false},
		{"the wrong host", []conversation{row(a), row(b)}, []alert{{Rule: "address_scan", Host: b.Client.Addr.Netip()}}, 2, 0, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := judge(truths, 4, want, found{tt.rows, tt.alerts, 4})
			if v.exact != tt.exact || v.extra != tt.extra || v.complete() != tt.complete || v.right() != tt.right {
				t.Errorf("%+v, complete %v, right %v", v, v.complete(), v.right())
			}
		})
	}
}

// TestJudgeRecords: a record that is behind no flow was lost.
func TestJudgeRecords(t *testing.T) {
	v := judge(nil, 4, &simulate.Expected{}, found{records: 3})
	if v.balanced() || v.right() {
		t.Error("a record is missing, and nobody minds")
	}
}

// TestLatencies: a row counts from its first datagram, a finding from the
// datagram about the newest conversation in it.
func TestLatencies(t *testing.T) {
	now := time.Unix(1000, 0)
	w := newWatch(func() time.Time { return now })
	a, b := row(truth("10.0.0.1:1", "192.0.2.1:443", 1)), row(truth("10.0.0.1:2", "192.0.2.1:443", 1))
	a.Start, b.Start = 10, 20
	host := a.Client
	w.see([]conversation{a}, nil)
	now = now.Add(3 * time.Second)
	w.see([]conversation{a, b}, []alert{{UID: "x", Host: host, Last: 15}})
	now = now.Add(time.Hour)
	w.see([]conversation{a, b}, []alert{{UID: "x", Host: host, Last: 99}})
	key := func(c conversation) flow.ConvKey {
		return convKey(c.Proto, c.Client, c.ClientPort, c.Server, c.ServerPort)
	}
	received := map[flow.ConvKey]int64{key(a): time.Unix(998, 0).UnixNano(), key(b): time.Unix(999, 0).UnixNano()}
	toRow, toAlert := w.latencies(received, []conversation{b, a})
	if len(toRow) != 2 || toRow[0] != 2*time.Second || toRow[1] != 4*time.Second {
		t.Errorf("to the rows: %v", toRow)
	}
	if len(toAlert) != 1 || toAlert[0] != 5*time.Second {
		t.Errorf("to the alert: %v", toAlert)
	}
	if got := quantile(toRow, .99); got != 4*time.Second {
		t.Errorf("p99 %v", got)
	}
	if quantile(nil, .5) != 0 {
		t.Error("a quantile of nothing")
	}
}
