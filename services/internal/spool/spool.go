// Package spool is a queue on disk, for what cannot be sent now: frames go in and
// come out in order, within a bound on bytes. Where there is no more room, of the
// disk or of the bound, the oldest are dropped, and the caller is told how many
// records that were.
//
//	Append ─▶ newest segment ▒▒▒▒▒▒░░  ▒▒▒▒▒▒▒▒  ▒▒▒▒▒▒▒▒ oldest segment ─▶ Take, Each, Remove
//
// A frame is on disk, as far as the death of this process goes, when Append
// returns: the next process that opens the folder finds it. It is not forced
// through the disk's caches, so that the death of the machine may take the last
// seconds. A segment belongs to the owner that wrote it; of what a former owner
// left behind, the name tells whose it is.
package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Options say where a spool is and how much it may hold.
type Options struct {
	// Dir is the folder, one for each process at a time.
	Dir string
	// MaxBytes bounds the files, MinBytes at least.
	MaxBytes int64
	// Owner is who appends, written down with every segment.
	Owner string
	// Lost is told of records that were dropped, and why; nil is fine.
	Lost func(records int64, why string)
	Log  *slog.Logger
}

// MinBytes is the least that a spool is given.
const MinBytes = 4 * minSegment

const (
	minSegment = 1 << 20
	maxSegment = 16 << 20
	// share is the part of all that waits which a segment is at most, since it is lost
	// as one: the disk may be full long before the spool may.
	share = 16
)

// Spool is a queue on disk. It is safe for concurrent use.
type Spool struct {
	o      Options
	unlock func()

	mu sync.Mutex
	// segments are in order, oldest first; the last is open for writing if file is set.
	segments []*Segment
	taken    *Segment // being read: it is not dropped
	file     *os.File
	frame    []byte
	writeAt  func(f *os.File, b []byte, at int64) (int, error) // a test's disk
}

// Open opens a spool, with what is in the folder. Close it when done.
func Open(o Options) (*Spool, error) {
	if o.Lost == nil {
		o.Lost = func(int64, string) {}
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the spool's folder: %w", err)
	}
	unlock, err := lock(filepath.Join(o.Dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("cannot use the spool in %s: %w", o.Dir, err)
	}
	s := &Spool{o: o, unlock: unlock, writeAt: (*os.File).WriteAt}
	if err := s.find(); err != nil {
		unlock()
		return nil, fmt.Errorf("cannot read the spool in %s: %w", o.Dir, err)
	}
	return s, nil
}

// Append adds a frame of so many records. It makes room by dropping the oldest;
// where even that does not help, the frame itself is dropped.
func (s *Spool) Append(frame []byte, records int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frame = appendFrame(s.frame[:0], frame, records)
	for s.bytes()+int64(len(s.frame)) > s.o.MaxBytes {
		if !s.dropOldest("the spool is full") {
			break
		}
	}
	for {
		err := s.write(s.frame, records)
		if err == nil {
			return
		}
		if !s.dropOldest("the disk is full or fails: " + err.Error()) {
			s.lost(int64(records), "the disk is full or fails: "+err.Error())
			return
		}
	}
}

// write puts a frame behind the newest segment's last, or leaves that as it was.
func (s *Spool) write(frame []byte, records int) error {
	if s.file != nil && s.segments[len(s.segments)-1].bytes >= min(max(s.bytes()/share, minSegment), maxSegment) {
		s.closeFile()
	}
	if s.file == nil {
		number := firstNumber
		if n := len(s.segments); n > 0 {
			number = s.segments[n-1].number + 1
		}
		seg := &Segment{dir: s.o.Dir, number: number, Owner: s.o.Owner}
		f, err := os.OpenFile(seg.path(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		s.file, s.segments = f, append(s.segments, seg)
	}
	seg := s.segments[len(s.segments)-1]
	if _, err := s.writeAt(s.file, frame, seg.bytes); err != nil {
		err = errors.Join(err, s.file.Truncate(seg.bytes))
		s.closeFile()
		if seg.bytes == 0 { // it was made for this frame
			s.segments = s.segments[:len(s.segments)-1]
			_ = os.Remove(seg.path())
		}
		return err
	}
	seg.bytes += int64(len(frame))
	seg.records += int64(records)
	return nil
}

// Prepend writes a segment that comes before all others: what was to be sent
// before anything was spooled.
func (s *Spool) Prepend(frames [][]byte, records []int) (*Segment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	number := firstNumber
	if len(s.segments) > 0 {
		number = s.segments[0].number - 1
	}
	seg := &Segment{dir: s.o.Dir, number: number, Owner: s.o.Owner}
	var b []byte
	for i, f := range frames {
		b = appendFrame(b, f, records[i])
		seg.records += int64(records[i])
	}
	seg.bytes = int64(len(b))
	if err := os.WriteFile(seg.path(), b, 0o644); err != nil {
		_ = os.Remove(seg.path())
		return nil, fmt.Errorf("cannot spool: %w", err)
	}
	s.segments = append([]*Segment{seg}, s.segments...)
	return seg, nil
}

// Take lends the oldest segment until Remove; nil if there is none. What is
// appended from now on goes behind it.
func (s *Spool) Take() *Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segments) == 0 {
		return nil
	}
	if len(s.segments) == 1 {
		s.closeFile()
	}
	s.taken = s.segments[0]
	return s.taken
}

// Each calls f with the frames that are there now, oldest first, until it errs; they
// stay. What is damaged, or dropped meanwhile, is left out.
func (s *Spool) Each(f func(frame []byte) error) error {
	s.mu.Lock()
	s.closeFile() // what is appended from now on goes behind
	segments := slices.Clone(s.segments)
	s.mu.Unlock()
	var failed error
	for _, seg := range segments {
		_ = seg.Each(func(frame []byte) error {
			failed = f(frame)
			return failed
		})
		if failed != nil {
			return failed
		}
	}
	return nil
}

// Remove deletes the segment that was taken.
func (s *Spool) Remove(seg *Segment) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken != seg || s.segments[0] != seg {
		panic("BUG: only the segment that was taken can be removed")
	}
	s.taken, s.segments = nil, s.segments[1:]
	if err := os.Remove(seg.path()); err != nil {
		return fmt.Errorf("cannot remove what has been sent from the spool: %w", err)
	}
	return nil
}

// More tells whether there is a segment of the owner's beside the one taken.
func (s *Spool) More(owner string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, seg := range s.segments {
		if seg != s.taken && seg.Owner == owner {
			return true
		}
	}
	return false
}

// Bytes is how much the spool holds, Empty whether that is nothing.
func (s *Spool) Bytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes()
}

// Empty tells whether there is nothing to take.
func (s *Spool) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.segments) == 0
}

// Close leaves everything where it is.
func (s *Spool) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closeFile()
	s.unlock()
}

func (s *Spool) bytes() (n int64) {
	for _, seg := range s.segments {
		n += seg.bytes
	}
	return n
}

// dropOldest deletes the oldest segment that is not being read. The one that is
// written goes too if it is the last.
func (s *Spool) dropOldest(why string) bool {
	for i, seg := range s.segments {
		if seg == s.taken {
			continue
		}
		if i == len(s.segments)-1 {
			s.closeFile()
		}
		_ = os.Remove(seg.path()) // a file that stays is found at the next start
		s.segments = append(s.segments[:i:i], s.segments[i+1:]...)
		s.lost(seg.records, why)
		return true
	}
	return false
}

func (s *Spool) lost(records int64, why string) {
	if records == 0 {
		return
	}
	s.o.Lost(records, why)
	s.o.Log.Error("records are lost: the oldest that wait for Kafka were dropped", "records", records, "why", why,
		"fix", "bring Kafka back, or give the spool more room")
}

func (s *Spool) closeFile() {
	if s.file != nil {
		s.file.Close()
		s.file = nil
	}
}
