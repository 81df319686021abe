package merge

import (
	"slices"
	"strings"
	"testing"

	"github.com/flowledger/flowledger/services/internal/netset"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
)

// TestTopology: what the configuration says of exporters changes who is summed.
func TestTopology(t *testing.T) {
	domain := func(f *flowv1.Flow, n uint32) *flowv1.Flow {
		f.ObservationDomainId = n
		return f
	}
	later := func(f *flowv1.Flow, seconds float64) *flowv1.Flow {
		f.TimeReceivedNs = second(seconds)
		return f
	}
	pair := Default()
	pair.Groups = []Group{{Exporters: netset.MustParse("192.0.2.1", "192.0.2.2")}}
	split := Default()
	split.SplitDomains = netset.MustParse("192.0.2.1")

	for _, c := range []struct {
		name string
		cfg  Config
		in   []*flowv1.Flow
		want string
	}{
		{"two exporters see the same packets", Default(),
			[]*flowv1.Flow{report(1, 0, 5, 6), report(2, 0, 5, 4)},
			"1: 6 packets 0-5 max +2(4)\n"},
		{"a group shares them", pair,
			[]*flowv1.Flow{report(1, 0, 5, 6), report(2, 0, 5, 4)},
			"1: 6 packets 0-5 sole\n2: 4 packets 0-5 sole\n"},
		{"a third sees what the group shares", pair,
			[]*flowv1.Flow{report(1, 0, 5, 6), report(2, 0, 5, 4), report(3, 0, 5, 9)},
			"1: 6 packets 0-5 max +3(9)\n2: 4 packets 0-5 max\n"},
		{"who is late for a group goes by its first exporter", pair,
			[]*flowv1.Flow{report(2, 0, 5, 4), later(report(3, 0, 5, 4), 40)},
			"2: 4 packets 0-5 sole\n1: 0 packets 0-5 sole late +3(4)\n"},
		{"domains of one exporter share the packets", Default(),
			[]*flowv1.Flow{domain(report(1, 0, 5, 6), 1), domain(report(1, 0, 5, 4), 2)},
			"1: 6 packets 0-5 sole\n1: 4 packets 0-5 sole\n"},
		{"unless they are split", split,
			[]*flowv1.Flow{domain(report(1, 0, 5, 6), 1), domain(report(1, 0, 5, 4), 2)},
			"1: 6 packets 0-5 max +1(4)\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			outComes(t, c.cfg, c.in, c.want)
		})
	}
}

// outComes plays reports, also restored before every tick, and wants these lines in any order.
func outComes(t *testing.T, cfg Config, in []*flowv1.Flow, want string) {
	t.Helper()
	for i, f := range in {
		f.RecordId = uint64(i + 1)
	}
	if got := sortedLines(play(cfg, cloned(in))); got != sorted(want) {
		t.Errorf("out comes\n%swant\n%s", got, sorted(want))
	}
	if got := sortedLines(playRestored(t, cfg, cloned(in))); got != sorted(want) {
		t.Errorf("restored before every tick, out comes\n%swant\n%s", got, sorted(want))
	}
}

func sortedLines(fs []*flowv1.Flow) string { return sorted(lines(fs)) }

func sorted(text string) string {
	all := strings.SplitAfter(text, "\n")
	return strings.Join(slices.Sorted(slices.Values(all)), "")
}

func TestTopologyIsChecked(t *testing.T) {
	networks := netset.MustParse("192.0.2.0/24")
	for want, change := range map[string]func(*Config){
		"dedup.groups[0].exporters: a group needs": func(c *Config) { c.Groups = []Group{{}} },
		"overlaps":                  func(c *Config) { c.Groups = []Group{{networks}, {networks}} },
		"dedup.split_domains[0]":    func(c *Config) { c.SplitDomains = netset.List{{}} },
		"dedup.split_interfaces[0]": func(c *Config) { c.SplitInterfaces = netset.List{{}} },
	} {
		cfg := Default()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
