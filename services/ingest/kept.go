package main

import (
	"fmt"
	"log/slog"
	"path/filepath"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/spool"
)

// kept is what was told of exporters, by us and others, in a folder of the spool:
// a start without Kafka knows it from there. The oldest gives way to the newest,
// since what still holds is told again every few minutes. Nil keeps nothing.
//
//	decoder ── facts ──╮
//	                   ├─▶ kept ─ at the next start ─▶ follower
//	follower ─ facts ──╯
type kept struct{ spool *spool.Spool }

// keptBytes is above what max_facts of the usual size take.
const keptBytes = 32 << 20

func openKept(cfg *Spool) (*kept, error) {
	if cfg.Dir == "" {
		return nil, nil
	}
	s, err := spool.Open(spool.Options{
		Dir: filepath.Join(cfg.Dir, "exporters"), MaxBytes: keptBytes, Owner: "exporters",
		Log: slog.New(slog.DiscardHandler), // what is dropped is told again
	})
	if err != nil {
		return nil, fmt.Errorf("cannot keep what is known of exporters: %w", err)
	}
	return &kept{s}, nil
}

// add keeps facts.
func (k *kept) add(facts []*flowv1.ExporterFact) {
	if k == nil || len(facts) == 0 {
		return
	}
	var batch []byte
	for _, f := range facts {
		batch = flow.AppendDelimited(batch, f)
	}
	k.spool.Append(batch, len(facts))
}

// addBatch keeps facts as a message has them.
func (k *kept) addBatch(batch []byte, facts int) {
	if k != nil && facts > 0 {
		k.spool.Append(batch, facts)
	}
}

// each calls f with what was kept before, oldest first. What is damaged is of use
// to nobody.
func (k *kept) each(f func(batch []byte) error) error {
	if k == nil {
		return nil
	}
	return k.spool.Each(f)
}

func (k *kept) close() {
	if k != nil {
		k.spool.Close()
	}
}
