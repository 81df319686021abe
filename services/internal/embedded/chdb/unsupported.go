//go:build !linux || !(amd64 || arm64)

package chdb

import (
	"errors"
	"io"
)

// errPlatform is what every call answers where no engine can be loaded.
var errPlatform = errors.New("there is no embedded ClickHouse engine for this platform (there is for Linux, amd64 and arm64): put a `clickhouse` binary on PATH, or set CLICKHOUSE_ADDR=host:port")

// Engine cannot be opened on this platform.
type Engine struct{}

// Conn cannot be opened on this platform.
type Conn struct{}

// Result does not occur on this platform.
type Result struct{}

// Param is one query parameter.
type Param struct{ Name, Value string }

// Stats say what a statement read and wrote.
type Stats struct {
	RowsRead, BytesRead, RowsWritten, BytesWritten uint64
}

// Open fails.
func Open(string, string) (*Engine, error) { return nil, errPlatform }

// Version is empty.
func (*Engine) Version() string { return "" }

// Close does nothing.
func (*Engine) Close() {}

// Connect fails.
func (*Engine) Connect() (*Conn, error) { return nil, errPlatform }

// Close does nothing.
func (*Conn) Close() {}

// Query fails.
func (*Conn) Query([]byte, string, []Param) (*Result, error) { return nil, errPlatform }

// Insert fails.
func (*Conn) Insert(string, string, []Param, io.Reader) (Stats, error) { return Stats{}, errPlatform }

// Bytes is empty.
func (*Result) Bytes() []byte { return nil }

// Stats is zero.
func (*Result) Stats() Stats { return Stats{} }

// Close does nothing.
func (*Result) Close() {}
