package main

import (
	"context"
	"sync"

	"github.com/flowledger/flowledger/services/ingest/files"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/internal/dispatch"
)

// resultRecords is after how many records they are handed over; what is one line to
// the reader may hold thousands.
const resultRecords = 256

// logHandler takes the lines of one file at a time.
type logHandler struct {
	logs  *logs
	kind  string
	line  func([]byte, uint64, *normalize.Result)
	begin func()
	feed  dispatch.Sink

	mu     sync.Mutex
	result normalize.Result
}

// Begin implements files.Handler. Watchers of several places take turns: the file
// of one is read to its end before that of another.
func (h *logHandler) Begin(f files.File) error {
	h.mu.Lock()
	if err := h.logs.enter(); err != nil {
		h.mu.Unlock()
		return err
	}
	h.begin()
	h.logs.log.Debug("reading", "file", f.Name, "kind", h.kind)
	return nil
}

// Line implements files.Handler.
func (h *logHandler) Line(line []byte) error {
	h.line(line, h.logs.clock.ns(), &h.result)
	if h.result.DataRecords < resultRecords {
		return nil
	}
	err := h.hand()
	if err != nil {
		h.leave()
	}
	return err
}

// leave lets the next file be begun, and the service stop.
func (h *logHandler) leave() {
	h.mu.Unlock()
	h.logs.reading.Done()
}

func (h *logHandler) hand() error { return hand(&h.result, h.logs.metrics, h.feed) }

// Safe implements files.Handler. When the service stops, everything is safe once
// it has signed off.
func (h *logHandler) Safe(ctx context.Context) error {
	err := h.hand()
	h.leave()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	written := make(chan error, 1)
	go func() { written <- h.logs.written(ctx) }()
	select {
	case err = <-written:
		cancel()
	case <-h.logs.signedOff:
		cancel()
		<-written //nolint:errcheck // only its end matters: the sign-off has settled the rest
		return h.logs.signOffErr
	}
	if err == nil {
		return nil
	}
	<-h.logs.signedOff // the source has ended before it was asked
	return h.logs.signOffErr
}
