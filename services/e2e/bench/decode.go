package main

import (
	"bytes"
	"runtime"

	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/pipeline"
)

// decodeChunk is how many datagrams are read ahead of their decoding, and
// decodeBatch after how many a decoder of ingest hands its records over.
const (
	decodeChunk = 8192
	decodeBatch = 8
)

// decode measures the way from datagrams to flows as a decoder of ingest does it,
// without socket and Kafka: on one core, since one goroutine does it and nothing
// else runs meanwhile. Allocations of the first chunk, which teaches templates and
// fills the memory that is used again and again, are left out.
func decode(path string) (cost, error) {
	d := decoding{normalizer: normalize.New(normalize.Default()), result: normalize.Result{Encode: true}}
	err := pipeline.ReadCapture(path, func(one normalize.Datagram) {
		one.Payload = bytes.Clone(one.Payload)
		if d.chunk = append(d.chunk, one); len(d.chunk) == decodeChunk {
			d.pass()
		}
	})
	d.pass()
	if d.settled > 0 {
		d.cost.allocations = float64(d.mallocs) / float64(d.settled)
	}
	return d.cost, err
}

type decoding struct {
	normalizer *normalize.Normalizer
	result     normalize.Result
	chunk      []normalize.Datagram
	cost       cost
	// settled are the records behind the first chunk, mallocs their allocations.
	warm             bool
	settled, mallocs uint64
}

// pass decodes a chunk and adds what it cost.
func (d *decoding) pass() {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, records := ownCPU(), uint64(0)
	for i, one := range d.chunk {
		d.normalizer.Datagram(one, &d.result)
		if i%decodeBatch == decodeBatch-1 || i == len(d.chunk)-1 {
			records += d.result.DataRecords
			d.result.Reset()
		}
	}
	end := ownCPU()
	runtime.ReadMemStats(&after)
	d.cost.user += end.user - start.user
	d.cost.system += end.system - start.system
	if d.warm {
		d.settled += records
		d.mallocs += after.Mallocs - before.Mallocs
	}
	d.warm, d.chunk = true, d.chunk[:0]
}
