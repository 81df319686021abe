package files

import (
	"bufio"
	"errors"
	"io"
)

// Open opens a file on this machine.
func Open(path string) (Content, error) { return openLocal(path) }

// Whole is a file that is read from its beginning to its very end.
func Whole(name string, size int64) File { return File{Name: name, Size: size, whole: true} }

// Head is the beginning of a file or stream, decompressed, up to n bytes. Of what
// cannot be decompressed that far it is as much as can.
func Head(in io.Reader, n int) ([]byte, error) {
	raw := bufio.NewReaderSize(in, 64<<10)
	magic, _ := raw.Peek(4)
	if FormOf(magic) == Parquet {
		return magic, nil
	}
	plain, closer, err := inflate(raw, maxLayers)
	if err != nil {
		return nil, err
	}
	defer closer()
	head := make([]byte, n)
	k, err := io.ReadFull(plain, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:k], err
}
