package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
)

// reference is the page of docs/reference that describes the tables.
const reference = "../../docs/reference/tables.md"

// The queries of docs/reference/tables.md, on a small story: 10.1.0.23 and .24
// visit bad.example; .23 then fetches from a host that nobody had met, opens a
// session outward and knocks at port 445 inside.
func TestHunts(t *testing.T) {
	l := newLedger(t)
	tell(t, l, "biflows", story()...)
	tell(t, l, "dns", &flowv1.Dns{TimeEventNs: 1789725604e9, DnsName: "bad.example", QueryType: 1,
		Answers: []*flowv1.DnsAnswer{{Name: "bad.example", Type: 1, Data: "203.0.113.66"}}})
	w := &writer{topic: "biflows", partition: 3}
	if err := l.insert(t.Context(), "offset", w.offset(stage.Position{Next: 12})); err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for i, block := range strings.Split(string(page), "```sql\n")[1:] {
		sql, _, closed := strings.Cut(block, "\n```")
		if !closed {
			t.Fatalf("query %d of %s has no end", i+1, reference)
		}
		fmt.Fprintf(&out, "%s\n----\n%s\n\n", sql, strings.Join(ask(t, l.conn, sql), "\n"))
	}
	golden(t, "hunts.txt", out.String())
}

// tell writes records of a topic into the ledger, each as an insert of its own,
// so that FINAL has something to do.
func tell(t *testing.T, l *ledger, topic string, records ...flow.Message) {
	t.Helper()
	b := mustBuilder(t, topic)
	for i, r := range records {
		if _, err := b.Append(nil, flow.AppendDelimited(nil, r)); err != nil {
			t.Fatal(err)
		}
		for _, block := range b.Take() {
			if err := l.insert(t.Context(), fmt.Sprintf("%s/%d/%s", topic, i, block.Table), block); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func story() (records []flow.Message) {
	const ten = 1789725600 // 2026-09-18T10:00:00Z
	say := func(id uint64, version uint32, at int, client, server [4]byte, port uint32, sent, received uint64, state flowv1.ConnState) {
		ns := uint64(ten+at) * 1e9
		records = append(records, &flowv1.Biflow{
			FlowId: id, Version: version, Proto: 6, TimeOpenedNs: ns, TimeFlowStartNs: ns, TimeFlowEndNs: ns + 2e9, TimeUpdatedNs: ns + 3e9,
			ClientAddr: client[:], ClientPort: 40000 + uint32(id), ServerAddr: server[:], ServerPort: port, ClientBytes: sent, ServerBytes: received, ConnState: state,
		})
	}
	const open, silent = flowv1.ConnState_CONN_STATE_ESTABLISHED, flowv1.ConnState_CONN_STATE_UNANSWERED
	victim, other := [4]byte{10, 1, 0, 23}, [4]byte{10, 1, 0, 24}
	bad, dropper, exit, known := [4]byte{203, 0, 113, 66}, [4]byte{203, 0, 113, 99}, [4]byte{192, 0, 2, 44}, [4]byte{198, 51, 100, 10}
	say(1, 1, -86400, other, known, 443, 900, 9000, open)
	say(2, 1, -60, victim, known, 443, 1000, 10000, open)
	say(3, 1, 5, victim, bad, 80, 500, 40000, open)
	say(4, 1, 20, victim, known, 443, 1200, 12000, open)
	say(5, 1, 30, victim, dropper, 443, 700, 900000, open)
	// First taken for the server's; the second version knows better.
	say(6, 1, 60, exit, victim, 40006, 100, 200, open)
	say(6, 2, 60, victim, exit, 22, 5000000, 200, open)
	for i := range byte(3) {
		say(7+uint64(i), 1, 120+int(i), victim, [4]byte{10, 1, 0, 1 + i}, 445, 60, 0, silent)
	}
	say(10, 1, 300, other, bad, 80, 400, 30000, open)
	return records
}
