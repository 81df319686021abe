// Package stage is the shell around every stage: it turns one partition of the
// input topics into ticks for a pure core, numbers and sends what the core says,
// snapshots, recovers, and knows nothing of flows. The only place that imports
// kafka-go.
//
//	Kafka partition ─▶ inbox (sequences, ticks) ─▶ Core.Tick ─▶ Output (numbered batches) ─▶ Kafka
//	                      ▲                            │
//	                      ╰──── state.<stage> ◀── snapshot
package stage

import "github.com/flowledger/flowledger/services/internal/eventtime"

// Batch is the part of one tick that one message of one source brought: whole
// records, length-delimited. The value is the core's to read until Tick returns.
type Batch struct {
	// Input is the index into Spec.Inputs.
	Input int
	Value []byte
	// partition and offset are where the message stands in the input's log.
	partition int
	offset    int64
	// page is where the value lies.
	page *page
}

// Core is a pure state machine over one partition. The same ticks give the same
// outputs, byte for byte. It is called by one goroutine.
type Core interface {
	// Tick applies all records of one tick, in an order of the records' own
	// (batches come in no order of meaning), and fires the timers due at it.
	// Ticks rise; ticks without input and without a due timer are not called.
	// What it cannot read it leaves to Output.LeaveOut.
	Tick(tick eventtime.Tick, in []Batch, out *Output)
	// NextTimer is the earliest tick at which Tick must be called even without
	// input, or eventtime.Never.
	NextTimer() eventtime.Tick
	// End closes everything that is open: the timeline has ended at tick.
	End(tick eventtime.Tick, out *Output)
	// AppendSnapshot appends the whole state to dst.
	AppendSnapshot(dst []byte) []byte
	// Restore replaces the state of a fresh core by a snapshot.
	Restore(snapshot []byte) error
}
