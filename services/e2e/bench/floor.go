package main

import (
	"syscall"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/pipeline"
)

// floorBatch is the number of flows encoded and decoded together.
const floorBatch = 256

// floor measures the least that any stage between two topics must do: decode a
// batch of flows once and encode it once. Nothing else of the bench runs
// meanwhile, so the process's own CPU time is the measure; the memory is nobody's.
func floor(path string) (cost, error) {
	batches, err := floorBatches(path)
	if err != nil {
		return cost{}, err
	}
	var decoder flow.Decoder[flowv1.Flow, *flowv1.Flow]
	var again []byte
	before := ownCPU()
	for _, batch := range batches {
		decoder.Reset()
		decoder.Add(batch)
		again = again[:0]
		for _, f := range decoder.Records {
			again = flow.AppendDelimited(again, f)
		}
	}
	after := ownCPU()
	return cost{user: after.user - before.user, system: after.system - before.system}, nil
}

// floorBatches are the flows of a capture as ingest would write them.
func floorBatches(path string) (batches [][]byte, err error) {
	n := normalize.New(normalize.Default())
	var out normalize.Result
	var batch []byte
	held := 0
	err = pipeline.ReadCapture(path, func(d normalize.Datagram) {
		n.Datagram(d, &out)
		for _, f := range out.Flows {
			batch = flow.AppendDelimited(batch, f)
			if held++; held == floorBatch {
				batches, batch, held = append(batches, batch), nil, 0
			}
		}
		out.Reset()
	})
	return append(batches, batch), err
}

// ownCPU is the CPU time that this process has used.
func ownCPU() cost {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return cost{}
	}
	return cost{user: time.Duration(u.Utime.Nano()), system: time.Duration(u.Stime.Nano())}
}
