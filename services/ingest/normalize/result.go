package normalize

import (
	"net/netip"

	flowv1 "github.com/flowledger/flowledger/proto/flow/v1"
	"github.com/flowledger/flowledger/services/internal/flow"
)

// Result collects what came out of any number of datagrams. All it holds lives
// in memory of its own and is valid until Reset: nothing aliases a payload.
type Result struct {
	// Encode has the flows of datagrams put into Encoded instead of Flows: written as
	// they go into the log, while they are in the processor's cache. Reset leaves it.
	Encode  bool
	Encoded []flow.Encoded

	Flows  []*flowv1.Flow
	Events []*flowv1.Event
	Facts  []*flowv1.ExporterFact
	Dns    []*flowv1.Dns
	Dead   []DeadLetter

	// Datagrams counts all that came in, BadDatagrams those of them of which
	// some part could not be read. The rest of a bad datagram is used.
	Datagrams, BadDatagrams uint64
	// DataRecords and OptionsRecords count what was cut out of the datagrams.
	DataRecords, OptionsRecords uint64
	// MissingTemplateSets counts data sets whose template was not known when they
	// came. Of these, LateSets were read once it was, and ExpiredSets became dead
	// letters: it did not come in time, or there was no room to wait. The rest waits.
	MissingTemplateSets, LateSets, ExpiredSets uint64
	// LateRecords counts the records of LateSets; they are among the others.
	LateRecords uint64
	// Duplicates counts datagrams that came twice and were not read again.
	Duplicates uint64
	// LostRecords is how many records were found missing by the sequence numbers,
	// those of lost datagrams by what one holds on average (Stats).
	LostRecords uint64
	// DroppedSamples is how many samples sFlow agents lost for want of resources, as
	// they count them.
	DroppedSamples uint64
	// RefusedTemplates counts templates that went beyond a bound.
	RefusedTemplates uint64
	// RefusedOptions counts what options records and sFlow samples said and there was no
	// room to keep, UntoldOptions the options records beyond Config.MaxFactsPerMinute.
	RefusedOptions, UntoldOptions uint64
	// DeadNotKept counts dead letters whose bytes were left out for want of room.
	DeadNotKept uint64
	// Records says what became of the data records; its fields add up to DataRecords.
	Records Records

	flows arena[flowv1.Flow]
	bytes arena[byte]
	words arena[uint32]
	// wire is where Encoded lies.
	wire []byte
	// deadBytes is the sum of the lengths of Dead.
	deadBytes int
}

// Records counts data records by what became of them, each once.
type Records struct {
	Flow         uint64 `json:"flow"`
	Event        uint64 `json:"event"`
	FlowAndEvent uint64 `json:"flow_and_event"`
	Dead         uint64 `json:"dead"`
}

// Sum is the number of data records.
func (r Records) Sum() uint64 { return r.Flow + r.Event + r.FlowAndEvent + r.Dead }

// DeadLetter is input that could not be read, as it came, and why.
type DeadLetter struct {
	// Reason is a short name in snake_case, to count by.
	Reason string
	// Bytes is the datagram, or the record of it that is bad; nil where there
	// was no room for it (Config.MaxDeadBytes).
	Bytes      []byte
	Exporter   netip.Addr
	ReceivedNs uint64
}

// Reset makes the result empty and takes its memory back.
func (r *Result) Reset() {
	flows, bytes, words := r.flows, r.bytes, r.words
	flows.reset()
	bytes.reset()
	words.reset()
	clear(r.Events)
	clear(r.Facts)
	clear(r.Dns)
	clear(r.Dead)
	wire := r.wire[:0]
	if cap(wire) > keepWire && len(r.wire) < cap(wire)/8 {
		wire = nil // a burst left it behind
	}
	clear(r.Encoded)
	*r = Result{
		Encode: r.Encode, Encoded: r.Encoded[:0], wire: wire,
		Flows: r.Flows[:0], Events: r.Events[:0], Facts: r.Facts[:0], Dns: r.Dns[:0], Dead: r.Dead[:0],
		flows: flows, bytes: bytes, words: words,
	}
}

// keepWire is how much memory for Encoded is kept in any case.
const keepWire = 1 << 20

// add takes in a flow.
func (r *Result) add(f *flowv1.Flow) {
	if !r.Encode {
		r.Flows = append(r.Flows, f)
		return
	}
	start := len(r.wire)
	r.wire = (*flow.Fresh)(f).Append(r.wire)
	r.addEncoded(start, flow.ConversationHash(f))
	r.flows.reset() // the next record's flow is made in the same place
}

// addEncoded takes in a flow that was written to wire behind start.
func (r *Result) addEncoded(start int, hash uint64) {
	end := len(r.wire)
	r.Encoded = append(r.Encoded, flow.Encoded{Hash: hash, Bytes: r.wire[start:end:end]})
}

// newFlow lends an empty flow that is not yet in the result.
func (r *Result) newFlow() *flowv1.Flow {
	f := r.flows.one()
	*f = flowv1.Flow{}
	return f
}

// copyBytes copies b into the result's memory.
func (r *Result) copyBytes(b []byte) []byte {
	c := r.bytes.take(len(b))
	copy(c, b)
	return c
}

// copyPair copies two fields of equal length.
func (r *Result) copyPair(a, b []byte) (x, y []byte) {
	n := len(a)
	c := r.bytes.take(2 * n)
	copy(c, a)
	copy(c[n:], b)
	return c[:n:n], c[n:]
}

// bury keeps a dead letter. Where there is no room for its bytes, the reason
// alone is kept.
func (r *Result) bury(reason string, m *message, b []byte, maxBytes int) {
	letter := DeadLetter{Reason: reason, Exporter: m.from, ReceivedNs: m.receivedNs}
	if r.deadBytes+len(b) > maxBytes {
		r.DeadNotKept++
	} else {
		r.deadBytes += len(b)
		letter.Bytes = append([]byte(nil), b...)
	}
	r.Dead = append(r.Dead, letter)
}
