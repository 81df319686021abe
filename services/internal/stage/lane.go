package stage

import (
	"time"

	"github.com/flowledger/flowledger/services/internal/stage/wire"
)

// lane is what goes to one partition, in order: one request at a time, repeated until it
// succeeds, so that nothing is left out. Repetitions may write a message twice; readers
// know it by its number. Its writer's mutex guards it.
type lane struct {
	topic     string // full name
	partition int

	queue []outgoing
	// sent is how many of the queue are in a request, busy tells that there is one, or a
	// pause after attempts of them that failed.
	sent     int
	busy     bool
	attempts int
	// put counts the messages that were ever queued, done those acknowledged.
	put, done int64
}

// requestBytes bounds what a record batch takes; brokers refuse batches above 1 MiB by
// default, and a message is at most maxBatchBytes.
const requestBytes = 900 << 10

// headerBytes is about how much a message's headers take.
const headerBytes = 128

// add queues a message and tells by how many bytes the queue has grown. A mark
// that is still waiting is replaced by a newer one.
func (l *lane) add(m outgoing) (grown int64) {
	if n := len(l.queue); n > l.sent && m.count == 0 && l.queue[n-1].count == 0 &&
		l.queue[n-1].bye == "" && l.queue[n-1].seq == m.seq {
		l.queue[n-1] = m
		return 0
	}
	l.queue = append(l.queue, m)
	l.put++
	return m.size()
}

// take has the messages of the next record batch sent, and tells their bytes.
func (l *lane) take() (size int64) {
	for l.sent = 0; l.sent < len(l.queue); l.sent++ {
		next := l.queue[l.sent].size()
		if l.sent > 0 && size+next > requestBytes {
			break
		}
		size += next
	}
	l.busy = true
	return size
}

// acknowledged drops what was sent, and tells how many bytes and records that was.
func (l *lane) acknowledged() (bytes int64, records int) {
	for i := range l.queue[:l.sent] {
		m := &l.queue[i]
		bytes += m.size()
		records += m.count
		if m.pooled {
			buffers.put(m.value)
		}
	}
	l.done += int64(l.sent)
	if l.queue = l.queue[l.sent:]; len(l.queue) == 0 {
		l.queue = nil
	}
	l.sent, l.busy, l.attempts = 0, false, 0
	return bytes, records
}

// failed has what was sent wait for the next attempt. The request may still be on its way
// with what was lent to it, so that memory is the collector's from now on.
func (l *lane) failed() {
	for i := range l.queue[:l.sent] {
		l.queue[i].pooled = false
	}
	l.sent, l.busy = 0, false
	l.attempts++
}

// outbox is what a lane sends.
type outbox struct {
	*lane
	batch []outgoing
	size  int64
}

// fill writes it into a request.
func (o *outbox) fill(request *wire.Produce, source []byte) {
	request.Batch(o.topic, o.partition)
	var fields []field
	var headers []byte
	for i := range o.batch {
		m := &o.batch[i]
		fields = append(m.appendFields(fields[:0], source), m.fields...)
		headers = headers[:0]
		for _, f := range fields {
			headers = wire.AppendHeader(headers, f.key, f.value)
		}
		request.Lend(m.key, m.value, headers, len(fields))
	}
	request.End(time.Now())
}
