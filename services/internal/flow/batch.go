package flow

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Message is what the generated fast path of every wire message offers.
type Message interface {
	SizeVT() int
	MarshalToSizedBufferVT(b []byte) (int, error)
}

// AppendDelimited appends m to a batch: its length as a varint, then its bytes
// (protodelim's format).
func AppendDelimited(batch []byte, m Message) []byte {
	if a, ok := m.(appender); ok {
		return a.AppendDelimited(batch)
	}
	return appendGenerated(batch, m)
}

// appendGenerated is the way of the generated code, for any message.
func appendGenerated(batch []byte, m Message) []byte {
	size := m.SizeVT()
	return appendMessage(binary.AppendUvarint(batch, uint64(size)), m, size)
}

// appendMessage writes a message of a known size behind the batch.
func appendMessage(batch []byte, m Message, size int) []byte {
	start := len(batch)
	if cap(batch)-start < size {
		batch = append(batch, make([]byte, size)...)
	} else {
		batch = batch[:start+size]
	}
	if _, err := m.MarshalToSizedBufferVT(batch[start : start+size : start+size]); err != nil {
		panic(fmt.Sprintf("BUG: cannot marshal into a buffer of its own size: %v", err))
	}
	return batch
}

// ErrTruncated says that a batch ends within a message.
var ErrTruncated = errors.New("batch is truncated")

// Next cuts the first message off a batch. At the end of the batch it returns
// nil, nil, nil. The message aliases the batch, and so does its capacity: readers look at
// what lies behind it (Fields.ReadFlow).
func Next(batch []byte) (msg, rest []byte, err error) {
	if len(batch) == 0 {
		return nil, nil, nil
	}
	size, n := binary.Uvarint(batch)
	if n <= 0 || uint64(len(batch)-n) < size {
		return nil, nil, ErrTruncated
	}
	end := n + int(size)
	return batch[n:end], batch[end:], nil
}

// Count is the number of messages in a batch.
func Count(batch []byte) (int, error) {
	n := 0
	for len(batch) > 0 {
		_, rest, err := Next(batch)
		if err != nil {
			return n, err
		}
		batch = rest
		n++
	}
	return n, nil
}

// Skip cuts n messages off the front of a batch.
func Skip(batch []byte, n int) ([]byte, error) {
	for ; n > 0 && len(batch) > 0; n-- {
		_, rest, err := Next(batch)
		if err != nil {
			return nil, err
		}
		batch = rest
	}
	return batch, nil
}
