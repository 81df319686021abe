package prepare

import (
	"testing"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/dedup/merge"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/simulate"
	"github.com/flowledger/flowledger/services/stitch/biflow"
)

// TestOneConversationIsOneRow holds the ledger to one row per conversation, however
// its exporters cut it and however long they say nothing of it.
func TestOneConversationIsOneRow(t *testing.T) {
	forEachCase(t, func(c *caseT) { c.oneRow(c.lossless()) })
}

// TestOneConversationIsOneRowWhereExportersFail is the same where all but one
// exporter of each way fall silent some time.
func TestOneConversationIsOneRowWhereExportersFail(t *testing.T) {
	forEachCase(t, func(c *caseT) {
		cfg := c.lossless()
		cfg.Hops, cfg.Parallel, cfg.Asymmetric, cfg.NAT, cfg.Jitter = 2+c.rng.IntN(2), 1, 0, 0, nil
		cfg.Active, cfg.Inactive, cfg.Twice = cfg.Active[:1], cfg.Inactive[:1], min(cfg.Twice, cfg.Hops)
		cfg.Fail = make([]time.Duration, cfg.Hops)
		for i := range cfg.Hops - 1 {
			cfg.Fail[i] = 1 + time.Duration(c.rng.Int64N(int64(20*time.Minute)))
		}
		c.oneRow(cfg)
	})
}

// oneRow fails unless each conversation of a path closes once.
func (c *caseT) oneRow(cfg simulate.PathConfig) {
	reports, truths := play(c, cfg)
	rows := map[conversation]int{}
	dedup := merge.Default()
	if c.split {
		dedup.SplitInterfaces = allExporters
	}
	ch := newChain(dedup, biflow.Default())
	ch.update = func(b *flowv1.Biflow) {
		if b.CloseReason != flowv1.CloseReason_CLOSE_REASON_UNSPECIFIED {
			client := flow.Endpoint{Addr: flow.AddrFrom(b.ClientAddr), Port: uint16(b.ClientPort)}
			server := flow.Endpoint{Addr: flow.AddrFrom(b.ServerAddr), Port: uint16(b.ServerPort)}
			k, _ := conversationOf(client, server, uint8(b.Proto))
			rows[k]++
		}
	}
	ch.run(c, dedup, biflow.Default(), reports, -1)
	for i := range truths {
		k, _ := conversationOf(truths[i].Client, truths[i].Server, truths[i].Proto)
		if n := rows[k]; n != 1 {
			c.failf(cfg, "%v is in %d rows", k, n)
		}
	}
}
