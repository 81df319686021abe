package files

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// parquetLines hands on a Parquet file as the text it stands for: the names of
// its columns first, then a line per row, with a dash where there is no value.
// So a log reads the same, whichever form it was delivered in. A row group that
// is damaged costs the rows that are left of it, and no other.
func parquetLines(r io.ReaderAt, size int64, take func([]byte) error) error {
	f, columns, err := openParquet(r, size)
	if err != nil {
		return fmt.Errorf("cannot read the Parquet file: %w", err)
	}
	if err := take(appendNames(nil, columns)); err != nil {
		return err
	}
	var damage error
	missing := f.NumRows()
	for i, group := range f.RowGroups() {
		if group.NumRows() == 0 {
			continue // the library cannot seek in it
		}
		read, err := groupLines(r, &f.Metadata().RowGroups[i], group, columns, take)
		if refused := (takeError{}); errors.As(err, &refused) {
			return refused.error
		}
		if err != nil && damage == nil {
			damage = err
		}
		missing -= read
	}
	if damage != nil {
		return fmt.Errorf("cannot read %d of the %d rows of the Parquet file: %w", missing, f.NumRows(), damage)
	}
	return nil
}

// takeError is an error of who takes the lines.
type takeError struct{ error }

// groupLines hands on the rows of a group, and tells how many it could read.
func groupLines(r io.ReaderAt, in *format.RowGroup, group parquet.RowGroup, columns []*column, take func([]byte) error) (read int64, err error) {
	rows, err := openRows(r, in, group)
	if err != nil {
		return 0, err
	}
	defer closeRows(rows)
	buf := make([]parquet.Row, 256)
	var line []byte
	for {
		n, err := readRows(rows, buf)
		for _, row := range buf[:n] {
			line = appendRow(line[:0], row, columns)
			if err := take(line); err != nil {
				return read, takeError{err}
			}
			read++
		}
		if errors.Is(err, io.EOF) {
			return read, nil
		}
		if err != nil {
			return read, err
		}
	}
}

// openParquet reads the table of contents. The library may panic on what is no
// Parquet inside, here as in all that follows.
func openParquet(r io.ReaderAt, size int64) (f *parquet.File, columns []*column, err error) {
	defer recovered(&err)
	if err := checkFooter(r, size); err != nil {
		return nil, nil, err
	}
	if f, err = parquet.OpenFile(r, size, parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true)); err != nil {
		return nil, nil, err
	}
	// The library's LZ4 gives back what was in its buffer before, and asks for
	// memory without end where the data is damaged.
	for _, group := range f.Metadata().RowGroups {
		for _, c := range group.Columns {
			if codec := c.MetaData.Codec; codec == format.Lz4Raw || codec == format.Lz4 {
				return nil, nil, fmt.Errorf("it is compressed by %s; write it with gzip, zstd or snappy", codec)
			}
		}
	}
	columns = columnsOf(f)
	if !slices.ContainsFunc(columns, func(c *column) bool { return c != nil }) {
		return nil, nil, errors.New("none of its columns is one of a flow log")
	}
	return f, columns, nil
}

// checkFooter refuses a table of contents that would be longer than the file: the
// library takes as much memory as it is told there, up to 4 GiB.
func checkFooter(r io.ReaderAt, size int64) error {
	var end [8]byte
	if _, err := r.ReadAt(end[:], max(size-8, 0)); err != nil {
		return fmt.Errorf("cannot read its end: %w", err)
	}
	if n := int64(binary.LittleEndian.Uint32(end[:])); n > size-12 {
		return fmt.Errorf("its table of contents would be %d bytes of %d", n, size)
	}
	return nil
}

func openRows(r io.ReaderAt, in *format.RowGroup, group parquet.RowGroup) (rows parquet.Rows, err error) {
	defer recovered(&err)
	if err := checkPages(r, in, maxPage); err != nil {
		return nil, err
	}
	return group.Rows(), nil
}

func closeRows(rows parquet.Rows) {
	var err error // of what has been read there is nothing to lose
	defer recovered(&err)
	rows.Close()
}

func readRows(rows parquet.Rows, buf []parquet.Row) (n int, err error) {
	defer recovered(&err)
	return rows.ReadRows(buf)
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%v", p)
	}
}

func appendNames(line []byte, columns []*column) []byte {
	for _, c := range columns {
		if c != nil {
			line = append(append(line, c.name...), ' ')
		}
	}
	return line[:max(len(line)-1, 0)]
}

// appendRow writes the values in the order of the columns.
func appendRow(line []byte, row parquet.Row, columns []*column) []byte {
	next := 0
	for _, v := range row { // in the order of the columns, those without a value as null
		at := v.Column()
		if at < next || at >= len(columns) {
			continue
		}
		line = appendNulls(line, columns[next:at])
		if c := columns[at]; c != nil {
			line = append(c.append(line, v), ' ')
		}
		next = at + 1
	}
	line = appendNulls(line, columns[next:])
	return line[:max(len(line)-1, 0)]
}

func appendNulls(line []byte, columns []*column) []byte {
	for _, c := range columns {
		if c != nil {
			line = append(line, "- "...)
		}
	}
	return line
}
