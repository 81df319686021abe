package stage

import (
	"errors"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// sequence is what a reader remembers of one source in one partition.
type sequence struct {
	name  string
	epoch int
	next  int64 // number of the record that comes next
}

// tally counts what reading a log has met. Its fields only grow.
type tally struct {
	records    int64 // taken
	duplicates int64 // seen before, dropped
	lost       int64 // numbers that never came
	late       int64 // taken at a later tick than their own
	stale      int64 // messages of an epoch that has been replaced
	malformed  int64 // messages that are none of ours
	foreign    int64 // messages of a source that does not belong here
	ended      int64 // records behind the end of the timeline, dropped
	refused    int64 // policies that the core cannot go by
	dead       int64 // messages and records that cannot be read, written to FlowsDead
}

// errBatch says that a value is no batch of records.
var errBatch = errors.New("the value is no batch of length-delimited records")

// countRecords is the number of records in a message's value.
func countRecords(value []byte, plain bool) (int, error) {
	if plain {
		return 1, nil
	}
	n, err := flow.Count(value)
	if err != nil {
		return 0, errBatch
	}
	return n, nil
}

// named is whatever has a source's name.
type named interface{ sourceName() string }

func (s *sequence) sourceName() string { return s.name }

// findSource is where a source stands, or belongs, in a list that is sorted by name.
func findSource[S any, P interface {
	*S
	named
}](list []S, name string) (int, bool) {
	lo, hi := 0, len(list)
	for lo < hi {
		mid := (lo + hi) / 2
		if P(&list[mid]).sourceName() < name {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < len(list) && P(&list[lo]).sourceName() == name
}

// take moves the sequence over a message of count records starting at number
// seq, and returns what of its value has not been seen, and how many records
// that is. Numbers that were jumped over are lost: an alarm, and life goes on.
func (s *sequence) take(seq int64, count int, value []byte, t *tally) (rest []byte, fresh int) {
	if seq > s.next {
		t.lost += seq - s.next
		s.next = seq
	}
	seen := s.next - seq
	if seen >= int64(count) {
		t.duplicates += int64(count)
		return nil, 0
	}
	t.duplicates += seen
	if seen > 0 {
		var err error
		if value, err = flow.Skip(value, int(seen)); err != nil {
			panic("BUG: a batch that was counted cannot be cut: " + err.Error())
		}
	}
	s.next = seq + int64(count)
	return value, count - int(seen)
}

// stale tells whether a message comes from an owner whose configuration has been
// replaced since.
func (s *sequence) stale(epoch int) bool {
	if epoch > s.epoch {
		s.epoch = epoch
	}
	return epoch < s.epoch
}
