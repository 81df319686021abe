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
// part is, and the reader's handler refuses it.
const maxLine = 2 << 20

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
	plain, closer, err := inflate(raw)
	if err != nil {
		return err
	}
	defer closer()
	s := scanner{r: bufio.NewReaderSize(plain, 256<<10)}
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

// inflate looks at a stream and puts the decompression before it that it needs.
func inflate(raw *bufio.Reader) (io.Reader, func(), error) {
	magic, err := raw.Peek(4)
	if err != nil && err != io.EOF {
		return nil, nil, err
	}
	switch FormOf(magic) {
	case Gzip:
		z, err := gzip.NewReader(raw)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot decompress: %w", err)
		}
		return z, func() { z.Close() }, nil
	case Zstd:
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, fmt.Errorf("cannot decompress: %w", err)
		}
		return z, z.Close, nil
	case Parquet:
		return nil, nil, errors.New("cannot read Parquet from a stream: its table of contents is at the end; give it as a file")
	}
	return raw, func() {}, nil
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

// scanner cuts a stream into lines.
type scanner struct {
	r   *bufio.Reader
	buf []byte
}

// next is the next line without its end, and how many bytes it took. At io.EOF it
// is what comes after the last end.
func (s *scanner) next() (line []byte, n int64, err error) {
	s.buf = s.buf[:0]
	for {
		part, err := s.r.ReadSlice('\n')
		n += int64(len(part))
		if err == nil && len(s.buf) == 0 {
			return bytes.TrimSuffix(part, []byte{'\n'}), n, nil
		}
		if len(s.buf) < maxLine {
			s.buf = append(s.buf, part...)
		}
		if err != bufio.ErrBufferFull {
			return bytes.TrimSuffix(s.buf, []byte{'\n'}), n, err
		}
	}
}
