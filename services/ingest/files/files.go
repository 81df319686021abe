// Package files finds log files where they are put, reads their lines, and
// remembers which it has read, so that none is read twice.
//
//	directory ──╮                 ╭▶ gzip, zstd ─╮
//	S3 bucket ──┼─ Source ─ File ─┼──────────────┼▶ lines ─▶ Handler
//	SQS queue ──╯     ▲           ╰▶ Parquet ────╯              │
//	                  ╰──────────── Done, once they are safe ◀──╯
//
// A file is read to its end before the next one. It is remembered only once the
// handler says that its lines are safe, so a crash reads a file again rather than
// losing it.
package files

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/flowledger/flowledger/services/internal/run"
)

// File is a log file that has not been read, or not to its end.
type File struct {
	// Name is its path, or s3://bucket/key.
	Name     string
	Size     int64
	Modified time.Time
	// offset is how much of a growing file has been read.
	offset int64
	// whole tells that its last line is to be read though it has no end.
	whole bool
	// receipt is what the source needs to remember it.
	receipt any
}

// Source is where files are found.
type Source interface {
	// Poll lists the files that have come, in the order in which to read them. It
	// may wait a while for some.
	Poll(ctx context.Context) ([]File, error)
	// Open opens one of them. The content is whole: what can fail on the way has
	// been done with.
	Open(ctx context.Context, f File) (Content, error)
	// Done remembers that a file has been read up to an offset of its content.
	Done(ctx context.Context, f File, read int64) error
}

// Content is an open file.
type Content interface {
	io.Reader
	io.ReaderAt
	io.Closer
	Size() (int64, error)
}

// Handler takes the lines of one file after another.
type Handler interface {
	// Begin is called before the lines of a file. ErrStop lets the watcher end.
	Begin(f File) error
	// Line takes one line; it is valid only during the call.
	Line(line []byte) error
	// Safe is called after the last line of a file, and returns once everything
	// handed over so far cannot be lost any more.
	Safe(ctx context.Context) error
}

// Metrics counts what happens; any function may be nil.
type Metrics struct {
	// Read is called for every file read, Failed for every file that could not be
	// read to its end and every poll that failed.
	Read   func(f File)
	Failed func(reason string)
}

func (m *Metrics) read(f File) {
	if m.Read != nil {
		m.Read(f)
	}
}

func (m *Metrics) failed(reason string) {
	if m.Failed != nil {
		m.Failed(reason)
	}
}

// Watcher reads what comes to a source until it is told to stop.
type Watcher struct {
	Source  Source
	Handler Handler
	// Interval is how long to wait between polls that found nothing.
	Interval time.Duration
	Log      *slog.Logger
	Metrics  Metrics
}

// oldestFirst is the order in which files are read.
func oldestFirst(a, b File) int {
	return cmp.Or(a.Modified.Compare(b.Modified), strings.Compare(a.Name, b.Name))
}

// ErrStop says that no further file is to be read.
var ErrStop = errors.New("no more files are read")

// Run works until the context ends; the file that is being read then is read to
// its end. What is wrong with a file or a poll is counted and told; only an error
// of the handler, and of remembering, stops it.
func (w *Watcher) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		found, err := w.Source.Poll(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			w.Metrics.failed("poll")
			w.Log.Error("cannot look for log files; trying again", "error", err.Error())
		}
		moved := false
		for _, f := range found {
			if ctx.Err() != nil {
				return nil
			}
			read, err := w.read(ctx, f)
			if errors.Is(err, ErrStop) {
				return nil
			}
			if err != nil {
				return err
			}
			moved = moved || read
		}
		if !moved {
			_ = run.Pause(ctx, w.Interval) // the loop asks the context
		}
	}
	return nil
}

// handlerError is an error of the handler, which stops everything.
type handlerError struct{ error }

func (e handlerError) Unwrap() error { return e.error }

// read reads one file and has it remembered. A file that breaks off is not read
// again: its lines up to there have been handed over. A file that has been begun
// is finished, even if the context ends.
func (w *Watcher) read(ctx context.Context, f File) (moved bool, err error) {
	c, err := w.Source.Open(ctx, f)
	if errors.Is(err, fs.ErrNotExist) {
		w.Metrics.failed("gone")
		w.Log.Warn("a log file is gone before it was read", "file", f.Name)
		return true, w.done(ctx, f, 0)
	}
	if err != nil {
		w.Metrics.failed("open")
		w.Log.Error("cannot open a log file; trying again at the next poll", "file", f.Name, "error", err.Error())
		return false, nil
	}
	defer c.Close()
	if err := w.Handler.Begin(f); err != nil {
		return false, err
	}
	n, err := Lines(c, f, func(line []byte) error {
		if err := w.Handler.Line(line); err != nil {
			return handlerError{err}
		}
		return nil
	})
	if fatal := (handlerError{}); errors.As(err, &fatal) {
		return false, fatal.error
	}
	if err != nil {
		w.Metrics.failed("read")
		w.Log.Error("a log file breaks off; what could be read of it has been used", "file", f.Name, "error", err.Error())
	}
	if err := w.Handler.Safe(context.WithoutCancel(ctx)); err != nil {
		return false, err
	}
	w.Metrics.read(f)
	return true, w.done(context.WithoutCancel(ctx), f, n)
}

func (w *Watcher) done(ctx context.Context, f File, read int64) error {
	if err := w.Source.Done(ctx, f, read); err != nil {
		return fmt.Errorf("cannot remember that %s has been read: %w", f.Name, err)
	}
	return nil
}
