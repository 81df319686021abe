package spool

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Segment is one file of a spool: frames in order.
type Segment struct {
	// Owner is who wrote it.
	Owner string

	dir            string
	number         int64
	bytes, records int64
}

// firstNumber leaves room for segments that come before the first.
const firstNumber int64 = 1 << 32

const suffix = ".spool"

func (g *Segment) path() string {
	return filepath.Join(g.dir, fmt.Sprintf("%012d-%s%s", g.number, url.PathEscape(g.Owner), suffix))
}

// A frame is its length, its checksum, the number of its records, and its bytes.
const frameHeader = 12

// maxFrame bounds what a length may claim.
const maxFrame = 1 << 30

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendFrame(b, frame []byte, records int) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(frame)))
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(frame, castagnoli))
	b = binary.LittleEndian.AppendUint32(b, uint32(records))
	return append(b, frame...)
}

// errTorn is a frame that was not written to its end, or has been damaged since.
var errTorn = errors.New("a frame is torn")

// Each calls f with the frames in order, until it errs. A frame is f's during the
// call. What a damaged segment holds behind the damage is lost, and the error
// says so; the frames before have been f's.
func (g *Segment) Each(f func(frame []byte) error) error {
	file, err := os.Open(g.path())
	if err != nil {
		return fmt.Errorf("cannot read the spool: %w", err)
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, 256<<10)
	var frame []byte
	for {
		frame, _, err = readFrame(r, frame)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("cannot read the spool's %s: %w", filepath.Base(g.path()), err)
		}
		if err := f(frame); err != nil {
			return err
		}
	}
}

// readFrame reads the next frame into memory that may be used again.
func readFrame(r io.Reader, memory []byte) (frame []byte, records int, err error) {
	var h [frameHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = errTorn
		}
		return memory, 0, err
	}
	size := binary.LittleEndian.Uint32(h[:])
	if size > maxFrame {
		return memory, 0, errTorn
	}
	if frame, err = readBytes(r, memory[:0], int(size)); err != nil {
		return frame, 0, err
	}
	if crc32.Checksum(frame, castagnoli) != binary.LittleEndian.Uint32(h[4:]) {
		return frame, 0, errTorn
	}
	return frame, int(binary.LittleEndian.Uint32(h[8:])), nil
}

// readBytes reads n bytes, a piece at a time: a length that lies takes no memory.
func readBytes(r io.Reader, b []byte, n int) ([]byte, error) {
	for len(b) < n {
		piece := min(n-len(b), max(cap(b)-len(b), 64<<10))
		b = slices.Grow(b, piece)
		got, err := io.ReadFull(r, b[len(b):len(b)+piece])
		b = b[:len(b)+got]
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return b, errTorn
		}
		if err != nil {
			return b, err
		}
	}
	return b, nil
}

// find lists what is in the folder. A torn frame at the end of a segment, which a
// process left that died while writing, is cut off.
func (s *Spool) find() error {
	entries, err := os.ReadDir(s.o.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), suffix)
		number, owner, dash := strings.Cut(name, "-")
		n, err := strconv.ParseInt(number, 10, 64)
		if !ok || !dash || err != nil {
			continue // not ours
		}
		if owner, err = url.PathUnescape(owner); err != nil {
			continue
		}
		g := &Segment{Owner: owner, dir: s.o.Dir, number: n}
		if err := g.measure(); err != nil {
			return err
		}
		if g.bytes == 0 {
			_ = os.Remove(g.path())
			continue
		}
		s.segments = append(s.segments, g)
	}
	slices.SortFunc(s.segments, func(a, b *Segment) int { return int(a.number - b.number) })
	return nil
}

// measure counts the frames that are whole and cuts off what follows.
func (g *Segment) measure() error {
	file, err := os.OpenFile(g.path(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	r := bufio.NewReaderSize(file, 256<<10)
	var frame []byte
	for {
		var records int
		frame, records, err = readFrame(r, frame)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errTorn):
			return file.Truncate(g.bytes)
		case err != nil:
			return err
		}
		g.bytes += int64(frameHeader + len(frame))
		g.records += int64(records)
	}
}
