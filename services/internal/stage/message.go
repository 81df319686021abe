package stage

import (
	"time"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// message is one message of a log, parsed.
type message struct {
	header
	offset int64
	time   time.Time
	fields []field
	key    []byte
	value  []byte
	count  int // records in value
	// page is where all of that lies; it is released by who takes the message.
	page *page
	// err tells why the message is none of ours; then nothing else of it counts.
	err error
	// more is for how many offsets behind its own it stands as well: a record batch that
	// cannot be read is one message.
	more int64
}

// next is the offset behind the message.
func (m *message) next() int64 { return m.offset + 1 + m.more }

// parse fills in what the headers and the value say, or err.
func (m *message) parse(plain bool) error {
	if m.header, m.err = parseHeader(m.fields); m.err != nil {
		return m.err
	}
	if !plain || len(m.value) > 0 { // a mark is empty everywhere
		m.count, m.err = countRecords(m.value, plain)
	}
	return m.err
}

// outgoing is one message on its way to the log.
type outgoing struct {
	header
	key    []byte
	value  []byte
	count  int
	fields []field // others' headers
	// pooled tells that value goes back to the pool of buffers once it is written.
	pooled bool
}

// size is about what the message takes in memory and on the wire.
func (m *outgoing) size() int64 {
	size := len(m.key) + len(m.value) + 64
	for _, f := range m.fields {
		size += len(f.key) + len(f.value) + 4
	}
	return int64(size)
}

// mark is an empty message that says how far a source has come.
func mark(seq int64, tick eventtime.Tick) outgoing {
	return outgoing{header: header{seq: seq, tick: tick, end: true}}
}
