package stage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// spooled is a message of a source as it waits on disk: all that its lane needs.
type spooled struct {
	topic     string // catalogue name
	partition int
	outgoing
}

// Bits of a spooled message's flags.
const (
	spooledEnd = 1 << iota
	spooledStop
	spooledEndOfInput
	spooledKey
)

// append writes a message behind b, numbers as varints, texts with their lengths.
func (m *spooled) append(b []byte) []byte {
	flags := byte(0)
	if m.end {
		flags |= spooledEnd
	}
	switch m.bye {
	case ByeStop:
		flags |= spooledStop
	case ByeEndOfInput:
		flags |= spooledEndOfInput
	}
	if m.key != nil {
		flags |= spooledKey
	}
	b = append(b, flags)
	b = appendText(b, m.topic)
	for _, n := range []uint64{uint64(m.partition), uint64(m.seq), uint64(m.tick), uint64(m.count), uint64(len(m.fields))} {
		b = binary.AppendUvarint(b, n)
	}
	for _, f := range m.fields {
		b = appendText(appendText(b, f.key), f.value)
	}
	if m.key != nil {
		b = appendText(b, m.key)
	}
	return appendText(b, m.value)
}

func appendText[T string | []byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// errSpooled is a frame that this program did not write.
var errSpooled = errors.New("what was spooled cannot be read")

// nextSpooled cuts the first message off a frame. What it holds is its own.
func nextSpooled(b []byte) (m spooled, rest []byte, err error) {
	r := spoolReader{b: b}
	flags := r.byte()
	m.topic = string(r.text())
	partition, seq, tick, count, fields := r.number(), r.number(), r.number(), r.number(), r.number()
	if fields > uint64(len(r.b)) {
		r.bad = true
	}
	for i := uint64(0); i < fields && !r.bad; i++ {
		m.fields = append(m.fields, field{string(r.text()), r.own()})
	}
	if flags&spooledKey != 0 {
		m.key = r.own()
	}
	m.value = r.own()
	if r.bad || partition >= maxPartitions || seq > 1<<62 || tick > uint64(maxTick) || count > uint64(len(m.value))+1 {
		return spooled{}, nil, errSpooled
	}
	m.partition, m.seq, m.tick, m.count = int(partition), int64(seq), eventtime.Tick(tick), int(count)
	m.end = flags&spooledEnd != 0
	switch {
	case flags&spooledStop != 0:
		m.bye = ByeStop
	case flags&spooledEndOfInput != 0:
		m.bye = ByeEndOfInput
	}
	return m, r.b, nil
}

// spoolReader reads a frame; bad says that it ended early.
type spoolReader struct {
	b   []byte
	bad bool
}

func (r *spoolReader) byte() (c byte) {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c, r.b = r.b[0], r.b[1:]
	return c
}

func (r *spoolReader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *spoolReader) text() (s []byte) {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	s, r.b = r.b[:n], r.b[n:]
	return s
}

// own is a text in memory of its own, never nil.
func (r *spoolReader) own() []byte { return append([]byte{}, r.text()...) }

// topicOf is where the source keeps a message's topic.
func (s *Source) topicOf(m *spooled) (int, error) {
	t := slices.Index(s.topics, m.topic)
	switch {
	case t < 0:
		return 0, fmt.Errorf("%w: topic %q is none of this source's", errSpooled, m.topic)
	case m.partition >= s.counts[t]:
		return 0, fmt.Errorf("%w: %s has no partition %d", errSpooled, m.topic, m.partition)
	}
	return t, nil
}
