package merge

import "github.com/flowledger/flowledger/services/internal/eventtime"

// neighbour is what entries that lie beside each other often share.
type neighbour struct {
	last     eventtime.Tick
	standing uint32
	proto    uint8
}

// layout tells what of an entry is in a snapshot, and how.
type layout uint8

const (
	isWide layout = 1 << iota
	isWaiting
	hasPast
	// likeBefore: standing and protocol are those of the entry before.
	likeBefore
	// isCovered: it has been decided.
	isCovered
	// inMillis: the end of what is covered is told in milliseconds, as most
	// exporters do, not in nanoseconds.
	inMillis

	knownLayouts = inMillis<<1 - 1
)

const millisecond = 1_000_000

// unit is that of the end of what is covered, in nanoseconds.
func (l layout) unit() uint64 {
	if l&inMillis != 0 {
		return millisecond
	}
	return 1
}

// layoutOf is how an entry is put down.
func layoutOf(e *entry, is, before neighbour, p past) (l layout) {
	if e.has(wide) {
		l |= isWide
	}
	if e.has(waiting) {
		l |= isWaiting
	}
	if p != (past{}) {
		l |= hasPast
	}
	if is.standing == before.standing && is.proto == before.proto {
		l |= likeBefore
	}
	if e.coverEnd != 0 {
		l |= isCovered
		if e.coverEnd%millisecond == 0 {
			l |= inMillis
		}
	}
	return l
}
