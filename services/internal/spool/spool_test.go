package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

func open(t interface{ Fatal(...any) }, o Options) *Spool {
	o.Log = slog.New(slog.DiscardHandler)
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	if o.Owner == "" {
		o.Owner = "ingest/1"
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func frame(n, size int) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(n)), make([]byte, size)...)
}

// read takes and removes the oldest segment.
func read(t interface{ Fatal(...any) }, s *Spool) (frames []int, ok bool) {
	g := s.Take()
	if g == nil {
		return nil, false
	}
	if err := g.Each(func(f []byte) error {
		frames = append(frames, int(binary.BigEndian.Uint32(f)))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(g); err != nil {
		t.Fatal(err)
	}
	return frames, true
}

// TestEachLeavesWhatItReads, in order, of this process and a former one, without what
// is appended meanwhile and what is damaged.
func TestEachLeavesWhatItReads(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	s.Append(frame(1, 10), 1)
	s.Append(frame(2, 10), 1)
	s.Close()
	s = open(t, Options{Dir: dir, Owner: "ingest/2"})
	defer s.Close()
	s.Append(frame(3, 10), 1)
	var got []int
	list := func(f []byte) error {
		got = append(got, int(binary.BigEndian.Uint32(f)))
		s.Append(frame(4, 10), 1)
		return nil
	}
	if err := s.Each(list); err != nil || !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("got %v, %v", got, err)
	}
	if err := os.Truncate(s.segments[0].path(), s.segments[0].bytes-1); err != nil {
		t.Fatal(err)
	}
	got = nil
	if err := s.Each(list); err != nil || !slices.Equal(got, []int{1, 3, 4, 4, 4}) {
		t.Errorf("got %v, %v of a spool that is damaged", got, err)
	}
	stop := errors.New("enough")
	if err := s.Each(func([]byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

// TestOrderAndBound: whatever is appended, read, and however often the process
// starts anew, frames come out in order, and what does not come out was dropped
// from the old end, counted, within the bound.
func TestOrderAndBound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "spool")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		lost, in, out, seen := int64(0), 0, -1, 0
		o := Options{Dir: dir, MaxBytes: MinBytes, Lost: func(n int64, _ string) { lost += n }}
		s := open(rt, o)
		take := func() {
			frames, _ := read(rt, s)
			for _, n := range frames {
				if n <= out {
					rt.Fatalf("frame %d after %d", n, out)
				}
				out = n
				seen++
			}
		}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0:
				take()
			case 1:
				s.Close()
				o.Owner = fmt.Sprintf("ingest/%d", in)
				s = open(rt, o)
			default:
				s.Append(frame(in, rapid.IntRange(0, 900<<10).Draw(rt, "size")), 1)
				in++
			}
			if b := s.Bytes(); b > MinBytes {
				rt.Fatalf("holds %d bytes", b)
			}
		}
		for !s.Empty() {
			take()
		}
		s.Close()
		if seen+int(lost) != in || in > 0 && out != in-1 {
			rt.Fatalf("%d in, %d out, %d lost, %d last", in, seen, lost, out)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*"+suffix)); len(left) > 0 {
			rt.Fatalf("left: %v", left)
		}
	})
}

// TestTakenSegmentIsNotDropped: what is being sent stays, its neighbours go.
func TestTakenSegmentIsNotDropped(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), MaxBytes: MinBytes})
	defer s.Close()
	for n := range 2 {
		s.Append(frame(n, 600<<10), 1)
	}
	g := s.Take()
	for n := 2; n < 30; n++ {
		s.Append(frame(n, 600<<10), 1)
	}
	var got []uint32
	if err := g.Each(func(f []byte) error { got = append(got, binary.BigEndian.Uint32(f)); return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != "[0 1]" {
		t.Errorf("read %v", got)
	}
	if err := s.Remove(g); err != nil || !s.More(g.Owner) {
		t.Errorf("more %v, %v", s.More(g.Owner), err)
	}
}

// TestTornEnd: a process that died while writing leaves half a frame; the whole
// ones before it are there, and what comes after goes behind them.
func TestTornEnd(t *testing.T) {
	for _, cut := range []int64{1, frameHeader - 1, frameHeader, frameHeader + 1, 50} {
		dir := t.TempDir()
		s := open(t, Options{Dir: dir})
		s.Append(frame(1, 100), 1)
		s.Append(frame(2, 100), 1)
		path := s.segments[0].path()
		s.Close()
		whole := int64(frameHeader + 104)
		if err := os.Truncate(path, whole+cut); err != nil {
			t.Fatal(err)
		}
		s = open(t, Options{Dir: dir, Owner: "ingest/2"})
		if s.Bytes() != whole {
			t.Errorf("cut at %d: %d bytes", cut, s.Bytes())
		}
		s.Append(frame(3, 100), 1)
		first, _ := read(t, s)
		second, _ := read(t, s)
		if fmt.Sprint(first, second) != "[1] [3]" {
			t.Errorf("cut at %d: read %v, %v", cut, first, second)
		}
		s.Close()
	}
}

// TestDamage: bytes that changed on disk are noticed; the frames before are whole.
func TestDamage(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	defer s.Close()
	s.Append(frame(1, 100), 1)
	s.Append(frame(2, 100), 1)
	g := s.Take()
	b, _ := os.ReadFile(g.path())
	b[len(b)-1] ^= 1
	if err := os.WriteFile(g.path(), b, 0o644); err != nil {
		t.Fatal(err)
	}
	read := 0
	if err := g.Each(func([]byte) error { read++; return nil }); !errors.Is(err, errTorn) || read != 1 {
		t.Errorf("%d frames, %v", read, err)
	}
}

// TestDiskFull: the oldest make room; where there is none to make, the newest is lost.
func TestDiskFull(t *testing.T) {
	lost := int64(0)
	var why string
	s := open(t, Options{Dir: t.TempDir(), Lost: func(n int64, w string) { lost += n; why = w }})
	defer s.Close()
	room := int64(3 << 20)
	s.writeAt = s.smallDisk(&room)
	for n := range 10 {
		s.Append(frame(n, 500<<10), 1)
	}
	var got []int
	for !s.Empty() {
		frames, _ := read(t, s)
		got = append(got, frames...)
	}
	if len(got)+int(lost) != 10 || got[len(got)-1] != 9 || lost == 0 || !strings.Contains(why, "no space") {
		t.Errorf("read %v, %d lost: %s", got, lost, why)
	}
	lost, room = 0, 0
	s.Append(frame(10, 100), 7)
	if lost != 7 {
		t.Errorf("%d lost, want 7", lost)
	}
	room = 1 << 20
	s.Append(frame(11, 100), 1)
	for got = nil; !s.Empty(); {
		frames, _ := read(t, s)
		got = append(got, frames...)
	}
	if fmt.Sprint(got) != "[11]" {
		t.Errorf("read %v once there is room again", got)
	}
}

// smallDisk is a disk with room for so much.
func (s *Spool) smallDisk(room *int64) func(f *os.File, b []byte, at int64) (int, error) {
	return func(f *os.File, b []byte, at int64) (int, error) {
		if free := *room - s.bytes(); int64(len(b)) > free {
			n, _ := f.WriteAt(b[:max(free, 0)], at)
			return n, syscall.ENOSPC
		}
		return f.WriteAt(b, at)
	}
}

// TestLossIsASmallShare: what is dropped at a time is a sixteenth of what waits, and a
// frame, whatever the spool might hold on a larger disk.
func TestLossIsASmallShare(t *testing.T) {
	var dropped []int64
	s := open(t, Options{Dir: t.TempDir(), MaxBytes: 1 << 40, Lost: func(n int64, _ string) { dropped = append(dropped, n) }})
	defer s.Close()
	room := int64(40 << 20)
	s.writeAt = s.smallDisk(&room)
	const size = 64 << 10
	for n := range 2000 {
		s.Append(frame(n, size-frameHeader), 1)
	}
	if most := slices.Max(dropped); len(dropped) < 10 || most > room/share/size+1 {
		t.Errorf("dropped %d records at a time", dropped)
	}
}

func TestPrependComesFirst(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	s.Append(frame(2, 10), 1)
	if _, err := s.Prepend([][]byte{frame(0, 10), frame(1, 10)}, []int{1, 1}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = open(t, Options{Dir: dir, Owner: "ingest/2"})
	defer s.Close()
	var got []int
	for !s.Empty() {
		if g := s.segments[0]; g.Owner != "ingest/1" {
			t.Errorf("owner %q", g.Owner)
		}
		frames, _ := read(t, s)
		got = append(got, frames...)
	}
	if fmt.Sprint(got) != "[0 1 2]" {
		t.Errorf("read %v", got)
	}
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir, MaxBytes: MinBytes}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("got %v", err)
	}
	s.Close()
	open(t, Options{Dir: dir}).Close()
}

func FuzzFrames(f *testing.F) {
	f.Add(appendFrame(appendFrame(nil, []byte("one"), 1), []byte("two"), 2))
	f.Add([]byte{255, 255, 255, 63, 0, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		var memory []byte
		for {
			whole := len(b) - r.Len()
			frame, records, err := readFrame(r, memory)
			if err != nil {
				return
			}
			again := appendFrame(nil, frame, records)
			if !bytes.Equal(again, b[whole:len(b)-r.Len()]) {
				t.Fatalf("%x reads as %x", b[whole:len(b)-r.Len()], again)
			}
			memory = frame
		}
	})
}
