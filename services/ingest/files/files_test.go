package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
)

// pile collects lines, a file's name before them.
type pile struct {
	lines  []string
	unsafe error
}

func (p *pile) Begin(f File) error {
	p.lines = append(p.lines, "> "+filepath.Base(f.Name))
	return nil
}

func (p *pile) Line(line []byte) error {
	p.lines = append(p.lines, string(line))
	return nil
}

func (p *pile) Safe(context.Context) error { return p.unsafe }

// round polls once and reads what is there.
func round(t *testing.T, s Source) (lines []string, failed []string) {
	t.Helper()
	p := &pile{}
	w := &Watcher{Source: s, Handler: p, Log: slog.New(slog.DiscardHandler), Metrics: Metrics{Failed: func(r string) { failed = append(failed, r) }}}
	found, err := s.Poll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if _, err := w.read(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	return p.lines, failed
}

func want(t *testing.T, got []string, lines ...string) {
	t.Helper()
	if d := cmp.Diff(got, lines); d != "" {
		t.Errorf("(-got, +want)\n%s", d)
	}
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	_ = z.Close()
	return b.String()
}

func zstded(s string) string {
	e, _ := zstd.NewWriter(nil)
	return string(e.EncodeAll([]byte(s), nil))
}

type row struct {
	Version  int32   `parquet:"version"`
	ENI      string  `parquet:"interface_id"`
	Src      *string `parquet:"srcaddr,optional"`
	Bytes    *int64  `parquet:"bytes,optional"`
	Service  string  `parquet:"ecs_service_name"`
	Protocol int64   `parquet:"protocol"`
}

func parqueted(t *testing.T) string {
	t.Helper()
	src, n := "10.0.0.1", int64(1)<<40
	var b bytes.Buffer
	if err := parquet.Write(&b, []row{{2, "eni-1", &src, &n, "a b", 6}, {2, "eni-1", nil, nil, "", 17}}, parquet.Compression(&parquet.Gzip)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// folderOf makes a directory source whose clock is an hour ahead: all is settled.
func folderOf(t *testing.T, root, cursor string) *Directory {
	t.Helper()
	d, err := NewDirectory(root, cursor)
	if err != nil {
		t.Fatal(err)
	}
	d.now = func() time.Time { return time.Now().Add(time.Hour) }
	return d
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestEveryFormReadsTheSame: plain, gzip, zstd and Parquet files are lines.
func TestEveryFormReadsTheSame(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "a.log"), "one\ntwo\nlast")
	write(t, filepath.Join(root, "2024/b.log.gz"), zipped("three\r\n\nfour"))
	write(t, filepath.Join(root, "c.zst"), zstded("five\n"))
	write(t, filepath.Join(root, "d.parquet"), parqueted(t))
	write(t, filepath.Join(root, ".hidden"), "half")
	write(t, filepath.Join(root, ".incoming/e"), "half")
	write(t, filepath.Join(root, "empty"), "")
	for i, name := range []string{"a.log", "2024/b.log.gz", "c.zst", "d.parquet"} {
		at := time.Unix(1700000000+int64(i), 0)
		if err := os.Chtimes(filepath.Join(root, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	cursor := filepath.Join(t.TempDir(), "cursor")
	got, _ := round(t, folderOf(t, root, cursor))
	want(t, got, "> a.log", "one", "two", "last", "> b.log.gz", "three\r", "", "four", "> c.zst", "five",
		"> d.parquet", "version interface_id srcaddr bytes ecs_service_name protocol", "2 eni-1 10.0.0.1 1099511627776 a_b 6", "2 eni-1 - - - 17")
	got, _ = round(t, folderOf(t, root, cursor))
	want(t, got)
}

// TestGrowingFile: a plain file is read on from where it was, its header first;
// the line being written waits.
func TestGrowingFile(t *testing.T) {
	root, cursor := t.TempDir(), filepath.Join(t.TempDir(), "cursor")
	path := filepath.Join(root, "dns.log")
	d := folderOf(t, root, cursor)
	begin := time.Now()
	d.now = func() time.Time { return begin } // the file is being written, however long we take
	write(t, path, "#fields a b\n1 2\n3 ")
	got, _ := round(t, d)
	want(t, got, "> dns.log", "#fields a b", "1 2")
	write(t, path, "#fields a b\n1 2\n3 4\n5 6\n7")
	got, _ = round(t, d)
	want(t, got, "> dns.log", "#fields a b", "3 4", "5 6")
	got, _ = round(t, d)
	want(t, got)
	got, _ = round(t, folderOf(t, root, cursor)) // another process, later
	want(t, got, "> dns.log", "#fields a b", "7")
	write(t, path, "new\n")
	got, _ = round(t, folderOf(t, root, cursor))
	want(t, got, "> dns.log", "new")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "other.log"), "x\n")
	last := folderOf(t, root, cursor)
	round(t, last)
	if len(last.cursor.Files) != 1 {
		t.Errorf("files that are gone are still remembered: %v", last.cursor.Files)
	}
}

// TestGrowingObjects: an object is whole at its end, whatever follows.
func TestGrowingObjects(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	d := folderOf(t, filepath.Dir(path), filepath.Join(t.TempDir(), "cursor"))
	begin := time.Now()
	d.now = func() time.Time { return begin } // the file is being written, however long we take
	for _, c := range []struct {
		content string
		lines   []string
	}{
		{`{"a":1}{"b":`, []string{"> a.json", `{"a":1}`}},
		{`{"a":1}{"b":2}`, []string{"> a.json", `{"b":2}`}},
		{`{"a":1}{"b":2}` + "\n" + `{"c":3}`, []string{"> a.json", "", `{"c":3}`}},
	} {
		write(t, path, c.content)
		got, _ := round(t, d)
		want(t, got, c.lines...)
	}
}

// TestUnsettledCompressedFileWaits: it may be half written.
func TestUnsettledCompressedFileWaits(t *testing.T) {
	root := t.TempDir()
	begin := time.Now()
	write(t, filepath.Join(root, "a.gz"), zipped("x\n"))
	d := folderOf(t, root, filepath.Join(t.TempDir(), "cursor"))
	d.now = func() time.Time { return begin }
	got, _ := round(t, d)
	want(t, got)
	d.now = func() time.Time { return time.Now().Add(2 * settled) }
	got, _ = round(t, d)
	want(t, got, "> a.gz", "x")
}

// TestDamagedFilesStopNothing: what can be read is, the rest is counted, and the
// next file comes to its turn.
func TestDamagedFilesStopNothing(t *testing.T) {
	root := t.TempDir()
	var long strings.Builder
	for i := range 5000 {
		fmt.Fprintln(&long, "line", i, "of", i*i)
	}
	whole := zipped(long.String())
	write(t, filepath.Join(root, "1.gz"), whole[:len(whole)/2])
	write(t, filepath.Join(root, "2.parquet"), parqueted(t)[:60])
	write(t, filepath.Join(root, "3.log"), "good\n")
	d := folderOf(t, root, filepath.Join(t.TempDir(), "cursor"))
	got, failed := round(t, d)
	want(t, failed, "read", "read")
	if n := len(got); n < 100 || got[n-1] != "good" {
		t.Errorf("got %d lines, the last of them %q", n, got[n-1])
	}
	got, _ = round(t, d)
	want(t, got)
}

// TestOverlongLine is cut, and the next one is whole.
func TestOverlongLine(t *testing.T) {
	var got []int
	err := Stream(strings.NewReader(strings.Repeat("x", maxLine+3<<20)+"\nnext\n"), func(l []byte) error {
		got = append(got, len(l))
		return nil
	})
	if err != nil || len(got) != 2 || got[0] < maxLine || got[0] > maxLine+1<<20 || got[1] != 4 {
		t.Errorf("got lines of %v bytes, %v", got, err)
	}
}

// TestObjectsWithoutEndOfLine: JSON objects one behind the other are lines each,
// and a damaged one costs no more than its own line.
func TestObjectsWithoutEndOfLine(t *testing.T) {
	long := `{"x":"` + strings.Repeat(`}\"`, 200<<10) + `"}` // more than one buffer
	f := func(in string, lines ...string) {
		t.Helper()
		var got []string
		err := Stream(strings.NewReader(in), func(l []byte) error {
			got = append(got, string(l))
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		want(t, got, lines...)
	}
	f(`{"a":1}{"b":2}`, `{"a":1}`, `{"b":2}`)
	f(`{"a":1}`+"\n"+`{"b":2}`+"\n", `{"a":1}`, `{"b":2}`)
	f(`{"a":{"b":[{}]}}{"c":"}{\\\"}"}`, `{"a":{"b":[{}]}}`, `{"c":"}{\\\"}"}`)
	f(long+long+"\nx", long, long, "x")
	f(`{"a":`+"\n"+`{"b":2}x`+"\n", `{"a":`, `{"b":2}`, "x")
	f(`x {"a":1}{`+"\n"+`{"b"`, `x {"a":1}{`, `{"b"`)
}

// TestCompressedTwice: what CloudWatch compresses, record by record, Firehose may
// compress again; what is compressed without end is refused.
func TestCompressedTwice(t *testing.T) {
	var got []string
	take := func(l []byte) error {
		got = append(got, string(l))
		return nil
	}
	if err := Stream(strings.NewReader(zipped(zipped("one\ntwo")+zipped("\nthree"))), take); err != nil {
		t.Error(err)
	}
	want(t, got, "one", "two", "three")
	often := "x"
	for range maxLayers + 1 {
		often = zipped(often)
	}
	if err := Stream(strings.NewReader(often), take); err == nil || !strings.Contains(err.Error(), "times over") {
		t.Errorf("got %v", err)
	}
}

// TestNotSafeIsNotRemembered: if the lines may be lost, the file comes again.
func TestNotSafeIsNotRemembered(t *testing.T) {
	root, cursor := t.TempDir(), filepath.Join(t.TempDir(), "cursor")
	write(t, filepath.Join(root, "a.log"), "x\n")
	d := folderOf(t, root, cursor)
	found, err := d.Poll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lost := errors.New("Kafka is away")
	w := &Watcher{Source: d, Handler: &pile{unsafe: lost}, Log: slog.New(slog.DiscardHandler)}
	if _, err := w.read(t.Context(), found[0]); !errors.Is(err, lost) {
		t.Errorf("got %v", err)
	}
	got, _ := round(t, folderOf(t, root, cursor))
	want(t, got, "> a.log", "x")
}

// TestDamagedCursorIsRefused: to begin anew would be to read everything twice.
func TestDamagedCursorIsRefused(t *testing.T) {
	cursor := filepath.Join(t.TempDir(), "cursor")
	write(t, cursor, "{")
	if _, err := NewDirectory(t.TempDir(), cursor); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("got %v", err)
	}
}

// TestRunEndsWithItsContext.
func TestRunEndsWithItsContext(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "a.log"), "x\n")
	ctx, cancel := context.WithCancel(t.Context())
	p := &stopper{cancel: cancel}
	w := &Watcher{Source: folderOf(t, root, filepath.Join(t.TempDir(), "cursor")), Handler: p, Interval: time.Hour, Log: slog.New(slog.DiscardHandler)}
	if err := w.Run(ctx); err != nil {
		t.Error(err)
	}
	want(t, p.lines, "> a.log", "x")
}

// stopper ends the context when a file has been read.
type stopper struct {
	pile
	cancel func()
}

func (s *stopper) Safe(context.Context) error {
	s.cancel()
	return nil
}
