package stage

import (
	"fmt"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// Output collects what a core says during one tick, per output topic and
// partition, in the order in which it is said: that order numbers the records.
type Output struct {
	topics [][]partitionOutput // [output index][partition]
	// maxBytes cuts batches.
	maxBytes int
	// bytes is what has been said so far.
	bytes int64
	// cut tells that some partition has a batch that is full.
	cut bool
	// letters are what the core could not read.
	letters []letter
}

// messageBytes is what a message of its own counts for beside its key and value.
const messageBytes = 64

// partitionOutput is what goes to one partition of one topic in the open tick.
type partitionOutput struct {
	// batches are the delimited records, cut where a message gets too large.
	batches []outBatch
	// usual is the size of the last batch that was taken.
	usual int
}

type outBatch struct {
	key   []byte
	value []byte
	count int
	plain bool
	// fields are headers of the caller's.
	fields []field
}

const (
	// maxBatchBytes bounds a Kafka message; brokers refuse values above 1 MiB by
	// default. It fits a buffer of 256 KiB.
	maxBatchBytes = 252 << 10
	// recordRoom is how much room there is for a record without a larger buffer.
	recordRoom = 2 << 10
)

// NewOutput makes an output for topics with the given numbers of partitions.
func NewOutput(partitions ...int) *Output {
	o := &Output{topics: make([][]partitionOutput, len(partitions)), maxBytes: maxBatchBytes}
	for i, n := range partitions {
		o.topics[i] = make([]partitionOutput, n)
	}
	return o
}

// Partitions is the number of partitions of an output topic.
func (o *Output) Partitions(topic int) int { return len(o.topics[topic]) }

// Append adds a record to the open batch of a partition.
func (o *Output) Append(topic, partition int, m flow.Message) {
	b := o.openBatch(topic, partition)
	end := len(b.value)
	b.value = flow.AppendDelimited(b.value, m)
	o.close(topic, partition, b, end)
}

// AppendFlows adds flows that are written already, each to the partition of its
// conversation. The bytes are copied.
func (o *Output) AppendFlows(topic int, flows []flow.Encoded) {
	n := len(o.topics[topic])
	for i := range flows {
		f := &flows[i]
		partition := flow.Partition(f.Hash, n)
		b := o.openBatch(topic, partition)
		end := len(b.value)
		b.value = f.AppendDelimited(b.value)
		o.close(topic, partition, b, end)
	}
}

// AppendEncoded adds a record that is encoded already, its length before it
// (flow.AppendDelimited). The bytes are copied.
func (o *Output) AppendEncoded(topic, partition int, delimited []byte) {
	b := o.openBatch(topic, partition)
	end := len(b.value)
	b.value = append(b.value, delimited...)
	o.close(topic, partition, b, end)
}

// openBatch is the batch that the next record of a partition is written to.
func (o *Output) openBatch(topic, partition int) *outBatch {
	p := &o.topics[topic][partition]
	n := len(p.batches)
	if n == 0 || p.batches[n-1].plain {
		p.batches = append(p.batches, outBatch{value: buffers.get(max(p.usual, 2*recordRoom))})
		n++
	}
	b := &p.batches[n-1]
	if cap(b.value)-len(b.value) < recordRoom {
		larger := append(buffers.get(2*cap(b.value)), b.value...)
		buffers.put(b.value)
		b.value = larger
	}
	return b
}

// close counts the record that was written behind end. It moves on to a new batch
// if it turns out to be too much for this one: to ask for its size before would take
// as long as writing it.
func (o *Output) close(topic, partition int, b *outBatch, end int) {
	o.bytes += int64(len(b.value) - end)
	if len(b.value) > o.maxBytes && b.count > 0 {
		moved := append(buffers.get(len(b.value)), b.value[end:]...)
		b.value = b.value[:end]
		p := &o.topics[topic][partition]
		p.batches = append(p.batches, outBatch{value: moved, count: 1})
		o.cut = true
		return
	}
	b.count++
}

// AppendMessage adds a record that is a Kafka message of its own: an alert. Key
// and value are the output's from now on.
func (o *Output) AppendMessage(topic, partition int, key, value []byte) {
	p := &o.topics[topic][partition]
	p.batches = append(p.batches, outBatch{key: key, value: value, count: 1, plain: true})
	o.bytes += int64(len(key) + len(value) + messageBytes)
}

// LeaveOut keeps what of a batch cannot be read: the shell writes it to FlowsDead. The
// bytes are copied.
func (o *Output) LeaveOut(in Batch, left []flow.Left) {
	for _, l := range left {
		o.letters = append(o.letters, letter{input: in.Input, partition: in.partition, offset: in.offset, reason: l.Reason}.of(nil, l.Bytes))
	}
}

// attach gives headers to the message that was said last.
func (o *Output) attach(topic, partition int, headers []Header) {
	batches := o.topics[topic][partition].batches
	b := &batches[len(batches)-1]
	for _, h := range headers {
		b.fields = append(b.fields, field{h.Key, []byte(h.Value)})
	}
}

// Each calls f for every message said so far: by topic, partition, and in the
// order said. Count is the number of records in value.
func (o *Output) Each(f func(topic, partition int, key, value []byte, count int)) {
	for t := range o.topics {
		for p := range o.topics[t] {
			for _, b := range o.topics[t][p].batches {
				f(t, p, b.key, b.value, b.count)
			}
		}
	}
}

// Reset forgets what was said; its batches are used again.
func (o *Output) Reset() {
	o.letters = nil
	o.take(func(_, _ int, b *outBatch, _ bool) {
		if !b.plain {
			buffers.put(b.value)
		}
	})
}

// take hands over every batch with its buffer and leaves the output empty. last
// tells the last batch of a partition.
func (o *Output) take(f func(topic, partition int, b *outBatch, last bool)) {
	o.bytes, o.cut = 0, false
	for t := range o.topics {
		for p := range o.topics[t] {
			batches := o.topics[t][p].batches
			for i := range batches {
				if !batches[i].plain {
					o.topics[t][p].usual = len(batches[i].value)
				}
				f(t, p, &batches[i], i == len(batches)-1)
			}
			clear(batches)
			o.topics[t][p].batches = batches[:0]
		}
	}
}

// takeFull hands over all batches but the one of each partition that is being
// filled, and tells how many bytes they had.
func (o *Output) takeFull(f func(topic, partition int, b *outBatch)) (bytes int64) {
	o.cut = false
	for t := range o.topics {
		for p := range o.topics[t] {
			batches := o.topics[t][p].batches
			full := len(batches) - 1
			for i := range max(full, 0) {
				if bytes += int64(len(batches[i].key) + len(batches[i].value)); batches[i].plain {
					bytes += messageBytes
				}
				f(t, p, &batches[i])
			}
			if full > 0 {
				batches[0] = batches[full]
				clear(batches[1:])
				o.topics[t][p].batches = batches[:1]
			}
		}
	}
	o.bytes -= bytes
	return bytes
}

// only panics if anything was said to another partition than p.
func (o *Output) only(topic, p int) {
	for q := range o.topics[topic] {
		if q != p && len(o.topics[topic][q].batches) > 0 {
			panic(fmt.Sprintf("BUG: output %d is aligned, but partition %d wrote to partition %d", topic, p, q))
		}
	}
}
