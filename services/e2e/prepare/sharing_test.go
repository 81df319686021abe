package prepare

import (
	"testing"
	"time"

	"github.com/flowledger/flowledger/services/dedup/merge"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/netset"
	"github.com/flowledger/flowledger/services/internal/simulate"
	"github.com/flowledger/flowledger/services/stitch/biflow"
)

// TestWhoSharesPacketsIsTold: exporters that share the packets of flows are found, and nobody
// else is, however much is lost and whatever the timeouts and ways.
func TestWhoSharesPacketsIsTold(t *testing.T) {
	exporter := func(n byte) flow.Addr { return flow.AddrFrom([]byte{10, 30, 255, n}) }
	grouped := merge.Default()
	grouped.Groups = []merge.Group{{Exporters: netset.MustParse("10.30.255.1/32", "10.30.255.2/32")}}
	for _, c := range []struct {
		name   string
		dedup  merge.Config
		change func(*simulate.PathConfig)
		want   bool // that the first and the second share
	}{
		{"by packet", merge.Default(), func(c *simulate.PathConfig) { c.Hops, c.Parallel, c.PerPacket = 1, 2, true }, true},
		{"by packet, in a group", grouped, func(c *simulate.PathConfig) { c.Hops, c.Parallel, c.PerPacket = 1, 2, true }, false},
		{"views", merge.Default(), func(*simulate.PathConfig) {}, false},
		{"datagrams are lost", merge.Default(), func(c *simulate.PathConfig) { c.Loss = []float64{.1} }, false},
		{"other timeouts", merge.Default(), func(c *simulate.PathConfig) {
			c.Active, c.Inactive = []time.Duration{time.Minute, 5 * time.Minute}, []time.Duration{15 * time.Second, 30 * time.Second}
		}, false},
		{"by turns", merge.Default(), func(c *simulate.PathConfig) { c.Hops, c.Parallel, c.Turns = 1, 2, 5*time.Second }, false},
		{"samplers", merge.Default(), func(c *simulate.PathConfig) { c.Sampling = []uint32{10} }, false},
	} {
		cfg := simulate.DefaultPath()
		cfg.Conversations, cfg.Hops, cfg.Active, cfg.Longest = 2000, 2, []time.Duration{time.Minute}, time.Minute
		if c.change(&cfg); cfg.PerPacket {
			cfg.Conversations *= 4
		}
		reports, _ := play(t, cfg)
		ch := newChain(c.dedup, biflow.Default())
		ch.run(t, c.dedup, biflow.Default(), reports, -1)
		all := ch.window.Sharing()
		if got := len(all) == 1 && all[0].A == exporter(1) && all[0].B == exporter(2); got != c.want || len(all) > 1 {
			t.Errorf("%s: who is said to share is %v", c.name, all)
		}
	}
}
