package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/flowledger/flowledger/services/internal/simulate"
)

// simulated are the files of a simulation. They get their names only when all
// went well, so that nobody finds half a capture.
type simulated struct {
	capture  io.Writer
	truth    *sink
	expected *sink
	sinks    []*sink
	line     []byte
}

// sink is one output file: buffered, compressed if its name says so.
type sink struct {
	name string
	file *os.File // nil for standard output
	buf  *bufio.Writer
	gz   *gzip.Writer
}

// open makes the files that the flags name.
func (s *simulation) open(stdout io.Writer) (*simulated, error) {
	f := &simulated{}
	fail := func(err error) (*simulated, error) { return nil, f.close(err) }
	capture, err := f.create(s.output, stdout)
	if err != nil {
		return fail(err)
	}
	f.capture = capture
	if s.truth != "" {
		if f.truth, err = f.create(s.truth, stdout); err != nil {
			return fail(err)
		}
	}
	if s.expected != "" {
		if f.expected, err = f.create(s.expected, stdout); err != nil {
			return fail(err)
		}
	}
	return f, nil
}

// create opens one file beside the name it will have.
func (f *simulated) create(name string, stdout io.Writer) (*sink, error) {
	s := &sink{name: name}
	var w = stdout
	if name != "-" {
		file, err := createBeside(name)
		if err != nil {
			return nil, fmt.Errorf("cannot create %s: %w", name, errors.Unwrap(err))
		}
		s.file, w = file, file
	}
	s.buf = bufio.NewWriterSize(w, 1<<18)
	if strings.HasSuffix(name, ".gz") {
		s.gz, _ = gzip.NewWriterLevel(s.buf, gzip.BestSpeed) // the level is valid
	}
	f.sinks = append(f.sinks, s)
	return s, nil
}

// createBeside opens name.part, to be renamed later. What is there and is no
// plain file (a device, a pipe, a link) is never replaced, but written to.
func createBeside(name string) (*os.File, error) {
	if there, err := os.Lstat(name); err == nil && !there.Mode().IsRegular() {
		return os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	}
	return os.Create(name + ".part")
}

func (s *sink) Write(b []byte) (int, error) {
	if s.gz != nil {
		return s.gz.Write(b)
	}
	return s.buf.Write(b)
}

// conversation writes a line of truth.
func (f *simulated) conversation(t *simulate.Truth) error {
	if f.truth == nil {
		return nil
	}
	f.line = t.AppendJSON(f.line[:0])
	_, err := f.truth.Write(f.line)
	return err
}

// expect writes what is to be expected of a scenario that knows.
func (f *simulated) expect(s simulate.Scenario) error {
	t, ok := s.(*simulate.Talk)
	if f.expected == nil || !ok {
		return nil
	}
	return t.Expected().Write(f.expected)
}

// close finishes the files, or removes them after an error.
func (f *simulated) close(err error) error {
	for _, s := range f.sinks {
		if e := s.finish(); e != nil && err == nil {
			err = fmt.Errorf("cannot write %s: %w", s.name, e)
		}
	}
	for _, s := range f.sinks {
		if s.file == nil || s.file.Name() == s.name {
			continue
		}
		if err == nil {
			err = os.Rename(s.file.Name(), s.name)
		} else {
			_ = os.Remove(s.file.Name()) // the first error is the one to tell
		}
	}
	return err
}

// finish writes out what is buffered.
func (s *sink) finish() error {
	var errs []error
	if s.gz != nil {
		errs = append(errs, s.gz.Close())
	}
	errs = append(errs, s.buf.Flush())
	if s.file != nil {
		errs = append(errs, s.file.Close())
	}
	return errors.Join(errs...)
}
