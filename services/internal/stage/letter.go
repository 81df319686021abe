package stage

import (
	"cmp"
	"errors"
	"slices"
	"strconv"

	"github.com/flowledger/flowledger/services/internal/eventtime"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// letter is what of the log cannot be read, on its way to FlowsDead: a message, or a
// record of one.
//
//	message that is none of ours ─▶ inbox: a tick ─▶ engine.letters ─╮
//	message that is no policy ───▶ when it was written ───╯          │
//	Core.Tick ─▶ Output.LeaveOut: the tick ──────────────────────────┴▶ FlowsDead
//
// Its tick and its place among the others are a function of the log, so that it has the
// same number whenever the log is read again.
type letter struct {
	tick eventtime.Tick
	// input, partition and offset are where the message stands; policyInput is the log of
	// policies.
	input, partition int
	offset           int64
	// reason is a word, why a sentence, empty where there is no more to say.
	reason, why string
	key, value  []byte
	// size is the length of the value as it came.
	size int
}

// Headers of a dead letter.
const (
	HeaderReason   = "reason"
	HeaderReceived = "time_received_ns"

	headerStage     = "stage"
	headerTopic     = "topic"
	headerPartition = "partition"
	headerOffset    = "offset"
	headerError     = "error"
	headerSize      = "bytes"
)

// Reasons of letters beside those of package flow.
const (
	// BadHeader: a header of ours is missing, or makes no sense.
	BadHeader = "bad_header"
	// Damaged: a record batch of Kafka's cannot be unpacked, or is not what its checksum says.
	Damaged = "damaged"
)

const (
	// maxWhy bounds what is said about a letter.
	maxWhy = 200
	// policyInput stands for the log of policies, beside the inputs by their index.
	policyInput = -1
)

// errNoPolicy says that a message is not what flowctl writes.
var errNoPolicy = errors.New("it is not one policy of flowctl's")

// of puts key and value into a letter, in memory of its own. Of a value that is larger
// than any that we write there is the beginning: brokers would not take it with our headers.
func (l letter) of(key, value []byte) letter {
	l.size = len(value)
	l.key = slices.Clone(key[:min(len(key), maxBatchBytes/2)])
	l.value = slices.Clone(value[:min(len(value), maxBatchBytes)])
	return l
}

// reasonOf is why a message is none of ours, in a word.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, errBatch):
		return flow.Truncated
	case errors.Is(err, errDamaged):
		return Damaged
	}
	return BadHeader
}

// bury keeps a message that is none of ours for FlowsDead. It takes effect at the tick
// after the watermark, as what comes late (no record is of tick 0). One without a value
// has nothing to keep.
func (e *engine) bury(in *inbox, m *message) {
	if len(m.value) == 0 || in.ended {
		return
	}
	e.hold(letter{tick: max(in.watermark+1, 1) + in.delay, input: in.input, partition: in.partition}, m, m.err)
}

// buryPolicy keeps a message of the log of policies that is none, from the tick from which a
// policy would hold at the earliest: until then the log has been read as far. Every partition
// reads that log, and the first one keeps what is wrong with it.
func (e *engine) buryPolicy(m *message) {
	if len(m.value) == 0 || e.ended || e.partition != 0 {
		return
	}
	why := m.err
	if why == nil {
		why = errNoPolicy
	}
	e.hold(letter{tick: max(leastPolicyFrom(m), e.last+1), input: policyInput}, m, why)
}

// hold has a letter wait for its tick.
func (e *engine) hold(l letter, m *message, err error) {
	why := err.Error()
	l.offset, l.reason, l.why = m.offset, reasonOf(err), why[:min(len(why), maxWhy)]
	l = l.of(m.key, m.value)
	i, _ := slices.BinarySearchFunc(e.letters, l, compareLetters)
	e.letters = slices.Insert(e.letters, i, l)
	e.bytes += int64(len(l.value))
}

// compareLetters is the order in which letters are written.
func compareLetters(a, b letter) int {
	return cmp.Or(cmp.Compare(a.tick, b.tick), cmp.Compare(a.input, b.input), cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
}

// post writes the letters that wait for a tick up to one.
func (e *engine) post(upTo eventtime.Tick, say sink) {
	n := 0
	for ; n < len(e.letters) && e.letters[n].tick <= upTo; n++ {
		e.bytes -= int64(len(e.letters[n].value))
		e.write(&e.letters[n], say)
	}
	e.letters = slices.Delete(e.letters, 0, n)
}

// postLeft writes what the core has left out in a tick, in the order of the log.
func (e *engine) postLeft(tick eventtime.Tick, say sink) {
	if len(e.out.letters) == 0 {
		return
	}
	slices.SortStableFunc(e.out.letters, compareLetters)
	for i := range e.out.letters {
		l := &e.out.letters[i]
		l.tick = tick
		e.write(l, say)
	}
	e.out.letters = nil
}

// write says a letter, on the partition of FlowsDead that the stage's own falls on.
func (e *engine) write(l *letter, say sink) {
	output := len(e.outputs) - 1
	partition := e.partition % e.outputs[output].partitions
	lane := &e.lanes[output][partition]
	say(output, partition, outgoing{header: header{seq: lane.seq, tick: l.tick}, key: l.key, value: l.value, count: 1, fields: e.fieldsOf(l)})
	lane.seq++
	e.tally.dead++
}

// fieldsOf are the headers of a letter.
func (e *engine) fieldsOf(l *letter) []field {
	topic := ""
	if l.input == policyInput {
		topic = Policy
	}
	for _, in := range e.inboxes {
		if in.input == l.input {
			topic = in.topic
		}
	}
	fields := []field{
		{HeaderReason, []byte(l.reason)},
		{HeaderReceived, strconv.AppendUint(nil, l.tick.Ns(), 10)},
		{headerStage, []byte(e.stage)},
		{headerTopic, []byte(topic)},
		{headerPartition, strconv.AppendInt(nil, int64(l.partition), 10)},
		{headerOffset, strconv.AppendInt(nil, l.offset, 10)},
	}
	if l.why != "" {
		fields = append(fields, field{headerError, []byte(l.why)})
	}
	if l.size > len(l.value) {
		fields = append(fields, field{headerSize, strconv.AppendInt(nil, int64(l.size), 10)})
	}
	return fields
}

// append writes a letter that waits. The log of policies comes after the inputs, of which
// there are so many.
func (l *letter) append(b []byte, inputs int) []byte {
	b = appendTick(b, l.tick)
	if l.input == policyInput {
		b = appendLen(b, inputs)
	} else {
		b = appendLen(b, l.input)
	}
	b = appendLen(b, l.partition)
	b = appendInt(b, l.offset)
	b = appendBytes(b, l.reason)
	b = appendBytes(b, l.why)
	b = appendBytes(b, l.key)
	b = appendBytes(b, l.value)
	return appendLen(b, l.size)
}

// restoreLetters reads the letters that wait; inputs are their inputs' places now.
func (e *engine) restoreLetters(d *decoder, inputs []int) {
	for n := d.len(); n > 0 && d.err == nil; n-- {
		l := letter{tick: d.tick(), input: d.count(), partition: d.count(), offset: d.int(),
			reason: d.string(), why: d.string(), key: d.bytes(), value: d.bytes(), size: d.count()}
		switch {
		case d.err != nil || l.input > len(inputs):
			d.fail()
			return
		case l.input == len(inputs):
			l.input = policyInput
		default:
			if l.input = inputs[l.input]; l.input < 0 {
				continue
			}
		}
		e.letters = append(e.letters, l)
		e.bytes += int64(len(l.value))
	}
	slices.SortStableFunc(e.letters, compareLetters)
}
