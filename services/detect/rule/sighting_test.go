package rule

import (
	"encoding/binary"
	"testing"
)

// TestClientsCannotBeChosenToMeet: addresses that are equal to constants which anybody
// can read do not take the rest of them out of a hash, nor do servers.
func TestClientsCannotBeChosenToMeet(t *testing.T) {
	clients, scopes := map[uint64]bool{}, map[uint64]bool{}
	const n = 1000
	for i := range uint64(n) {
		var s subject
		binary.LittleEndian.PutUint64(s.addr[:], 0x2d358dccaa6c78a5)
		binary.LittleEndian.PutUint64(s.addr[8:], i)
		clients[s.hash()] = true
		about := scope{kind: byServer}
		binary.LittleEndian.PutUint64(about.object[:], i)
		binary.LittleEndian.PutUint64(about.object[8:], 0x4b33a62ed433d4a3)
		scopes[about.hash(7)] = true
	}
	if len(clients) != n || len(scopes) != n {
		t.Errorf("%d clients have %d hashes, and as many servers %d", n, len(clients), len(scopes))
	}
}
