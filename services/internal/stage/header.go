package stage

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/flowledger/flowledger/services/internal/eventtime"
)

// Ways in which a source says that nothing more comes.
const (
	// ByeStop signs a source off: it is not waited for any more.
	ByeStop = "stop"
	// ByeEndOfInput ends the timeline: everything open is closed.
	ByeEndOfInput = "end_of_input"
)

// Names of the message headers.
const (
	headerSource  = "source"
	headerSeq     = "seq"
	headerTick    = "tick"
	headerTickEnd = "tick_end"
	headerBye     = "bye"
)

// header is what the shell itself says about a message.
type header struct {
	source string // without the epoch
	epoch  int
	seq    int64
	tick   eventtime.Tick
	end    bool // nothing of this tick or an earlier one comes after it
	bye    string
}

// field is one message header as Kafka has it.
type field struct {
	key   string
	value []byte
}

// headerName is a header's name, without memory of its own where it is one of ours.
func headerName(b []byte) string {
	for _, name := range [...]string{headerSource, headerSeq, headerTick, headerTickEnd, headerBye} {
		if string(b) == name {
			return name
		}
	}
	return string(b)
}

// sourceName is a source as it stands in the header: name@epoch, or only the
// name where there are no epochs.
func sourceName(name string, epoch int) string {
	if epoch == 0 {
		return name
	}
	return name + "@" + strconv.Itoa(epoch)
}

// appendFields appends the headers of a message of the source written src.
func (h *header) appendFields(dst []field, src []byte) []field {
	dst = append(dst,
		field{headerSource, src},
		field{headerSeq, strconv.AppendInt(nil, h.seq, 10)},
		field{headerTick, strconv.AppendInt(nil, int64(h.tick), 10)})
	if h.end {
		dst = append(dst, field{headerTickEnd, []byte("1")})
	}
	if h.bye != "" {
		dst = append(dst, field{headerBye, []byte(h.bye)})
	}
	return dst
}

// Reasons for which a message is no message of ours.
var (
	errNoSource = errors.New("header source is missing")
	errNoSeq    = errors.New("header seq is missing")
	errNoTick   = errors.New("header tick is missing")
)

// maxTick bounds ticks (the year 2262 in nanoseconds), so that sums never overflow.
const maxTick = eventtime.Tick(1<<63-1) / eventtime.Tick(eventtime.TickLength)

// maxEpoch bounds epochs.
const maxEpoch = 1 << 30

// parseHeader reads the headers of a message. Headers it does not know are others'.
func parseHeader(fields []field) (h header, err error) {
	var source, seq, tick bool
	for _, f := range fields {
		switch f.key {
		case headerSource:
			source = true
			h.source, h.epoch, err = parseSource(f.value)
		case headerSeq:
			seq = true
			h.seq, err = parseNumber(f, 1<<62)
		case headerTick:
			tick = true
			var n int64
			n, err = parseNumber(f, int64(maxTick))
			h.tick = eventtime.Tick(n)
		case headerTickEnd:
			h.end = len(f.value) == 1 && f.value[0] == '1'
		case headerBye:
			h.bye, err = parseBye(f.value)
		}
		if err != nil {
			return header{}, err
		}
	}
	switch {
	case !source:
		return header{}, errNoSource
	case !seq:
		return header{}, errNoSeq
	case !tick:
		return header{}, errNoTick
	}
	return h, nil
}

func parseSource(b []byte) (name string, epoch int, err error) {
	s := string(b)
	name, at, found := strings.Cut(s, "@")
	if found {
		epoch, err = strconv.Atoi(at)
		if err != nil || epoch < 0 || epoch > maxEpoch {
			return "", 0, fmt.Errorf("header source %q: wants a number from 0 to %d behind @", s, maxEpoch)
		}
	}
	if name == "" || len(name) > 200 {
		return "", 0, fmt.Errorf("header source %q: wants 1 to 200 bytes", s)
	}
	return name, epoch, nil
}

func parseNumber(f field, limit int64) (int64, error) {
	n, err := strconv.ParseInt(string(f.value), 10, 64)
	if err != nil || n < 0 || n > limit {
		return 0, fmt.Errorf("header %s %q: wants a number from 0 to %d", f.key, f.value, limit)
	}
	return n, nil
}

func parseBye(b []byte) (string, error) {
	switch string(b) {
	case ByeStop:
		return ByeStop, nil
	case ByeEndOfInput:
		return ByeEndOfInput, nil
	}
	return "", fmt.Errorf("header bye %q: wants %s or %s", b, ByeStop, ByeEndOfInput)
}
