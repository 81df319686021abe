package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flowledger/flowledger/services/ingest/files"
	"github.com/flowledger/flowledger/services/ingest/normalize"
	"github.com/flowledger/flowledger/services/ingest/vpc"
	"github.com/flowledger/flowledger/services/ingest/zeek"
	"github.com/flowledger/flowledger/services/internal/capture"
	"github.com/flowledger/flowledger/services/internal/pipeline"
)

// logSettings is how logs are read.
type logSettings struct{ vpcFormat string }

func (s *logSettings) addFlags(c *cobra.Command) {
	c.Flags().StringVar(&s.vpcFormat, "vpc-format", "", "format of VPC flow logs without a header line, as given to AWS: '${version} ${account-id} …' (default: AWS's default format)")
}

// logs are the lines of the logs among the inputs, in order of time. The lines
// themselves are kept: records would take several times the memory.
type logs struct {
	vpc     *vpc.Parser
	zeek    *zeek.Parser
	files   int
	entries []entry
	next    int
	failed  []error
	// passed are files in folders that are neither capture nor log.
	passed int
}

// entry is a line, and what is needed to read it out of turn.
type entry struct {
	ns   uint64
	line []byte
	vpc  vpc.Position
	zeek zeek.Position
	// dns tells that it is Zeek's.
	dns bool
}

// openAll tells logs from captures, reads the logs and opens the captures, which
// are what is left in r.files. Folders stand for what is in them.
func (r *runner) openAll() (*logs, *capture.Reader, error) {
	cfg := vpc.Default()
	cfg.Format = r.logs.vpcFormat
	if err := cfg.Validate(); err != nil {
		return nil, nil, usageError{fmt.Errorf("--vpc-format: %w", err)}
	}
	l := &logs{vpc: vpc.New(cfg), zeek: zeek.New(zeek.Default())}
	var captures []string
	for _, path := range r.files {
		var isCapture []string
		var err error
		if path == "-" {
			isCapture, r.stdin, err = l.addStdin(cfg)
		} else {
			isCapture, err = l.add(cfg, path)
		}
		if err != nil {
			return nil, nil, err
		}
		captures = append(captures, isCapture...)
	}
	r.files = captures
	slices.SortStableFunc(l.entries, func(a, b entry) int { return cmp.Compare(a.ns, b.ns) })
	reader, err := r.open()
	return l, reader, err
}

// add takes in a log, or the logs of a folder, and returns what is a capture.
func (l *logs) add(cfg vpc.Config, path string) (captures []string, err error) {
	st, err := os.Stat(path)
	if err != nil || !st.IsDir() {
		if k, err := l.addFile(cfg, path); err == nil && (k == kindVPC || k == kindZeek) {
			return nil, nil
		}
		return []string{path}, nil // the reader of captures knows what to say
	}
	err = filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			return err
		}
		k, err := l.addFile(cfg, p)
		switch {
		case err != nil:
			l.failed = append(l.failed, err)
		case k == kindCapture:
			captures = append(captures, p)
		case k == kindOther:
			l.passed++
		}
		return nil
	})
	if err == nil && l.files == 0 && len(captures) == 0 {
		err = fmt.Errorf("cannot find a capture or a log in %s", path)
	}
	return captures, err
}

// kind is what a file is.
type kind uint8

const (
	kindOther kind = iota
	kindCapture
	kindVPC
	kindZeek
)

// headBytes is how much of a file is looked at: several lines of the longest sort.
const headBytes = 64 << 10

// kindOf looks at the beginning of a file, decompressed.
func kindOf(cfg vpc.Config, head []byte) kind {
	switch {
	case capture.Recognize(head):
		return kindCapture
	case files.FormOf(head) == files.Parquet:
		return kindVPC
	}
	if at := bytes.LastIndexByte(head, '\n'); at >= 0 && len(head) == headBytes {
		head = head[:at+1] // a line cut short is none
	}
	switch {
	case vpc.Recognize(cfg, head):
		return kindVPC
	case zeek.Recognize(head):
		return kindZeek
	}
	return kindOther
}

// addFile reads a file if it is a log.
func (l *logs) addFile(cfg vpc.Config, path string) (kind, error) {
	f, err := files.Open(path)
	if err != nil {
		return kindOther, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil || size == 0 {
		return kindOther, err
	}
	head, err := files.Head(io.NewSectionReader(f, 0, size), headBytes)
	k := kindOf(cfg, head)
	if k != kindVPC && k != kindZeek {
		return k, err
	}
	l.begin()
	if _, err := files.Lines(f, files.Whole(path, size), l.taker(k)); err != nil {
		l.failed = append(l.failed, fmt.Errorf("%s breaks off: %w; what could be read of it has been used", path, err))
	}
	return k, nil
}

// addStdin reads a log from standard input. A capture is handed on as rest, with
// what has been looked at before it.
func (l *logs) addStdin(cfg vpc.Config) (captures []string, rest io.Reader, err error) {
	in := os.Stdin
	if st, err := in.Stat(); err != nil || st.Mode()&os.ModeCharDevice != 0 {
		return []string{"-"}, in, nil
	}
	head := make([]byte, headBytes)
	n, err := io.ReadFull(in, head[:4])
	if err == nil && kindOf(cfg, head[:4]) != kindCapture { // one is not kept waiting
		var more int
		more, err = io.ReadFull(in, head[4:])
		n += more
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, fmt.Errorf("cannot read standard input: %w", err)
	}
	head = head[:n]
	plain, _ := files.Head(bytes.NewReader(head), headBytes) // of a compressed stream, as much as there is
	k := kindOf(cfg, plain)
	all := io.MultiReader(bytes.NewReader(head), in)
	if k == kindVPC || k == kindZeek {
		l.begin()
		if err := files.Stream(all, l.taker(k)); err != nil {
			l.failed = append(l.failed, fmt.Errorf("standard input breaks off: %w", err))
		}
		return nil, nil, nil
	}
	return []string{"-"}, all, nil
}

func (l *logs) begin() {
	l.files++
	l.vpc.Begin()
	l.zeek.Begin()
}

// taker keeps the lines of a file of a kind. Lines without a time of their own
// have that of the one before.
func (l *logs) taker(k kind) func([]byte) error {
	first, last := len(l.entries), uint64(0)
	keep := func(line []byte) error {
		e := entry{dns: k == kindZeek}
		var ns uint64
		var ok bool
		if e.dns {
			e.zeek = l.zeek.Position()
			ns, ok = l.zeek.EndNs(line)
		} else {
			e.vpc = l.vpc.Position()
			ns, ok = l.vpc.EndNs(line)
		}
		if ok && last == 0 {
			for i := first; i < len(l.entries); i++ {
				l.entries[i].ns = ns
			}
		}
		if ok {
			last = ns
		}
		e.ns, e.line = last, bytes.Clone(line)
		l.entries = append(l.entries, e)
		return nil
	}
	if k == kindVPC {
		return func(line []byte) error { return vpc.Lines(line, keep) }
	}
	return keep
}

// until runs the lines up to a time through the pipeline. A line is received at
// the end of its interval, or when what came before it was.
func (l *logs) until(ns uint64, p *pipeline.Pipeline) {
	for ; l.next < len(l.entries) && l.entries[l.next].ns <= ns; l.next++ {
		e := &l.entries[l.next]
		p.External(e.ns, func(out *normalize.Result) {
			if e.dns {
				l.zeek.Seek(e.zeek)
				l.zeek.Line(e.line, e.ns, out)
				return
			}
			l.vpc.Seek(e.vpc)
			l.vpc.Line(e.line, e.ns, out)
		})
	}
}

// print writes what was in the logs, for people.
func (l *logs) print(w io.Writer) {
	if l.files == 0 {
		return
	}
	v, z := l.vpc.Statistics(), l.zeek.Statistics()
	fmt.Fprintf(w, "%s\n", plural(uint64(l.files), "log"))
	for _, x := range []struct {
		lines uint64
		what  string
		of    []string
	}{
		{v.Lines, "VPC lines", nonzero(v.Flows, "flow", v.NoData, "NODATA", v.SkipData, "SKIPDATA", v.Headers, "header", v.Dead, "dead")},
		{z.Lines, "DNS lines", nonzero(z.Answered, "answered", z.Other, "without answer or question", z.Headers, "header", z.Dead, "dead")},
	} {
		if x.lines > 0 {
			fmt.Fprintf(w, "  %-13s %12s  %s\n", x.what, count(x.lines), strings.Join(x.of, ", "))
		}
	}
}

// nonzero lists pairs of a count and what is counted.
func nonzero(pairs ...any) (out []string) {
	for i := 0; i < len(pairs); i += 2 {
		if n := pairs[i].(uint64); n > 0 {
			out = append(out, count(n)+" "+pairs[i+1].(string))
		}
	}
	return out
}

// remarks says what a reader of the results should know about the logs.
func (l *logs) remarks() (out []string) {
	if n := l.vpc.Statistics().SkipData; n > 0 {
		out = append(out, fmt.Sprintf("AWS lost records of %s (SKIPDATA): what is not here may have happened all the same", plural(n, "interval")))
	}
	if l.passed > 0 {
		out = append(out, plural(uint64(l.passed), "file")+" neither capture nor log, passed over")
	}
	return out
}

// err is what went wrong with files while others were read.
func (l *logs) err() error { return errors.Join(l.failed...) }
