package files

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/deprecated"
)

// written writes rows as one Parquet file, groups of so many rows.
func written[T any](t *testing.T, rows []T, group int, codec compress.Codec) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, parquet.Compression(codec))
	for len(rows) > 0 {
		n := min(group, len(rows))
		if _, err := w.Write(rows[:n]); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		rows = rows[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func linesOf(file []byte) (lines []string, err error) {
	err = parquetLines(bytes.NewReader(file), int64(len(file)), func(line []byte) error {
		lines = append(lines, string(line))
		return nil
	})
	return lines, err
}

// TestParquetOfOtherTools: logs that a tool has rewritten say the same; what is no
// field of a log is left out.
func TestParquetOfOtherTools(t *testing.T) {
	type tag struct{ Key, Value string }
	type row struct {
		Index    string           `parquet:"__index_level_0__"`
		Tags     []string         `parquet:"tags,list"`
		SrcAddr  string           `parquet:"SRCADDR"`
		SrcPort  float64          `parquet:"srcport"`
		DstPort  float64          `parquet:"dstport"`
		Owner    tag              `parquet:"owner"`
		Bytes    float32          `parquet:"bytes"`
		Packets  uint32           `parquet:"packets"`
		Start    time.Time        `parquet:"start,timestamp(millisecond)"`
		End      time.Time        `parquet:"end,timestamp(nanosecond)"`
		Ingested deprecated.Int96 `parquet:"ingested"`
		Sampled  bool             `parquet:"sampled"`
		Remark   string           `parquet:"a_column_of_a_tool_with_a_name_that_is_longer_than_any_field_of_a_log"`
	}
	at := time.Date(2026, 9, 21, 14, 13, 20, 0, time.UTC)
	midnight := deprecated.Int96{0, 0, 2_440_588 + 20_717}
	file := written(t, []row{
		{Index: "a", Tags: []string{"x", "y"}, SrcAddr: "10.0.0.1", SrcPort: 51234, DstPort: math.NaN(), Bytes: 65536, Packets: 1 << 31,
			Start: at, End: at.Add(58 * time.Second), Ingested: midnight},
	}, 1, &parquet.Snappy)
	got, err := linesOf(file)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"srcaddr srcport dstport bytes packets start end ingested sampled",
		"10.0.0.1 51234 - 65536 2147483648 1790000000 1790000058 1789948800 false",
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("(-got, +want)\n%s", d)
	}
}

// TestParquetDecimals: decimals of every width are the numbers they stand for, and
// whole where nothing is behind the point.
func TestParquetDecimals(t *testing.T) {
	type row struct {
		SrcPort int32    `parquet:"srcport,decimal(0:9)"`
		Packets int64    `parquet:"packets,decimal(2:18)"`
		Bytes   [9]byte  `parquet:"bytes,decimal(0:20)"`
		Start   [16]byte `parquet:"start,decimal(3:38)"`
		End     [16]byte `parquet:"end,decimal(3:38)"`
	}
	at := func(n int64) (b [16]byte) {
		binary.BigEndian.PutUint64(b[8:], uint64(n))
		if n < 0 {
			binary.BigEndian.PutUint64(b[:], math.MaxUint64)
		}
		return b
	}
	got, err := linesOf(written(t, []row{
		{443, 1200, [9]byte{1: 0x80}, at(1_790_000_000_000), at(1_790_000_000_050)},
		{-1, 0, [9]byte{}, at(-1_500), at(0)},
	}, 1, &parquet.Zstd))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"srcport packets bytes start end",
		"443 12 9223372036854775808 1790000000 1790000000.050",
		"-1 0 0 -1.500 0",
	}
	if d := cmp.Diff(got, want); d != "" {
		t.Errorf("(-got, +want)\n%s", d)
	}
}

// TestParquetOfSomethingElse: a file without a column of a flow log is none; its
// rows are not passed over in silence.
func TestParquetOfSomethingElse(t *testing.T) {
	type endpoint struct{ IP string }
	type row struct {
		Src endpoint `parquet:"src_endpoint"`
	}
	got, err := linesOf(written(t, []row{{endpoint{"10.0.0.1"}}}, 1, &parquet.Zstd))
	if len(got) != 0 || err == nil || !strings.Contains(err.Error(), "none of its columns") {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestParquetWithoutRows is no damage.
func TestParquetWithoutRows(t *testing.T) {
	got, err := linesOf(written[row](t, nil, 1, &parquet.Gzip))
	if err != nil || len(got) != 1 {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestDamagedRowGroup costs no other group's rows, and what it costs is told.
func TestDamagedRowGroup(t *testing.T) {
	var rows []row
	for i := range 30 {
		src := fmt.Sprintf("10.0.0.%d", i)
		rows = append(rows, row{2, "eni-1", &src, nil, "", 6})
	}
	file := written(t, rows, 10, &parquet.Gzip)
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	src := f.Metadata().RowGroups[1].Columns[2].MetaData
	begin := int(src.DataPageOffset)
	for i := range int(src.TotalCompressedSize) {
		file[begin+i] = 0xff
	}
	got, err := linesOf(file)
	if len(got) != 1+20 || !strings.HasPrefix(got[20], "2 eni-1 10.0.0.29 ") {
		t.Errorf("got %q", got)
	}
	if err == nil || !strings.Contains(err.Error(), "10 of the 30 rows") {
		t.Errorf("got error %v", err)
	}
}

// TestLZ4IsRefused: what the library makes of it is not what was written.
func TestLZ4IsRefused(t *testing.T) {
	got, err := linesOf(written(t, []row{{Version: 2}}, 1, &parquet.Lz4Raw))
	if len(got) != 0 || err == nil || !strings.Contains(err.Error(), "LZ4_RAW") {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestParquetTableOfContents: its length is believed only as far as the file goes.
func TestParquetTableOfContents(t *testing.T) {
	file := written(t, []row{{Version: 2}}, 1, &parquet.Gzip)
	for _, c := range []struct {
		name string
		file []byte
	}{
		{"too long", binary.LittleEndian.AppendUint32(bytes.Clone(file[:len(file)-8]), uint32(len(file)))},
		{"longest", binary.LittleEndian.AppendUint32(bytes.Clone(file[:len(file)-8]), math.MaxUint32)},
		{"four bytes", file[:0]},
	} {
		got, err := linesOf(append(c.file, "PAR1"...))
		if len(got) != 0 || err == nil || strings.Contains(err.Error(), "parquet file") {
			t.Errorf("%s: got %q, %v: the library was asked", c.name, got, err)
		}
	}
	if got, err := linesOf(file); err != nil || len(got) != 2 {
		t.Errorf("whole: got %q, %v", got, err)
	}
}

// TestParquetPageTooLarge: a page that would hold more than a log needs, or is
// longer than its column, is refused before it is read, with its row group.
func TestParquetPageTooLarge(t *testing.T) {
	type row struct {
		SrcAddr string `parquet:"srcaddr"`
	}
	file := written(t, []row{{"10.0.0.1"}, {strings.Repeat("x", 10_000)}, {"10.0.0.2"}}, 1, &parquet.Zstd)
	f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	var got []bool
	for i := range f.Metadata().RowGroups {
		group := &f.Metadata().RowGroups[i]
		got = append(got, checkPages(bytes.NewReader(file), group, 9_000) == nil, checkPages(bytes.NewReader(file), group, 20_000) == nil)
		group.Columns[0].MetaData.TotalCompressedSize--
		got = append(got, checkPages(bytes.NewReader(file), group, 20_000) == nil)
	}
	if d := cmp.Diff(got, []bool{true, true, false, false, true, false, true, true, false}); d != "" {
		t.Errorf("(-got, +want)\n%s", d)
	}
}

// FuzzParquet holds that nothing in a file stops the reader. Of its corpus,
// leaf_of_type_map is a column of values that says it is a map: the library
// panics where it begins to read.
func FuzzParquet(f *testing.F) {
	src := "10.0.0.1"
	for _, codec := range []compress.Codec{&parquet.Uncompressed, &parquet.Gzip, &parquet.Snappy, &parquet.Zstd} {
		var b bytes.Buffer
		if err := parquet.Write(&b, []row{{2, "eni-1", &src, nil, "a b", 6}}, parquet.Compression(codec)); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(_ *testing.T, file []byte) {
		_, _ = linesOf(file)
	})
}
