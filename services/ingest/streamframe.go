package main

import (
	"encoding/binary"
	"errors"
	"io"
)

// What ends a stream of messages before its time.
var (
	errNotIPFIX  = errors.New("what comes is no IPFIX: a message begins with version 10")
	errLength    = errors.New("a message claims to be shorter than its header")
	errTruncated = errors.New("the connection ended within a message")
)

const (
	// ipfixHeader is the length of a message's header, ipfixLengthEnd where in it
	// version and length have been read (RFC 7011 §3.1).
	ipfixHeader    = 16
	ipfixLengthEnd = 4
	// firstFrame is how much is read at a time, unless a message needs more.
	firstFrame = 16 << 10
)

// framer cuts a stream into IPFIX messages by the lengths in their headers: there
// is nothing between them (RFC 7011 §10.4). Once a header is wrong, nobody knows
// where the next message begins; so that is the end.
type framer struct {
	from io.Reader
	// buf holds what was read and not yet given out: start to end. A length has 16
	// bits, so it never outgrows 64 KiB.
	buf        []byte
	start, end int
}

// next returns the next message; it is valid until the next call. At the end of a
// stream that ends with a message the error is io.EOF.
func (f *framer) next() ([]byte, error) {
	if err := f.need(ipfixLengthEnd); err != nil {
		return nil, err
	}
	head := f.buf[f.start:]
	length := int(binary.BigEndian.Uint16(head[2:]))
	switch {
	case binary.BigEndian.Uint16(head) != 10:
		return nil, errNotIPFIX
	case length < ipfixHeader:
		return nil, errLength
	}
	if err := f.need(length); err != nil {
		return nil, err
	}
	message := f.buf[f.start : f.start+length]
	f.start += length
	return message, nil
}

// partial tells that the beginning of a message is here, and not its end.
func (f *framer) partial() bool { return f.start < f.end }

// need reads until n bytes are here.
func (f *framer) need(n int) error {
	for f.end-f.start < n {
		f.makeRoom(n)
		got, err := f.from.Read(f.buf[f.end:])
		f.end += got
		switch {
		case f.end-f.start >= n:
		case errors.Is(err, io.EOF) && f.partial():
			return errTruncated
		case err != nil:
			return err
		}
	}
	return nil
}

// makeRoom moves what is here to the front, where n bytes from there on fit.
func (f *framer) makeRoom(n int) {
	if len(f.buf) >= f.start+n && f.start < f.end {
		return
	}
	to := f.buf
	if len(to) < n {
		to = make([]byte, max(n, firstFrame))
	}
	f.end = copy(to, f.buf[f.start:f.end])
	f.buf, f.start = to, 0
}
