//go:build linux && (amd64 || arm64)

package chdb

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"unsafe"
)

// Engine is the process's ClickHouse engine, open on one data folder.
type Engine struct {
	lib    *library
	dir    string
	anchor *Conn // keeps the engine up: it stops with its last connection
}

// running guards that the process has at most one open engine.
var running struct {
	sync.Mutex
	open bool
}

// Open loads the library and starts the engine of this process on the data
// folder dir, which is made if need be.
func Open(libraryPath, dir string) (*Engine, error) {
	running.Lock()
	defer running.Unlock()
	if running.open {
		return nil, errors.New("this process already runs a ClickHouse engine (one process has one): close it first")
	}
	lib, err := load(libraryPath)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the ledger's data folder: %w", err)
	}
	e := &Engine{lib: lib, dir: dir}
	if e.anchor, err = e.Connect(); err != nil {
		return nil, err
	}
	running.open = true
	return e, nil
}

// Version is the library's release.
func (e *Engine) Version() string { return e.lib.version() }

// Close stops the engine. All connections must have been closed. The library's
// own chdb_shutdown is not called: after it the process could open no engine
// again.
func (e *Engine) Close() {
	running.Lock()
	defer running.Unlock()
	e.anchor.Close()
	running.open = false
}

// connecting serialises opening and closing connections: the first starts the
// engine, the last stops it, and each touches the process's signal handlers.
var connecting sync.Mutex

// Connect opens a session.
func (e *Engine) Connect() (*Conn, error) {
	connecting.Lock()
	defer connecting.Unlock()
	args := []string{"clickhouse", "--path=" + e.dir}
	var pins runtime.Pinner
	defer pins.Unpin()
	argv := make([]unsafe.Pointer, 0, len(args)+1)
	for _, arg := range args {
		p := text(arg)
		pins.Pin(p)
		argv = append(argv, p)
	}
	argv = append(argv, nil)
	var handle unsafe.Pointer
	keepSignals(func() { handle = e.lib.connect(int32(len(args)), array(argv)) })
	if handle == nil {
		return nil, fmt.Errorf("the ClickHouse engine could not open %s: is another process using the folder, or was it written by a newer release?", e.dir)
	}
	c := &Conn{lib: e.lib, handle: handle}
	return c, c.likeServer()
}
