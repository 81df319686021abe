package rule

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/netset"
)

// tight is a configuration whose thresholds a few dozen records reach.
func tight() Config {
	c := Default()
	c.Lateness, c.Settle = time.Minute, 20*time.Second
	c.Networks.Darknet = netset.MustParse("10.9.0.0/24")
	a, p := &c.AddressScan, &c.PortScan
	a.Prefix, a.PrefixContacted = Threshold{4, time.Minute}, Threshold{6, time.Minute}
	a.Port, a.PortInternal = Threshold{5, 90 * time.Second}, Threshold{6, 2 * time.Minute}
	a.Darknet = Threshold{3, time.Minute}
	p.Fast, p.FastInternal, p.Slow = Threshold{4, time.Minute}, Threshold{5, time.Minute}, Threshold{7, 10 * time.Minute}
	p.Contacted, p.Sensitive = Threshold{6, time.Minute}, Threshold{3, 30 * time.Second}
	return c
}

// crossing is a finding's first message, as model and rules must agree on it.
type modelCrossing struct {
	Rule, Client string
	Tick         eventtime.Tick
	Targets      int
}

// record is one biflow version with the tick it came in.
type record struct {
	tick eventtime.Tick
	b    *flowv1.Biflow
}

func (r *record) outcome() outcome { return outcomeOf(r.b, r.b.InitiatorConfidence >= .75) }

func (r *record) late(cfg *Config) bool {
	return r.b.TimeFlowStartNs+uint64(cfg.Lateness) <= r.tick.Ns()
}

// modelWindow is a window seen by going through all of history again.
type modelWindow struct {
	cfg   *Config
	tiers []tier
	span  uint64                      // its longest tier, ns
	id    func(*flowv1.Biflow) string // what makes targets distinct
}

// tracked is the part of a window's history that counts now: from the failure
// that opened it, as long as failures keep it alive.
func (w *modelWindow) tracked(history []record, now eventtime.Tick) (out []record) {
	var failedAt uint64
	alive := func(t eventtime.Tick) bool {
		return len(out) > 0 && eventtime.TickOf(failedAt+w.span+uint64(w.cfg.Lateness))+1 > t
	}
	for _, r := range history {
		late, bad := r.late(w.cfg), r.outcome() == failed
		if !alive(r.tick) {
			if !bad || late {
				continue
			}
			out, failedAt = nil, 0
		}
		out = append(out, r)
		if bad && !late {
			failedAt = max(failedAt, r.b.TimeFlowStartNs)
		}
	}
	if !alive(now) {
		return nil
	}
	return out
}

// standing is how each target stands: by the newest flow to it, in its last
// version; with the tick at which that flow was first seen.
func (w *modelWindow) standing(history []record) (targets map[string]record, seen map[string]eventtime.Tick, newest uint64) {
	targets, seen = map[string]record{}, map[string]eventtime.Tick{}
	for _, r := range history {
		if r.late(w.cfg) || r.outcome() == neither {
			continue
		}
		newest = max(newest, r.b.TimeFlowStartNs)
		id := w.id(r.b)
		old, known := targets[id]
		if !known || r.b.TimeFlowStartNs > old.b.TimeFlowStartNs || r.b.TimeFlowStartNs == old.b.TimeFlowStartNs && r.b.FlowId > old.b.FlowId {
			targets[id], seen[id] = r, r.tick
		}
	}
	for id, first := range targets {
		for _, r := range history {
			if r.b.FlowId == first.b.FlowId && r.b.Version > targets[id].b.Version {
				targets[id] = r
			}
		}
	}
	return targets, seen, newest
}

// crossed gives the targets of the first tier that history reaches.
func (w *modelWindow) crossed(history []record, now eventtime.Tick) []string {
	targets, seen, newest := w.standing(w.tracked(history, now))
	for _, t := range w.tiers {
		bad, enough, all := 0, 0, []string{}
		for id, r := range targets {
			if r.outcome() == neither || r.b.TimeFlowStartNs+t.within <= newest {
				continue
			}
			all = append(all, id)
			if t.ports != nil && !t.ports[uint16(r.b.ServerPort)] {
				continue
			}
			enough++
			if r.outcome() == failed && (isFirm(r.b) || seen[id].After(w.cfg.Settle) <= now) {
				bad++
			}
		}
		if t.contacted && enough >= t.count && 10*bad >= t.count || !t.contacted && bad >= t.count {
			return all
		}
	}
	return nil
}

// TestAgainstModel holds the rules against a model that looks through all of a
// client's history again with every record.
func TestAgainstModel(t *testing.T) {
	told := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		cfg := tight()
		cfg.ProhibitedService.Enabled = false
		records := modelRecords.Draw(t, "records")
		want := modelOf(&cfg, records)
		if d := cmp.Diff(want, rulesOf(cfg, records)); d != "" {
			t.Fatalf("first findings (-model, +rules):\n%s", d)
		}
		for _, w := range want {
			told[w.Rule]++
		}
	})
	if told["address_scan"] < 20 || told["port_scan"] < 20 {
		t.Errorf("the random records gave only %v findings: the test has lost its teeth", told)
	}
	t.Logf("findings agreed on: %v", told)
}

// firstOnly keeps the first finding of each rule and client, in order.
type firstOnly map[string]modelCrossing

func (f firstOnly) add(c modelCrossing) {
	if _, known := f[c.Rule+c.Client]; !known {
		f[c.Rule+c.Client] = c
	}
}

// rulesOf is the first finding of each rule and client.
func rulesOf(cfg Config, records []record) firstOnly {
	s, out := mustNew(cfg), firstOnly{}
	tick := func(t eventtime.Tick, in ...*flowv1.Biflow) {
		var got []finding
		tickWith(s, t, in, collect(nil, t, &got))
		for _, f := range got {
			if f.ActivityID == activityCreate {
				out.add(modelCrossing{f.FindingInfo.Types[0], f.host, t, f.Count})
			}
		}
	}
	end := records[len(records)-1].tick.After(cfg.Settle)
	for _, r := range append(records, record{tick: end + 1}) {
		for n := s.NextTimer(); n < r.tick && n <= end; n = s.NextTimer() {
			tick(n)
		}
		if r.b != nil {
			tick(r.tick, r.b)
		}
	}
	return out
}

// modelOf is the same, by the model: it looks at every tick at which a record
// comes or an earlier one settles.
func modelOf(cfg *Config, records []record) firstOnly {
	s, out := mustNew(*cfg), firstOnly{}
	var ticks []eventtime.Tick
	for _, r := range records {
		ticks = append(ticks, r.tick, r.tick.After(cfg.Settle))
	}
	slices.Sort(ticks)
	windows, history := map[string]modelWindow{}, map[string][]record{}
	for _, now := range slices.Compact(ticks) {
		modelLook(out, windows, history, now)
		for _, r := range records {
			if r.tick == now {
				modelSort(s, r, windows, history)
			}
		}
		modelLook(out, windows, history, now)
	}
	return out
}

// modelSort puts a record into the history of every window it belongs to. A
// window's name is rule, client and what its targets have in common.
func modelSort(s *Set, r record, windows map[string]modelWindow, history map[string][]record) {
	client, server := flow.AddrFrom(r.b.ClientAddr), flow.AddrFrom(r.b.ServerAddr)
	byAddr := func(b *flowv1.Biflow) string { return fmt.Sprint(b.ServerAddr) }
	byService := func(b *flowv1.Biflow) string { return fmt.Sprint(b.Proto, "/", b.ServerPort) }
	put := func(rule string, k kind, what string, id func(*flowv1.Biflow) string) {
		name := rule + " " + client.Netip().String() + " " + fmt.Sprint(k) + what
		windows[name] = modelWindow{&s.cfg, s.tiers[k][place(s.isInternal(&client))], s.spans[k], id}
		history[name] = append(history[name], r)
	}
	put("address_scan", byPrefix, prefixText(prefixOf(server)), byAddr)
	if s.darknet.Contains(server.Netip()) {
		put("address_scan", byDarknet, "", byAddr)
	}
	if r.b.ServerPort != 0 {
		put("address_scan", byPort, byService(r.b), byAddr)
		put("port_scan", byServer, byAddr(r.b), byService)
	}
}

// modelLook looks at all windows of all rules and clients.
func modelLook(out firstOnly, windows map[string]modelWindow, history map[string][]record, now eventtime.Tick) {
	targets := map[string][]string{}
	for name, w := range windows {
		if len(history[name]) < 3 {
			continue // below every threshold of tight
		}
		rule, rest, _ := strings.Cut(name, " ")
		client, _, _ := strings.Cut(rest, " ")
		targets[rule+" "+client] = append(targets[rule+" "+client], w.crossed(history[name], now)...)
	}
	for who, list := range targets {
		rule, client, _ := strings.Cut(who, " ")
		slices.Sort(list)
		if n := len(slices.Compact(list)); n > 0 {
			out.add(modelCrossing{rule, client, now, n})
		}
	}
}

// modelRecords are versions of flows, one a tick, of which many fail. The seed
// draws them evenly (rapid's own draws crowd at the small end, where no window
// is ever crossed); a failing case shrinks by its number of records.
var modelRecords = rapid.Custom(func(t *rapid.T) []record {
	seed := rapid.Uint64().Draw(t, "seed")
	n := 160 - rapid.IntRange(0, 159).Draw(t, "fewer")
	rnd := rand.New(rand.NewPCG(seed, 1))
	tick := eventtime.TickOf(epoch)
	var out []record
	var flows []*flowv1.Biflow
	hosts := pick(rnd, []int{1}, []int{1, 1, 1, 2}, []int{1, 2, 3, 4, 5, 6, 7, 8})
	steps := pick(rnd, []int{1, 2}, []int{1, 1, 2, 4, 9}, []int{1, 2, 4, 9, 40, 200})
	for i := range n {
		tick += eventtime.Tick(pick(rnd, steps...))
		if len(flows) > 0 && rnd.IntN(4) == 0 {
			k := rnd.IntN(len(flows))
			flows[k] = later(flows[k], pick(rnd, unanswered, rejected, denied, halfOpen, established, established, unobserved, oneWay))
			out = append(out, record{tick, flows[k]})
			continue
		}
		delay := pick[uint64](rnd, 0, 1, 5, 20, 59, 61, 100)
		b := randomCall(rnd, hosts, uint64(i+1), tick.Ns()-delay*1e9+uint64(i))
		flows = append(flows, b)
		out = append(out, record{tick, b})
	}
	return out
})

func pick[T any](rnd *rand.Rand, list ...T) T { return list[rnd.IntN(len(list))] }

func randomCall(rnd *rand.Rand, hosts []int, id, start uint64) *flowv1.Biflow {
	client := pick(rnd, "10.0.0.1", "10.0.0.1", "198.51.100.7", "198.51.100.7", "2001:db8::7")
	server := pick(rnd, "10.1.0.", "10.1.0.", "10.1.0.", "10.1.1.", "10.9.0.", "203.0.113.") + fmt.Sprint(pick(rnd, hosts...))
	if client[0] == '2' {
		server = fmt.Sprintf("2001:db8:1::%d", pick(rnd, hosts...))
	}
	port := pick(rnd, 22, 80, 80, 443, 445, 3389, 8080, 9001, 9002, 9003)
	b := call(id, 0, client, server, port, pick(rnd, unanswered, unanswered, rejected, denied, established, unobserved))
	b.TimeFlowStartNs = start
	if rnd.IntN(4) == 0 {
		b.Proto, b.ClientTcpFlags = 17, 0
	}
	if rnd.IntN(10) == 0 {
		b.InitiatorConfidence, b.DirectionConflict = .6, rnd.IntN(2) == 0
	}
	if rnd.IntN(10) == 0 {
		b.ServerPort, b.ClientPort, b.ClientTcpFlags = 0, 0, 0
		b.Proto, b.IcmpType = 1, 8
		if client[0] == '2' {
			b.Proto, b.IcmpType = 58, 128
		}
	}
	return b
}
