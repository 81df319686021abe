package files

import (
	"bufio"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// maxPage is the most that a page may hold when it is decompressed. Writers aim at
// 1 MiB; some put a column of a whole row group into one page.
const maxPage = 256 << 20

// checkPages refuses columns whose pages would be longer than their column, or
// than the limit: the library takes the memory that a page's header asks for before
// it reads the page. What is wrong else the library sees for itself.
func checkPages(r io.ReaderAt, group *format.RowGroup, limit int32) error {
	for i := range group.Columns {
		c := &group.Columns[i].MetaData
		at := c.DataPageOffset
		if c.DictionaryPageOffset != 0 {
			at = c.DictionaryPageOffset
		}
		for end := at + c.TotalCompressedSize; at < end; {
			h, n, err := pageHeader(io.NewSectionReader(r, at, end-at))
			if err != nil {
				break
			}
			at += n
			if h.CompressedPageSize < 0 || h.UncompressedPageSize > limit || int64(h.CompressedPageSize) > end-at {
				return fmt.Errorf("a page of column %v would be %d bytes, and %d decompressed", c.PathInSchema, h.CompressedPageSize, h.UncompressedPageSize)
			}
			at += int64(h.CompressedPageSize)
		}
	}
	return nil
}

// pageHeader reads a page's header, and tells how long it is.
func pageHeader(in *io.SectionReader) (h format.PageHeader, n int64, err error) {
	var compact thrift.CompactProtocol
	buffered := bufio.NewReader(in)
	if err := thrift.NewDecoder(compact.NewReader(buffered)).Decode(&h); err != nil {
		return h, 0, err
	}
	read, err := in.Seek(0, io.SeekCurrent)
	return h, read - int64(buffered.Buffered()), err
}
