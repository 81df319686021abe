package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// hunt has flowctl print the timelines of the n conversations with most segments,
// and holds each against its row in biflows: as many segments, as many bytes.
func (c *cluster) hunt(ctx context.Context, n int) error {
	if n == 0 {
		return nil
	}
	rows, err := c.db.Query(ctx, `SELECT flow_id, segments, client_bytes + server_bytes FROM biflows FINAL
		ORDER BY segments DESC, flow_id LIMIT {n:UInt32}`, clickhouse.Named("n", n))
	if err != nil {
		return fmt.Errorf("cannot choose conversations: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, sum uint64
		var segments uint32
		if err := rows.Scan(&id, &segments, &sum); err != nil {
			return fmt.Errorf("cannot choose conversations: %w", err)
		}
		if err := c.huntOne(ctx, id, segments, sum); err != nil {
			return fmt.Errorf("flowctl hunt segments %d: %w", id, err)
		}
	}
	return rows.Err()
}

func (c *cluster) huntOne(ctx context.Context, id uint64, segments uint32, sum uint64) error {
	args := []string{"hunt", "segments", fmt.Sprint(id), "--clickhouse.addr", c.ledger.Addr[0]}
	if out, err := exec.CommandContext(ctx, filepath.Join(c.o.bin, "flowctl"), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	out, err := exec.CommandContext(ctx, filepath.Join(c.o.bin, "flowctl"), append(args, "--json")...).Output()
	if err != nil {
		return err
	}
	var gotSegments uint32
	var gotSum uint64
	for line := range bytes.Lines(out) {
		var s struct {
			Bytes uint64
			Late  bool
		}
		if err := json.Unmarshal(line, &s); err != nil {
			return fmt.Errorf("cannot read %s: %w", line, err)
		}
		if !s.Late { // only names one more reporter
			gotSegments, gotSum = gotSegments+1, gotSum+s.Bytes
		}
	}
	if gotSegments != segments || gotSum != sum {
		return fmt.Errorf("%d segments with %d bytes, but the conversation has %d with %d:\n%s", gotSegments, gotSum, segments, sum, out)
	}
	return nil
}
