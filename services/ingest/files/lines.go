package files

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxLine is the longest line that is handed on whole; of longer ones, the first
// part is, and the reader's handler refuses it. A batch of CloudWatch's is 1 MiB of
// lines, and an object holds as much again beside them.
const maxLine = 8 << 20

// maxLayers is how often a file may be compressed: what CloudWatch has compressed
// Firehose may compress once more.
const maxLayers = 3

// Form is how a file is written.
type Form uint8

// The forms.
const (
	Plain Form = iota
	Gzip
	Zstd
	Parquet
)

// FormOf tells by the first four bytes.
func FormOf(magic []byte) Form {
	switch {
	case len(magic) >= 2 && magic[0] == 0x1f && magic[1] == 0x8b:
		return Gzip
	case len(magic) >= 4 && binary.LittleEndian.Uint32(magic) == 0xfd2fb528:
		return Zstd
	case len(magic) >= 4 && string(magic[:4]) == "PAR1":
		return Parquet
	}
	return Plain
}

// Lines hands every line of a file to take, without its end. A plain file is read
// on from where it was read to, the lines of its header before; its last line is
// left if it has no end, since somebody may be writing it. It returns how much of
// the file is done with.
func Lines(c Content, f File, take func([]byte) error) (read int64, err error) {
	size, err := c.Size()
	if err != nil {
		return 0, err
	}
	var magic [4]byte
	n, err := c.ReadAt(magic[:], 0)
	if err != nil && err != io.EOF {
		return 0, err
	}
	switch FormOf(magic[:n]) {
	case Parquet:
		return size, parquetLines(c, size, take)
	case Plain:
		if f.Size == 0 {
			f.Size = size // a notification need not tell
		}
		return plainLines(c, f, take)
	}
	return size, Stream(io.NewSectionReader(c, 0, size), take)
}

// Stream hands every line of a plain or compressed stream to take, the last one
// even if it has no end. A line is valid only during the call.
func Stream(in io.Reader, take func([]byte) error) error {
	raw := bufio.NewReaderSize(in, 256<<10)
	plain, closer, err := inflate(raw, maxLayers)
	if err != nil {
		return err
	}
	defer closer()
	s := scanner{r: plain}
	for {
		line, _, err := s.next()
		if len(line) > 0 || err == nil {
			if err := take(line); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// inflate looks at a stream and puts the decompression before it that it needs, up
// to so many layers of it.
func inflate(raw *bufio.Reader, layers int) (*bufio.Reader, func(), error) {
	magic, err := raw.Peek(4)
	if err != nil && err != io.EOF && len(magic) == 0 {
		return nil, nil, err
	}
	var z io.Reader
	closer := func() {}
	switch FormOf(magic) {
	case Gzip:
		in, err := gzip.NewReader(raw)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot decompress: %w", err)
		}
		z, closer = in, func() { in.Close() }
	case Zstd:
		in, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, fmt.Errorf("cannot decompress: %w", err)
		}
		z, closer = in, in.Close
	case Parquet:
		return nil, nil, errors.New("cannot read Parquet from a stream: its table of contents is at the end; give it as a file")
	default:
		return raw, closer, nil
	}
	if layers == 0 {
		closer()
		return nil, nil, fmt.Errorf("cannot decompress: it is compressed more than %d times over", maxLayers)
	}
	plain, inner, err := inflate(bufio.NewReaderSize(z, 256<<10), layers-1)
	if err != nil {
		closer()
		return nil, nil, err
	}
	return plain, func() { inner(); closer() }, nil
}

// plainLines reads a file that may grow, as far as it went when it was found.
func plainLines(c Content, f File, take func([]byte) error) (read int64, err error) {
	read = f.offset
	if read > 0 {
		if err := header(c, read, take); err != nil {
			return read, err
		}
	}
	s := scanner{r: bufio.NewReaderSize(io.NewSectionReader(c, read, f.Size-read), 256<<10)}
	for {
		line, n, err := s.next()
		if err == io.EOF && (n == 0 || !f.whole) {
			return read, nil
		}
		if err != nil && err != io.EOF {
			return read, err
		}
		if err := take(line); err != nil {
			return read, err
		}
		read += n
	}
}

// header hands on the first lines of a file again, as far as they name its
// columns: they begin with a letter or #, and the line before offset is behind them.
func header(c Content, offset int64, take func([]byte) error) error {
	s := scanner{r: bufio.NewReader(io.NewSectionReader(c, 0, offset))}
	for {
		line, _, err := s.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(line) == 0 || line[0] != '#' && (line[0] < 'a' || line[0] > 'z') {
			return nil
		}
		if err := take(line); err != nil {
			return err
		}
	}
}

// scanner cuts a stream into lines, and a line of JSON objects into these: Firehose
// puts one behind the other, so that a file of millions has no end of line.
type scanner struct {
	r   *bufio.Reader
	buf []byte
}

// next is the next line without its end, and how many bytes it took. At io.EOF it
// is what comes after the last end.
func (s *scanner) next() (line []byte, n int64, err error) {
	s.buf = s.buf[:0]
	if b, err := s.r.Peek(1); err == nil && b[0] == '{' {
		return s.object()
	}
	for {
		part, err := s.r.ReadSlice('\n')
		n += int64(len(part))
		if err == nil && len(s.buf) == 0 {
			return bytes.TrimSuffix(part, []byte{'\n'}), n, nil
		}
		s.keep(part)
		if err != bufio.ErrBufferFull {
			return bytes.TrimSuffix(s.buf, []byte{'\n'}), n, err
		}
	}
}

// object is the next object, with the end of the line if that follows. An end of
// line is one of a damaged object, too: what comes after it is spared.
func (s *scanner) object() (object []byte, n int64, err error) {
	var end objectEnd
	for {
		if _, err := s.r.Peek(1); err != nil {
			return s.buf, n, err
		}
		part, _ := s.r.Peek(s.r.Buffered())
		at, ended := end.find(part)
		s.keep(part[:at])
		n += int64(at)
		_, _ = s.r.Discard(at) // it has just been looked at
		if !ended {
			continue
		}
		if object, broken := bytes.CutSuffix(s.buf, []byte{'\n'}); broken {
			return object, n, nil
		}
		if b, err := s.r.Peek(1); err == nil && b[0] == '\n' {
			_, _ = s.r.Discard(1)
			n++
		}
		return s.buf, n, nil
	}
}

// keep adds to what is handed on, as far as lines may go.
func (s *scanner) keep(part []byte) {
	if len(s.buf) < maxLine {
		s.buf = append(s.buf, part...)
	}
}

// objectEnd looks for the end of a JSON object, part by part.
type objectEnd struct {
	depth           int
	quoted, escaped bool
}

// find tells how much of a part belongs to the object, and whether it ends there.
func (e *objectEnd) find(part []byte) (n int, ended bool) {
	for i, c := range part {
		switch {
		case c == '\n':
			return i + 1, true
		case e.escaped:
			e.escaped = false
		case c == '\\':
			e.escaped = e.quoted
		case c == '"':
			e.quoted = !e.quoted
		case e.quoted:
		case c == '{':
			e.depth++
		case c == '}':
			if e.depth--; e.depth == 0 {
				return i + 1, true
			}
		}
	}
	return len(part), false
}
