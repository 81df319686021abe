package testkit

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// Data is the path of a file of the shared data, or skips the test where the
// data is absent; CI always has it.
func Data(t testing.TB, name string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(here), "../../../../shared/data", name)
	if _, err := os.Stat(path); err != nil {
		Missing(t, "the shared data beside the project: %v", err)
	}
	return path
}

// Missing says what a test needs and has not got: it is skipped, but fails in CI.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("missing, and CI must have it: "+format, args...)
	}
	t.Skipf("missing: "+format, args...)
}

// Truth is one conversation as it really was.
type Truth struct {
	Start  float64    `json:"ts"`
	Length float64    `json:"dur"`
	Proto  uint32     `json:"proto"`
	Client netip.Addr `json:"client"`
	Cport  uint32     `json:"cport"`
	Server netip.Addr `json:"server"`
	Sport  uint32     `json:"sport"`
	Cpk    uint64     `json:"cpk"`
	Cby    uint64     `json:"cby"`
	Spk    uint64     `json:"spk"`
	Sby    uint64     `json:"sby"`
}

// ReadTruth reads a truth file (JSON lines, gz or plain).
func ReadTruth(t testing.TB, path string) (truths []Truth) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	for lines.Scan() {
		var c Truth
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		truths = append(truths, c)
	}
	return truths
}

// truthOf is a biflow in the truth's terms. ICMP has type*256+code for a server port.
func truthOf(b *flowv1.Biflow) Truth {
	client, server := flow.AddrFrom(b.ClientAddr), flow.AddrFrom(b.ServerAddr)
	c := Truth{
		Start: float64(b.TimeFlowStartNs) / 1e9, Proto: b.Proto,
		Client: client.Netip(), Cport: b.ClientPort, Server: server.Netip(), Sport: b.ServerPort,
		Cpk: b.ClientPackets, Cby: b.ClientBytes, Spk: b.ServerPackets, Sby: b.ServerBytes,
	}
	if c.Proto == flow.ProtoICMP || c.Proto == flow.ProtoICMPv6 {
		c.Sport = b.IcmpType<<8 | b.IcmpCode
	}
	return c
}

// tuple is what identifies conversations that may share ports, whoever is the client.
func (c Truth) tuple() string {
	a, b := netip.AddrPortFrom(c.Client, uint16(c.Cport)), netip.AddrPortFrom(c.Server, uint16(c.Sport))
	if c.Proto == flow.ProtoICMP || c.Proto == flow.ProtoICMPv6 {
		a, b = netip.AddrPortFrom(c.Client, 0), netip.AddrPortFrom(c.Server, 0)
	}
	if b.Compare(a) < 0 {
		a, b = b, a
	}
	return fmt.Sprintf("%d %s %s", c.Proto, a, b)
}

// same drops what does not count for equality.
func (c Truth) same() Truth {
	c.Start, c.Length = 0, 0
	return c
}

// TruthReport says how well a ledger meets the truth.
type TruthReport struct {
	// Conversations in truth, those found exactly, those whose ports were used
	// again and that were merged with their neighbour (the volumes agree), and
	// those that are otherwise different.
	Conversations, Exact, Merged, Different int
	// Flipped of Different agree but for client and server.
	Flipped int
	// Bytes of truth and of the ledger.
	Bytes, LedgerBytes uint64
	// Examples of what is different.
	Examples, Merges []string
}

// CompareTruth holds the conversations of a ledger (last versions) against the truth.
func CompareTruth(truths []Truth, ledger []*flowv1.Biflow) (r TruthReport) {
	type group struct{ truths, ours []Truth }
	groups := make(map[string]*group)
	at := func(c Truth) *group {
		g := groups[c.tuple()]
		if g == nil {
			g = new(group)
			groups[c.tuple()] = g
		}
		return g
	}
	for _, c := range truths {
		g := at(c)
		g.truths = append(g.truths, c)
		r.Bytes += c.Cby + c.Sby
	}
	for _, b := range ledger {
		c := truthOf(b)
		g := at(c)
		g.ours = append(g.ours, c)
		r.LedgerBytes += c.Cby + c.Sby
	}
	r.Conversations = len(truths)
	keys := make([]string, 0, len(groups))
	for k := range groups {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		r.compareGroup(groups[k].truths, groups[k].ours)
	}
	return r
}

func (r *TruthReport) compareGroup(truths, ours []Truth) {
	var left []Truth
	for _, c := range truths {
		i := slices.IndexFunc(ours, func(o Truth) bool { return o.same() == c.same() })
		if i < 0 {
			left = append(left, c)
			continue
		}
		r.Exact++
		ours = slices.Delete(ours, i, i+1)
	}
	if len(left) == 0 {
		return
	}
	volume := func(cs []Truth) (bytes, packets uint64) {
		for _, c := range cs {
			bytes += c.Cby + c.Sby
			packets += c.Cpk + c.Spk
		}
		return
	}
	tb, tp := volume(left)
	ob, op := volume(ours)
	if len(truths) > 1 && len(ours) < len(left) && tb == ob && tp == op {
		r.Merged += len(left)
		r.Merges = append(r.Merges, fmt.Sprintf("truth %+v\n   ours %+v", left, ours))
		return
	}
	r.Different += len(left)
	if len(left) == 1 && len(ours) == 1 {
		o := ours[0]
		o.Client, o.Server, o.Cport, o.Sport = o.Server, o.Client, o.Sport, o.Cport
		o.Cpk, o.Spk, o.Cby, o.Sby = o.Spk, o.Cpk, o.Sby, o.Cby
		if o.same() == left[0].same() {
			r.Flipped++
		}
	}
	if len(r.Examples) < 20 {
		r.Examples = append(r.Examples, fmt.Sprintf("truth %+v\n   ours %+v", left, ours))
	}
}
