package rows

import (
	"math"
	"slices"
	"strings"

	"github.com/flowledger/flowledger/services/internal/flow"
)

// Time is a DateTime64(9): nanoseconds since the epoch.
type Time int64

// latest is the last second that ClickHouse's 32-bit hours and dates can hold
// (February 2106). Partitions and sort keys are made of them, and must not wrap
// around when an exporter's clock does.
const latest = math.MaxUint32 * uint64(1e9)

func timeOf(ns uint64) Time { return Time(min(ns, latest)) }

// addr is an address as an IPv6 column holds it; none is ::.
func addr(b []byte) [16]byte { return flow.AddrFrom(b) }

// text is a string that outlives the message it was read from.
func text(s string) string { return strings.Clone(s) }

// Pair is one entry of a Map.
type Pair struct{ Key, Value string }

// appendPairs appends a map's entries in order of keys, outliving the message
// they were read from.
func appendPairs(dst []Pair, m map[string]string) []Pair {
	from := len(dst)
	for k, v := range m {
		dst = append(dst, Pair{text(k), text(v)})
	}
	slices.SortFunc(dst[from:], func(a, b Pair) int { return strings.Compare(a.Key, b.Key) })
	return dst
}

// enum is an enumerator as an Enum8 column holds it. One that this version does
// not know (the writer was newer) is 0, for ClickHouse would refuse the block.
func enum[E ~int32](e E, names map[int32]string) int8 {
	if _, known := names[int32(e)]; !known {
		return 0
	}
	return int8(e)
}

// addrText is an address as people write it; empty if there is none.
func addrText(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	a := flow.AddrFrom(b)
	return a.Netip().String()
}
