package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/stage"
	"github.com/flowledger/flowledger/services/sink/rows"
)

// crashing is the real ledger, in a process that dies after some inserts: just
// before the last one reaches ClickHouse, or just after.
type crashing struct {
	*ledger
	lives int
	lost  bool
}

func (c *crashing) insert(ctx context.Context, token string, b rows.Block) error {
	if c.lives == 0 && c.lost {
		return errCrash
	}
	if err := c.ledger.insert(ctx, token, b); err != nil {
		return err
	}
	if c.lives == 0 {
		return errCrash
	}
	c.lives--
	return nil
}

// physical is every row of every table as stored, without FINAL: an insert that
// was done twice would show.
func physical(t *testing.T, l *ledger, topic string) map[string][]string {
	t.Helper()
	stored := map[string][]string{}
	for _, table := range []string{"flows", "biflows", "host_biflows", "first_seen"} {
		stored[table] = ask(t, l.conn, "SELECT * EXCEPT time_inserted FROM "+table+" ORDER BY ALL")
	}
	stored["offsets"] = ask(t, l.conn, fmt.Sprintf("SELECT partition, next, hex(sources) FROM offsets WHERE topic = '%s' ORDER BY ALL", topic))
	return stored
}

// randomLog is a log of flows or conversations of two days around midnight.
func randomLog(r *rand.Rand, topic string) (log []*stage.Message) {
	at := time.Unix(1789775990, 0) // ten seconds to midnight
	version := uint32(0)
	for i := range 30 {
		at = at.Add(time.Duration(r.IntN(600)) * time.Millisecond)
		var value []byte
		for range r.IntN(6) {
			version++
			ns := uint64(at.UnixNano()) + uint64(r.IntN(20))*1e9
			if topic == stage.Biflows {
				id := 1 + r.Uint64N(9)
				value = flow.AppendDelimited(value, &flowv1.Biflow{
					FlowId: id, Version: version, Proto: 6, TimeOpenedNs: 1789775980e9 + id*4e9, TimeFlowStartNs: ns, ClientBytes: uint64(version),
					ClientAddr: []byte{10, 0, 0, byte(id)}, ServerAddr: []byte{192, 0, 2, 1}, Reporters: []*flowv1.Reporter{{InIf: version}},
				})
				continue
			}
			value = flow.AppendDelimited(value, &flowv1.Flow{TimeReceivedNs: ns, Bytes: uint64(version), SrcAddr: []byte{10, 0, 0, 1}})
		}
		log = append(log, &stage.Message{Offset: int64(i), Time: at, TickEnd: r.IntN(2) == 0, Value: value})
	}
	log[len(log)-1].Bye = stage.ByeEndOfInput
	return log
}

// Whoever dies wherever, the ledger's parts hold the same rows, each once.
func TestCrashesLeaveNoTraceInTheLedger(t *testing.T) {
	l := newLedger(t)
	exec(t, l.conn, "SYSTEM STOP MERGES")
	t.Cleanup(func() { _ = l.conn.Exec(context.Background(), "SYSTEM START MERGES") })
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 0))
		topic := []string{stage.Biflows, stage.FlowsDeduped}[seed%2]
		log := randomLog(r, topic)
		run := func(name string, crashes int) map[string][]string {
			for _, table := range []string{"flows", "biflows", "host_biflows", "first_seen"} {
				exec(t, l.conn, "TRUNCATE TABLE "+table)
			}
			full := fmt.Sprintf("%s%d.%s", name, seed, topic)
			for ; crashes >= 0; crashes-- {
				s := &crashing{ledger: l, lives: -1}
				if crashes > 0 {
					s.lives, s.lost = r.IntN(8), r.IntN(2) == 0
				}
				at, err := l.position(t.Context(), full, 3)
				if err != nil {
					t.Fatal(err)
				}
				w := newTestWriter(s, at, l.metrics)
				if w.builder, err = rows.For(topic); err != nil {
					t.Fatal(err)
				}
				w.topic = full
				if err := drain(w, log, at, len(log)); err != nil && !errors.Is(err, errCrash) {
					t.Fatal(err)
				}
			}
			return physical(t, l, full)
		}
		ideal, got := run("ideal", 0), run("got", 3)
		if len(ideal["flows"])+len(ideal["biflows"]) == 0 {
			t.Fatal("the log brought nothing")
		}
		if diff := cmp.Diff(ideal, got); diff != "" {
			t.Fatalf("seed %d, %s (-ideal +got):\n%s", seed, topic, diff)
		}
	}
}
