package files

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// parquetLines hands on a Parquet file as the text it stands for: the names of
// its columns first, then a line per row, with a dash where there is no value.
// So a log reads the same, whichever form it was delivered in.
func parquetLines(r io.ReaderAt, size int64, take func([]byte) error) (err error) {
	defer func() { // the library may panic on what is no Parquet inside
		if p := recover(); p != nil {
			err = fmt.Errorf("cannot read the Parquet file: %v", p)
		}
	}()
	f, err := parquet.OpenFile(r, size, parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true))
	if err != nil {
		return fmt.Errorf("cannot read the Parquet file: %w", err)
	}
	columns := f.Schema().Columns()
	names := make([]string, len(columns))
	for i, path := range columns {
		if len(path) != 1 {
			return fmt.Errorf("cannot read the Parquet file: column %s is nested; flow logs are flat", strings.Join(path, "."))
		}
		names[i] = path[0]
	}
	if err := take([]byte(strings.Join(names, " "))); err != nil {
		return err
	}
	for _, group := range f.RowGroups() {
		if err := rowLines(group, len(columns), take); err != nil {
			return err
		}
	}
	return nil
}

func rowLines(group parquet.RowGroup, columns int, take func([]byte) error) error {
	rows := group.Rows()
	defer rows.Close()
	buf := make([]parquet.Row, 256)
	var line []byte
	for {
		n, err := rows.ReadRows(buf)
		for _, row := range buf[:n] {
			line = appendRow(line[:0], row, columns)
			if err := take(line); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read the Parquet file: %w", err)
		}
	}
}

// appendRow writes the values in the order of the columns.
func appendRow(line []byte, row parquet.Row, columns int) []byte {
	next := 0
	for _, v := range row {
		for ; next < v.Column() && next < columns; next++ {
			line = append(line, "- "...)
		}
		if v.Column() != next {
			continue // a second value of a repeated column
		}
		line = append(appendValue(line, v), ' ')
		next++
	}
	for ; next < columns; next++ {
		line = append(line, "- "...)
	}
	return line[:max(len(line)-1, 0)]
}

func appendValue(line []byte, v parquet.Value) []byte {
	if v.IsNull() {
		return append(line, '-')
	}
	switch v.Kind() {
	case parquet.ByteArray, parquet.FixedLenByteArray:
		text := v.ByteArray()
		if len(text) == 0 {
			return append(line, '-')
		}
		for _, c := range text { // blanks part the fields
			if c <= ' ' {
				c = '_'
			}
			line = append(line, c)
		}
		return line
	}
	return fmt.Append(line, v)
}
