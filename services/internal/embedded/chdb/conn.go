//go:build linux && (amd64 || arm64)

package chdb

import (
	"errors"
	"runtime"
	"unsafe"
)

// Conn is one session with the engine, for one goroutine at a time.
type Conn struct {
	lib    *library
	handle unsafe.Pointer // chdb_connection *
}

// conn is the chdb_connection that the handle points to.
func (c *Conn) conn() unsafe.Pointer { return *(*unsafe.Pointer)(c.handle) }

// Close ends the session.
func (c *Conn) Close() {
	connecting.Lock()
	defer connecting.Unlock()
	keepSignals(func() { c.lib.closeConn(c.handle) })
}

// likeServer makes the session read statements as a ClickHouse server does
// (libchdb takes a bare expression for a SELECT), and turns the sampling query
// profiler off, whose signals Go's runtime does not expect.
func (c *Conn) likeServer() error {
	r, err := c.Query([]byte("SET implicit_select = 0, query_profiler_real_time_period_ns = 0, query_profiler_cpu_time_period_ns = 0"), "Null", nil)
	if err != nil {
		return err
	}
	r.Close()
	return nil
}

// Stats say what a statement read and wrote.
type Stats struct {
	RowsRead, BytesRead, RowsWritten, BytesWritten uint64
}

// Result is a statement's whole answer. Its bytes live in the library's memory
// until Close.
type Result struct {
	lib    *library
	handle unsafe.Pointer
}

// Query runs one statement, with data of an INSERT behind it if so written, and
// returns its answer in the given output format, which a FORMAT clause of the
// statement overrides. The error is ClickHouse's message ("Code: 60. DB::…").
func (c *Conn) Query(sql []byte, format string, list []Param) (*Result, error) {
	p := newParams(list)
	defer p.pins.Unpin()
	handle := c.lib.query(c.conn(), array(sql), uintptr(len(sql)), text(format), uintptr(len(format)),
		array(p.names), array(p.nameLens), array(p.values), array(p.valueLens), uintptr(len(list)))
	runtime.KeepAlive(p)
	return c.result(handle)
}

func (c *Conn) result(handle unsafe.Pointer) (*Result, error) {
	if handle == nil {
		return nil, errors.New("the ClickHouse engine gave no answer")
	}
	r := &Result{lib: c.lib, handle: handle}
	if message := c.lib.resultError(handle); message != "" {
		r.Close()
		return nil, errors.New(message)
	}
	return r, nil
}

// Bytes is the answer, valid until Close.
func (r *Result) Bytes() []byte {
	length := r.lib.resultLength(r.handle)
	if length == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(r.lib.resultBuffer(r.handle)), length)
}

// Stats tells what the statement read and wrote.
func (r *Result) Stats() Stats {
	return Stats{
		RowsRead: r.lib.rowsRead(r.handle), BytesRead: r.lib.bytesRead(r.handle),
		RowsWritten: r.lib.rowsWritten(r.handle), BytesWritten: r.lib.bytesWritten(r.handle),
	}
}

// Close frees the answer.
func (r *Result) Close() { r.lib.destroyResult(r.handle) }
