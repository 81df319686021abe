package rows

import (
	"fmt"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// Builder collects the rows of one topic's messages.
type Builder interface {
	// Append adds the records of one message, and returns how many they were.
	// A record that cannot be read is left out alone; where a message ends within one,
	// what comes before it is read. The error is of the first that was left out.
	Append(key, value []byte) (records int, err error)
	// Rows is the number of rows of the largest table so far.
	Rows() int
	// Take hands out what was collected, in the order in which it is to be
	// inserted. The blocks are valid until the next Append, which starts afresh.
	Take() []Block
}

// topics maps the names of topics, without prefix, to their builders.
var topics = map[string]func() Builder{
	"flows.deduped": func() Builder { return NewFlows() },
	"biflows":       func() Builder { return NewBiflows() },
	"events":        func() Builder { return NewEvents() },
	"dns":           func() Builder { return NewPassiveDNS() },
	"exporters":     func() Builder { return NewExporters() },
	"alerts":        func() Builder { return NewAlerts() },
}

// Topics are the topics that have a place in the ledger, without prefix.
func Topics() []string {
	return []string{"flows.deduped", "biflows", "alerts", "events", "dns", "exporters"}
}

// For makes the builder of a topic, named without prefix.
func For(topic string) (Builder, error) {
	newBuilder, ok := topics[topic]
	if !ok {
		return nil, fmt.Errorf("topic %q has no table in the ledger; known are %v", topic, Topics())
	}
	return newBuilder(), nil
}

// message is a wire message that is read into again and again.
type message interface {
	Reset()
	UnmarshalVTUnsafe([]byte) error
}

// eachRecord reads a batch record by record into m, which aliases the batch.
func eachRecord(m message, batch []byte, do func()) (records int, err error) {
	fault := func(number int, why error) {
		if err == nil {
			err = fmt.Errorf("cannot read record %d of a batch: %w", number, why)
		}
	}
	for number := 0; len(batch) > 0; number++ {
		raw, rest, cut := flow.Next(batch)
		if cut != nil {
			fault(number, cut)
			break
		}
		batch = rest
		m.Reset()
		if why := m.UnmarshalVTUnsafe(raw); why != nil {
			fault(number, why)
			continue
		}
		do()
		records++
	}
	return records, err
}

// single is the builder of a topic whose records are rows of one table.
type single[R message] struct {
	table  table[R]
	record R
	taken  bool
}

// Append implements Builder.
func (s *single[R]) Append(_, value []byte) (int, error) {
	if s.taken {
		s.table.reset()
		s.taken = false
	}
	return eachRecord(s.record, value, func() { s.table.put(s.table.rows, s.record) })
}

// Rows implements Builder.
func (s *single[R]) Rows() int {
	if s.taken {
		return 0
	}
	return s.table.rows
}

// Take implements Builder.
func (s *single[R]) Take() []Block {
	if s.Rows() == 0 {
		return nil
	}
	s.taken = true
	return []Block{s.table.block()}
}
