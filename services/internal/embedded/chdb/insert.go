//go:build linux && (amd64 || arm64)

package chdb

import (
	"errors"
	"io"
	"runtime"
	"unsafe"
)

// insertChunk is how much of an INSERT's data goes to the engine in one call.
const insertChunk = 1 << 20

// Insert runs an INSERT statement (without FORMAT clause and data) whose data,
// in the given format, is read from data. If reading fails the insert is
// cancelled.
func (c *Conn) Insert(sql, format string, list []Param, data io.Reader) (Stats, error) {
	p := newParams(list)
	defer p.pins.Unpin()
	stream := c.lib.insert(c.conn(), text(sql), uintptr(len(sql)), text(format), uintptr(len(format)),
		array(p.names), array(p.nameLens), array(p.values), array(p.valueLens), uintptr(len(list)))
	runtime.KeepAlive(p)
	if stream == nil {
		return Stats{}, errors.New("the ClickHouse engine did not begin the insert")
	}
	defer c.lib.destroyInsert(stream)
	if message := c.lib.insertError(stream); message != "" {
		return Stats{}, errors.New(message)
	}
	if err := c.send(stream, data); err != nil {
		return Stats{}, err
	}
	result, err := c.result(c.lib.insertDone(stream))
	if err != nil {
		return Stats{}, err
	}
	defer result.Close()
	return result.Stats(), nil
}

// send appends the data in pieces of insertChunk.
func (c *Conn) send(stream unsafe.Pointer, data io.Reader) error {
	buffer := make([]byte, insertChunk)
	for {
		n, err := fill(data, buffer)
		if n > 0 && c.lib.insertAppend(stream, array(buffer), uintptr(n)) != 0 {
			return errors.New(c.lib.insertError(stream))
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			c.lib.insertCancel(stream)
			return err
		}
	}
}

// fill reads until the buffer is full or the reader ends. Unlike io.ReadFull it
// hands on the reader's own error: io.ErrUnexpectedEOF must mean that the data
// was cut off, since half an insert must not be committed.
func fill(data io.Reader, buffer []byte) (n int, err error) {
	for n < len(buffer) && err == nil {
		var read int
		read, err = data.Read(buffer[n:])
		n += read
	}
	return n, err
}
