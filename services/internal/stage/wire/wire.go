// Package wire speaks the two requests of Kafka in which all the bytes go, produce
// and fetch. kafka-go finds brokers, connects, authenticates and does everything
// else; its own way for these two copies every record four times and allocates for
// every header, which was a third of what a stage took.
//
//	Produce: records ─▶ record batch, compressed ─▶ one write of the whole request
//	Fetch:   one read of the whole record set ─▶ Batches ─▶ Batch ─▶ Record, all slices of it
//
// Format: https://kafka.apache.org/protocol (no flexible versions) and
// https://kafka.apache.org/documentation/#recordbatch (magic 2, Kafka 0.11 and later).
package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// ClientID is the name under which requests are made.
const ClientID = "flowledger"

// Conns are connections to the brokers of a cluster: a kafka.Transport.
type Conns struct {
	Transport kafka.RoundTripper
	Addr      net.Addr
}

// Versions of the requests that are written here. What brokers speak at least is
// Kafka 0.11: before, records had no headers.
const (
	produceLeast = 3
	fetchLeast   = 4
)

// errOld is a broker that we cannot talk to.
var errOld = errors.New("the broker is older than Kafka 0.11")

// exchange is one request that is written and answered in bytes. kafka-go finds the
// broker for it and calls it with a connection, in a goroutine of its own: one that
// outlives the request if its context ends early.
type exchange struct {
	route
	version int16
	run     func(conn io.ReadWriter, version int16) (protocol.Message, error)
}

// route is kafka-go's own request, which knows which broker it is for.
type route interface {
	protocol.Message
	protocol.BrokerMessage
}

// Required notes the version that both sides speak; the answer is that kafka-go is to
// leave the connection to us.
func (x *exchange) Required(versions map[protocol.ApiKey]int16) bool {
	x.version = versions[x.ApiKey()]
	return true
}

// RawExchange writes the request and reads the answer.
func (x *exchange) RawExchange(conn io.ReadWriter) (protocol.Message, error) {
	return x.run(conn, x.version)
}

var _ protocol.RawExchanger = (*exchange)(nil)

func (c *Conns) exchange(ctx context.Context, x *exchange) (protocol.Message, error) {
	return c.Transport.RoundTrip(ctx, c.Addr, x)
}

// answer is the body of a response, read as it is parsed. After the first error it
// gives zeroes.
type answer struct {
	r    io.Reader
	left int
	err  error
	buf  [8]byte
}

// largestAnswer bounds what a broker may answer: far more than is asked for.
const largestAnswer = 1 << 30

var errAnswer = errors.New("the broker's answer makes no sense")

// newAnswer begins to read a response, past its correlation id. On a connection of
// kafka-go there is one request at a time, so there is nothing to tell apart.
func newAnswer(r io.Reader) *answer {
	a := &answer{r: r, left: 8}
	size := a.int32()
	a.int32()
	if a.err == nil && (size < 4 || size > largestAnswer) {
		a.err = errAnswer
	}
	a.left = int(size) - 4
	return a
}

func (a *answer) bytes(n int) []byte {
	if a.err == nil && n > a.left {
		a.err = errAnswer
	}
	b := a.buf[:n]
	if a.err != nil {
		clear(b)
		return b
	}
	a.left -= n
	if _, a.err = io.ReadFull(a.r, b); a.err != nil {
		a.err = fmt.Errorf("cannot read the broker's answer: %w", a.err)
		clear(b)
	}
	return b
}

func (a *answer) int16() int16 { return int16(binary.BigEndian.Uint16(a.bytes(2))) }
func (a *answer) int32() int32 { return int32(binary.BigEndian.Uint32(a.bytes(4))) }
func (a *answer) int64() int64 { return int64(binary.BigEndian.Uint64(a.bytes(8))) }

// into reads n bytes to where they belong.
func (a *answer) into(b []byte) {
	if a.err == nil && len(b) > a.left {
		a.err = errAnswer
	}
	if a.err != nil {
		return
	}
	a.left -= len(b)
	if _, a.err = io.ReadFull(a.r, b); a.err != nil {
		a.err = fmt.Errorf("cannot read the broker's answer: %w", a.err)
	}
}

func (a *answer) skip(n int) {
	if a.err == nil && (n < 0 || n > a.left) {
		a.err = errAnswer
	}
	if a.err != nil {
		return
	}
	a.left -= n
	_, a.err = io.CopyN(io.Discard, a.r, int64(n))
}

// string reads a text, none as an empty one.
func (a *answer) string() string {
	n := int(a.int16())
	if n <= 0 || n > a.left {
		if n > 0 {
			a.fail()
		}
		return ""
	}
	b := make([]byte, n)
	a.into(b)
	return string(b)
}

// fail says that the answer makes no sense.
func (a *answer) fail() {
	if a.err == nil {
		a.err = errAnswer
	}
}

// one tells that an array has one element, as an answer about one partition has.
func (a *answer) one() bool {
	if n := a.int32(); a.err == nil && n != 1 {
		a.err = fmt.Errorf("%w: it speaks of %d topics or partitions instead of one", errAnswer, n)
	}
	return a.err == nil
}

// end reads on to the end of the answer, so that the connection can be used again.
func (a *answer) end() error {
	if a.err == nil && a.left > 0 {
		a.skip(a.left)
	}
	return a.err
}

// codeError is the error of a broker's code, nil for 0.
func codeError(code int16) error {
	if code == 0 {
		return nil
	}
	return kafka.Error(code)
}

func appendString(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

func appendInt32(b []byte, n int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }
func appendInt64(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }
func appendInt16(b []byte, n int16) []byte { return binary.BigEndian.AppendUint16(b, uint16(n)) }
