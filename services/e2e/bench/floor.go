package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"syscall"
	"time"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/flow"
	"github.com/flowledger/flowledger/services/internal/pipeline"
)

// floorBatch is the number of flows encoded and decoded together.
const floorBatch = 256

// floor measures the least that a stage between two topics must do if it does it by
// the generated code (vtprotobuf): decode every flow of a batch once
// (UnmarshalVTUnsafe) and encode it once (MarshalToSizedBufferVT). The programs may be
// quicker than that code; the measure stays. Nothing else of the bench runs meanwhile,
// so the process's own CPU time is what counts; the memory is nobody's.
func floor(path string) (cost, error) {
	batches, err := floorBatches(path)
	if err != nil {
		return cost{}, err
	}
	flows := make([]flowv1.Flow, floorBatch)
	var again []byte
	before := ownCPU()
	for _, batch := range batches {
		n, err := decodeGenerated(flows, batch)
		if err != nil {
			return cost{}, fmt.Errorf("cannot read the flows of the floor: %w", err)
		}
		again = again[:0]
		for i := range flows[:n] {
			again = appendGenerated(again, &flows[i])
		}
		if len(again) != len(batch) {
			return cost{}, fmt.Errorf("%d bytes of flows became %d", len(batch), len(again))
		}
	}
	after := ownCPU()
	return cost{user: after.user - before.user, system: after.system - before.system}, nil
}

// decodeGenerated decodes a batch into flows by the generated code, and says how many
// there are.
func decodeGenerated(flows []flowv1.Flow, batch []byte) (n int, err error) {
	for ; len(batch) > 0; n++ {
		var msg []byte
		if msg, batch, err = flow.Next(batch); err != nil {
			return 0, err
		}
		flows[n].Reset()
		if err := flows[n].UnmarshalVTUnsafe(msg); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// appendGenerated encodes a flow behind a batch, its length before it, by the
// generated code.
func appendGenerated(batch []byte, f *flowv1.Flow) []byte {
	size := f.SizeVT()
	batch = binary.AppendUvarint(batch, uint64(size))
	start := len(batch)
	batch = slices.Grow(batch, size)[:start+size]
	if _, err := f.MarshalToSizedBufferVT(batch[start:]); err != nil {
		panic("BUG: cannot marshal into a buffer of its own size: " + err.Error())
	}
	return batch
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
