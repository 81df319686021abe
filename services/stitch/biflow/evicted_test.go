package biflow

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// tight runs flows, each in its tick, through a table that holds few conversations
// and is restored before every one; it returns the first versions.
func tight(t *testing.T, most int, flows []*flowv1.Flow) (first []*flowv1.Biflow, evictions int) {
	t.Helper()
	cfg := Default()
	cfg.MaxConversations = most
	tb := New(cfg)
	for _, f := range flows {
		fresh := New(cfg)
		if err := fresh.Restore(tb.AppendSnapshot(nil)); err != nil {
			t.Fatal(err)
		}
		tb = fresh
		tb.Tick(eventtime.TickOf(f.TimeReceivedNs), []*flowv1.Flow{f}, func(b *flowv1.Biflow) {
			if b.Version == 1 {
				first = append(first, proto.Clone(b).(*flowv1.Biflow))
			}
		})
	}
	return first, tb.evictions.n
}

// TestTheContinuationOfAnEvictedConversationIsLinked: the next flow of the key, if
// the conversation would have waited for it.
func TestTheContinuationOfAnEvictedConversationIsLinked(t *testing.T) {
	const c, s, x, y = "10.0.0.1:50000", "198.51.100.7:443", "10.0.0.2:50000", "10.0.0.3:50000"
	for _, test := range []struct {
		name  string
		flows []*flowv1.Flow
		// links has for every conversation, in order, the number of the one it continues.
		links []int
	}{
		{"at once", []*flowv1.Flow{tcp(c, s, 0, 1, 5, 0x18), tcp(x, s, 2, 3, 5, 0x18), tcp(c, s, 4, 5, 5, 0x18)}, []int{-1, -1, 0}},
		{"by the other side", []*flowv1.Flow{tcp(c, s, 0, 1, 5, 0x18), tcp(x, s, 2, 3, 5, 0x18), tcp(s, c, 4, 5, 5, 0x18)}, []int{-1, -1, 0}},
		{"twice", []*flowv1.Flow{tcp(c, s, 0, 1, 5, 0x18), tcp(x, s, 2, 3, 5, 0x18), tcp(c, s, 4, 5, 5, 0x18), tcp(x, s, 6, 7, 5, 0x18),
			tcp(c, s, 8, 9, 5, 0x18)}, []int{-1, -1, 0, 1, 2}},
		{"within the time it would have waited", []*flowv1.Flow{tcp(c, s, 0, 1, 5, 0x18), tcp(x, s, 2, 3, 5, 0x18), tcp(c, s, 119, 120, 5, 0x18)}, []int{-1, -1, 0}},
		{"not beyond that, by reception", []*flowv1.Flow{tcp(c, s, 0, 1, 5, 0x18), tcp(x, s, 2, 3, 5, 0x18), tcp(c, s, 119, 130, 5, 0x18)}, []int{-1, -1, -1}},
		{"not beyond that, by its start", []*flowv1.Flow{tcp(c, s, 0, 0, 5, 0x18), with(tcp(x, s, 2, 3, 5, 0x18), func(f *flowv1.Flow) { f.TimeReceivedNs = second(40) }),
			with(tcp(c, s, 130, 140, 5, 0x18), func(f *flowv1.Flow) { f.TimeReceivedNs = second(50) })}, []int{-1, -1, -1}},
		{"a retransmitted SYN", []*flowv1.Flow{tcp(c, s, 0, 1, 1, 0x02), tcp(x, s, 2, 3, 5, 0x18), tcp(c, s, 4, 5, 1, 0x02)}, []int{-1, -1, 0}},
		{"not a new connection", []*flowv1.Flow{tcp(c, s, 0, 1, 5, 0x1a), tcp(s, c, 0, 1.6, 5, 0x1a), tcp(x, s, 2, 3, 5, 0x18), tcp(c, s, 4, 5, 5, 0x1a)}, []int{-1, -1, -1}},
		{"not one that had ended", []*flowv1.Flow{tcp(c, s, 0, 1, 5, 0x14), tcp(x, s, 2, 3, 5, 0x18), tcp(c, s, 4, 5, 5, 0x18)}, []int{-1, -1, -1}},
		{"not one that nobody remembers", []*flowv1.Flow{tcp(c, s, 0, 1, 5, 0x18), tcp(x, s, 2, 3, 5, 0x18), tcp(y, s, 4, 5, 5, 0x18), tcp(c, s, 6, 7, 5, 0x18)}, []int{-1, -1, -1, -1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			first, _ := tight(t, 1, test.flows)
			if len(first) != len(test.links) {
				t.Fatalf("%d conversations, want %d", len(first), len(test.links))
			}
			for i, link := range test.links {
				want := uint64(0)
				if link >= 0 {
					want = first[link].FlowId
				}
				if got := first[i].PrevFlowId; got != want {
					t.Errorf("conversation %d continues %d, want %d (number %d)", i, got, want, link)
				}
			}
		})
	}
}

// TestEvictedConversationsAreForgotten: as many as a share of those that may be
// open, and no longer than they would have waited.
func TestEvictedConversationsAreForgotten(t *testing.T) {
	var flows []*flowv1.Flow
	for i := range 200 {
		flows = append(flows, udp(fmt.Sprintf("10.0.0.1:%d", 1024+i), "10.0.0.53:53", float64(i)/10, float64(i)/10, 1))
	}
	if _, n := tight(t, 40, flows); n != 10 {
		t.Errorf("%d evicted conversations are remembered of 40 that may be open, want 10", n)
	}
	flows = append(flows, udp("10.0.0.9:9", "10.0.0.53:53", 1000, 1000, 1))
	if _, n := tight(t, 40, flows); n != 0 {
		t.Errorf("%d evicted conversations are remembered after a long time, want none", n)
	}
}

// TestLinksLeadToEvictedConversations: whatever comes, a conversation continues one
// of the same key that was evicted before, and none is continued twice.
func TestLinksLeadToEvictedConversations(t *testing.T) {
	type key struct {
		proto, ports uint32
		ends         string
	}
	keyOf := func(b *flowv1.Biflow) key {
		low, high := string(b.ClientAddr), string(b.ServerAddr)
		if low > high {
			low, high = high, low
		}
		return key{b.Proto, b.ClientPort + b.ServerPort, low + high}
	}
	links := 0
	rapid.Check(t, func(t *rapid.T) {
		ticks, flows := drawTicks(t, 4)
		cfg := Default()
		cfg.MaxConversations = rapid.IntRange(1, 4).Draw(t, "max")
		tb := New(cfg)
		evicted := make(map[uint64]key)
		for i, tick := range ticks {
			tb.Tick(tick, flows[i], func(b *flowv1.Biflow) {
				if b.Version == 1 && b.PrevFlowId != 0 {
					links++
					if k, ok := evicted[b.PrevFlowId]; !ok || k != keyOf(b) {
						t.Fatalf("%v continues what was not evicted", b)
					}
					delete(evicted, b.PrevFlowId)
				}
				if b.CloseReason == flowv1.CloseReason_CLOSE_REASON_EVICTED {
					evicted[b.FlowId] = keyOf(b)
				}
			})
		}
	})
	if links == 0 {
		t.Error("nothing was ever continued")
	}
}
