package main

import (
	"time"

	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/flowledger/flowledger/services/sink/rows"
)

// appendColumn fills one column of a batch. The client is quick with whole
// columns of plain types, and with rows of arrays; what it would misunderstand
// (an int64 is milliseconds to it) or do by reflection is converted.
func appendColumn(to driver.BatchColumn, values any) error {
	switch v := values.(type) {
	case []rows.Time:
		return to.Append(times(v))
	case [][]rows.Time:
		return appendRows(to, v, func(l []rows.Time) any { return times(l) })
	case [][][16]byte:
		return appendRows(to, v, func(l [][16]byte) any { return addresses(l) })
	case [][]uint8:
		// As a []byte it would be taken for a text.
		return appendRows(to, v, func(l []uint8) any { return l })
	case [][]int8:
		return appendRows(to, v, func(l []int8) any { return l })
	case [][]uint16:
		return appendRows(to, v, func(l []uint16) any { return l })
	case [][]uint32:
		return appendRows(to, v, func(l []uint32) any { return l })
	case [][]uint64:
		return appendRows(to, v, func(l []uint64) any { return l })
	case [][]rows.Pair:
		return appendRows(to, v, func(l []rows.Pair) any { return &pairs{list: l} })
	case [][]string:
		return appendRows(to, v, func(l []string) any { return l })
	}
	return to.Append(values)
}

func appendRows[V any](to driver.BatchColumn, lists [][]V, convert func([]V) any) error {
	for _, l := range lists {
		if err := to.AppendRow(convert(l)); err != nil {
			return err
		}
	}
	return nil
}

func times(ts []rows.Time) []time.Time {
	out := make([]time.Time, len(ts))
	for i, t := range ts {
		out[i] = time.Unix(0, int64(t))
	}
	return out
}

func addresses(as [][16]byte) []proto.IPv6 {
	out := make([]proto.IPv6, len(as))
	for i, a := range as {
		out[i] = proto.IPv6(a)
	}
	return out
}

// pairs makes the client write a Map in the order of its pairs.
type pairs struct{ list []rows.Pair }

// Put is for reading, which is not done here.
func (p *pairs) Put(key, value any) { panic("BUG: a map of the ledger was written to") }

// Iterator walks the pairs.
func (p *pairs) Iterator() column.MapIterator { return &walk{left: p.list} }

type walk struct {
	at   rows.Pair
	left []rows.Pair
}

func (w *walk) Next() bool {
	if len(w.left) == 0 {
		return false
	}
	w.at, w.left = w.left[0], w.left[1:]
	return true
}

func (w *walk) Key() any   { return w.at.Key }
func (w *walk) Value() any { return w.at.Value }
